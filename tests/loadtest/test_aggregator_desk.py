"""The simulated aggregator's decisions and its record, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.errors import LongwaveError
from loadtest.aggregator.desk import Answer, Desk
from loadtest.aggregator.fates import fates
from loadtest.aggregator.record import LOG_NAME, Recorder, entries
from loadtest.aggregator.script import Script, read_script
from loadtest.aggregator.submissions import Submissions

SECOND = 1_000_000_000
SCRIPTS = Path(__file__).parents[2] / "loadtest" / "aggregator" / "scripts"


def script(**values: Any) -> Script:
    return Script.model_validate(values)


def body(*ids: str, text: str = "hello", to: str = "+12125550123") -> bytes:
    return orjson.dumps({"from": "+1888", "messages": [{"id": i, "to": to, "text": text} for i in ids]})


def statuses(answer: Answer) -> list[str]:
    return [item["status"] for item in orjson.loads(answer.body)["messages"]]


def test_a_repeated_id_gets_its_first_answer_and_is_taken_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(errors={"30006": 0.5}, seed=4), 0)
    ids = [f"m{n}" for n in range(100)]
    first = desk.take(1, body(*ids))
    assert {"accepted", "rejected"} == set(statuses(first))
    assert desk.take(2, body(*ids)).body == first.body
    desk.close()
    again = Desk(tmp_path, script(errors={"30006": 0.5}, seed=5), 0)
    assert again.take(3, body(*ids)).body == first.body, "keys outlive the process"
    submissions = Submissions.read(tmp_path)
    assert (len(submissions.received), submissions.received_twice, submissions.key_hits) == (100, {}, 200)
    assert submissions.requests == 3
    assert len(submissions.accepted) == statuses(first).count("accepted")


def test_an_id_twice_in_one_batch_is_accepted_once_and_gets_the_same_answer_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(errors={"30007": 1.0}), 0)
    items = orjson.loads(desk.take(1, body("a", "b", "a")).body)["messages"]
    assert items[0] == items[2] == {"id": "a", "status": "rejected", "code": "30007"}
    assert Submissions.read(tmp_path).counts == {"a": 1, "b": 1}


def test_without_keys_a_repetition_is_received_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(idempotency_keys=False), 0)
    desk.take(1, body("a", "b"))
    desk.take(2, body("b", "c"))
    assert Submissions.read(tmp_path).received_twice == {"b": 2}
    assert (desk.counts.twice, desk.counts.distinct) == (1, 3)


def test_a_query_about_a_message_returns_its_outcome_and_does_not_accept_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(throttle={"segments_per_second": 2}), 0)
    desk.take(0, body("a", "b", "late"))
    refusing = Desk(tmp_path / "refusing", script(errors={"30003": 1.0}), 0)
    refusing.take(0, body("b"))
    question = orjson.dumps({"ids": ["a", "b", "late", "never"]})
    items = orjson.loads(desk.tell(1, question).body)["messages"]
    assert [item["status"] for item in items] == ["accepted", "accepted", "not_seen", "not_seen"]
    assert items[0]["aggregator_id"] == "sim-a"
    items = orjson.loads(refusing.tell(1, question).body)["messages"]
    assert items[1] == {"id": "b", "status": "rejected", "code": "30003"}
    assert Submissions.read(tmp_path).requests == 1
    assert desk.tell(2, b'{"ids": []}').status == 400
    assert desk.tell(2, b"garbage").status == 400


def test_it_may_be_away_or_not_know_or_not_be_there_to_be_asked(tmp_path: Path) -> None:
    question = orjson.dumps({"ids": [f"m{n}" for n in range(1000)]})
    away = Desk(tmp_path / "a", script(outages=[{"start": 0, "duration": 9}]), 0)
    assert away.tell(1, question).status == 503
    assert Desk(tmp_path / "b", script(query={"enabled": False}), 0).tell(1, question).status == 404
    forgetful = Desk(tmp_path / "c", script(query={"cannot_tell": 0.2}), 0)
    reported = [statuses(forgetful.tell(at, question)) for at in (1, 2)]
    assert reported[0] == reported[1]
    assert 150 < reported[0].count("unknown") < 250


def test_rates_of_rejection_follow_the_script(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(errors={"30003": 0.1, "21610": 0.2}), 0)
    codes: list[str] = []
    for batch in range(20):
        answer = desk.take(batch, body(*(f"{batch}-{n}" for n in range(500))))
        codes += [item.get("code", "") for item in orjson.loads(answer.body)["messages"]]
    assert abs(codes.count("30003") - 1000) < 150
    assert abs(codes.count("21610") - 2000) < 200
    assert codes.count("") + codes.count("30003") + codes.count("21610") == 10_000


def test_limit_throttles_messages_beyond_it(tmp_path: Path) -> None:
    limits = {"segments_per_second": 10, "retry_after": 0.7}
    desk = Desk(tmp_path, script(throttle=limits), 0)
    first = desk.take(0, body(*(f"a{n}" for n in range(8)), text="x" * 161))
    assert statuses(first) == ["accepted"] * 5 + ["throttled"] * 3, "two segments each"
    assert statuses(desk.take(SECOND // 2, body(*(f"b{n}" for n in range(6))))) == ["accepted"] * 5 + ["throttled"]
    submissions = Submissions.read(tmp_path)
    assert submissions.max_in_window(0.4) == 16, "what was throttled has arrived too"
    assert submissions.max_in_window(0.6) == 22
    assert submissions.max_in_window(0.6, "messages") == 14
    assert len(submissions.received) == 10


def test_limit_throttles_whole_batches(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(throttle={"segments_per_second": 10, "answer": "batch", "retry_after": 2}), 0)
    assert desk.take(0, body(*(f"a{n}" for n in range(8)))).status == 200
    refused = desk.take(1, body(*(f"b{n}" for n in range(3))))
    assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
    assert desk.take(2, body("c", "d")).status == 200, "what was refused took nothing from the bucket"
    assert Submissions.read(tmp_path).received == {*(f"a{n}" for n in range(8)), "c", "d"}


def test_a_window_is_half_open(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(), 0)
    for at in (0, SECOND, 2 * SECOND):
        desk.take(at, body(f"m{at}"))
    assert Submissions.read(tmp_path).max_in_window(1.0) == 1
    assert Submissions.read(tmp_path).max_in_window(1.001) == 2


@pytest.mark.parametrize(("kind", "status", "manner"), [("503", 503, "answer"), ("reset", 200, "reset")])
def test_outage_takes_nothing_and_ends(tmp_path: Path, kind: str, status: int, manner: str) -> None:
    desk = Desk(tmp_path, script(outages=[{"start": 1, "duration": 2, "kind": kind}]), 5 * SECOND)
    assert desk.take(5 * SECOND, body("a")).status == 200
    during = desk.take(6 * SECOND, body("b"))
    assert (during.status, during.manner) == (status, manner)
    assert statuses(desk.take(8 * SECOND, body("c"))) == ["accepted"]
    submissions = Submissions.read(tmp_path)
    assert (submissions.received, len(submissions.ids)) == ({"a", "c"}, 3)


def test_faults_leave_open_whether_the_messages_were_taken(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(faults={"server_error": 0.5, "reset": 0.5, "processed": 0.5}), 0)
    answers = [desk.take(n, body(f"m{n}")) for n in range(400)]
    assert {(a.status, a.manner) for a in answers} == {(500, "answer"), (200, "reset")}
    assert 130 < len(Submissions.read(tmp_path).received) < 270


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b'{"from": "+1", "messages": []}', "1 to 1000"),
        (b'{"from": "+1", "messages": [{"id": "a", "to": "12", "text": "x"}]}', "messages[0].to"),
        ('{"from": "+1", "messages": [{"id": "a", "to": "+１２", "text": "x"}]}'.encode(), "messages[0].to"),
        (b'{"from": "+1", "messages": [{"id": "", "to": "+12", "text": "x"}]}', "messages[0].id"),
        (b'{"from": "+1", "messages": [{"id": "a", "to": "+12", "text": "x", "more": 1}]}', "more"),
        (b'{"from": "+1", "messages": [{"id": "a", "to": "+12"}]}', "text"),
    ],
)
def test_malformed_requests_are_refused_and_not_recorded(tmp_path: Path, raw: bytes, why: str) -> None:
    answer = Desk(tmp_path, script(), 0).take(1, raw)
    assert answer.status == 400
    assert why in orjson.loads(answer.body)["error"]
    assert Submissions.read(tmp_path).requests == 0


def test_a_torn_end_of_the_record_is_cut_off(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(), 0)
    desk.take(1, body("a", text="line\nend"))
    desk.take(2, body("b"))
    desk.close()
    log = tmp_path / LOG_NAME
    whole = log.read_bytes()
    second = whole.index(b"\n2 a ") + 1
    for cut in range(second, len(whole)):
        log.write_bytes(whole[:cut])
        assert Submissions.read(tmp_path).received == {"a"}
        recorder = Recorder(tmp_path)
        recorder.append(3, b"a", body("c"))
        recorder.close()
        assert Submissions.read(tmp_path).ids == ["a", "c"]


def test_a_full_disk_is_answered_with_503_and_leaves_nothing(tmp_path: Path) -> None:
    import resource
    import signal

    desk = Desk(tmp_path, script(), 0)
    desk.take(1, body("a"))
    size = (tmp_path / LOG_NAME).stat().st_size
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, old[1]))  # the write is cut short, then refused
    try:
        assert desk.take(2, body("b")).status == 503
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / LOG_NAME).stat().st_size == size
    assert statuses(desk.take(3, body("b"))) == ["accepted"]
    assert Submissions.read(tmp_path).counts == {"a": 1, "b": 1}


def test_one_simulator_per_data_directory(tmp_path: Path) -> None:
    desk = Desk(tmp_path, script(), 0)
    with pytest.raises(BlockingIOError):
        Desk(tmp_path, script(), 0)
    desk.close()
    Desk(tmp_path, script(), 0).close()


def test_fates_are_as_scripted_and_the_same_each_time(tmp_path: Path) -> None:
    reported = script(
        receipts={"delivered": 0.8, "repeated": 0.1, "delay": {"median": 1, "sigma": 0.5, "least": 0.2}},
        clicks={"people": 0.5, "bots": 0.25, "delay": {"median": 3, "sigma": 0.5, "least": 2}},
        replies={"stop": 0.1, "other": 0.05},
    )
    desk = Desk(tmp_path, reported, 0)
    for n in range(20):
        text = "see http://127.0.0.1:1/c/AbCdEfGhIjKlMnOpQrStUvW now"
        desk.take(n, body(*(f"{n}-{i}" for i in range(500)), text=text))
    actual = [event for entry in entries(tmp_path) for event in fates(reported, entry)]
    assert actual == [event for entry in entries(tmp_path) for event in fates(reported, entry)]
    receipts = [e for e in actual if e.kind == "receipt"]
    assert abs(len(receipts) - 11_000) < 200
    undelivered = {e.what[0] for e in receipts if e.what[1] == "undelivered"}
    assert abs(len(undelivered) - 2000) < 200
    assert {e.what[2] for e in receipts if e.what[1] == "undelivered"} == {"30003", "30005", "30007", "30008"}
    assert all(e.due >= SECOND // 5 for e in receipts)
    visits = [e for e in actual if e.kind == "visit"]
    people = [e for e in visits if "iPhone" in e.what[2] and e.what[0] == "GET"]
    assert abs(len(people) - 4000) < 300
    assert all(e.due >= 2 * SECOND for e in people)
    assert abs(len(visits) - len(people) - 2500) < 250
    assert {e.what[0] for e in visits} == {"GET", "HEAD"}
    texts = [e for e in actual if e.kind == "text"]
    assert abs(len(texts) - 1200) < 150
    assert not {e.what[0].removeprefix("in-") for e in texts} & undelivered


def test_sample_scripts_are_valid() -> None:
    actual = sorted(SCRIPTS.glob("*.toml"))
    assert len(actual) >= 4
    for path in actual:
        read_script(path)
    assert not read_script(SCRIPTS / "benchmark.toml").calls_back


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("latency = 3", "latency"),
        ("speed = 3", "speed"),
        ('[errors]\n"99999" = 0.1', "errors.99999"),
        ('[errors]\n"30003" = 0.7\n"30005" = 0.7', "more than 1"),
        ("[clicks.delay]\nleast = 0.5", "at least 2 s"),
        ("[clicks]\npeople = 1.5", "clicks.people"),
        ("[receipts]\nreasons = {}", "reasons"),
        ("seed = ", "not valid TOML"),
        ("seed = " + "[" * 50_000 + "]" * 50_000, "nested too deep"),
    ],
)
def test_wrong_scripts_say_what_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "script.toml"
    path.write_text(text)
    with pytest.raises(LongwaveError) as raised:
        read_script(path)
    assert why in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_missing_script_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LongwaveError, match="cannot read the script"):
        read_script(tmp_path / "none.toml")


def test_numbers_that_always_fail_fail_the_same_way_for_every_caller(tmp_path: Path) -> None:
    reported = script(
        receipts={"delivered": 1.0},
        rejected_endings={"7": "21614", "77": "30006"},
        undelivered_endings={"5": "30003"},
    )
    desk = Desk(tmp_path, reported, 0)
    said = {}
    for to in ("+12125550177", "+12125550107", "+12125550105", "+12125550100"):
        said[to] = orjson.loads(desk.take(1, body(f"m{to}", to=to)).body)["messages"][0].get("code", "")
    assert list(said.values()) == ["30006", "21614", "", ""], "the longest ending counts"
    receipts = {e.what[0]: e.what[1:] for entry in entries(tmp_path) for e in fates(reported, entry)}
    assert receipts == {"m+12125550105": ("undelivered", "30003"), "m+12125550100": ("delivered", "")}
