"""The REST API: on the whole stack, and on what is left of it when Kafka, the coordinator or ClickHouse is away."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyarrow import parquet

from adapters import http
from adapters.kafka import topics
from adapters.private_files import FIRST_KEY, read_password
from adapters.settings import Kafka
from devstack import ready
from tests.api.live import KEYS, Live, authorized, eventually, in_minutes, spec
from tests.stack import PATIENCE, Server, environment, free_ports, running

JSON = {"Content-Type": "application/json"}


NOWHERE = "127.0.0.1:9"
"""Where no Kafka answers."""


def ask(
    url: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """(status, JSON) of an answer, refused or not."""
    named = {**authorized(url), **(headers or (JSON if body else {}))}
    request = urllib.request.Request(url, body, named, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=40) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def post(live: Live, path: str, value: Any = None) -> tuple[int, dict[str, Any]]:
    return ask(f"{live.api.url}{path}", "POST", None if value is None else orjson.dumps(value))


@contextlib.contextmanager
def api_alone(folder: Path, bootstrap: str, clickhouse_port: int = 0) -> Iterator[str]:
    """An API without the rest of a stack; gives its URL."""
    port = free_ports(1)[0]
    variables = environment(folder, kafka_bootstrap=bootstrap, api_port=port, clickhouse_port=clickhouse_port)
    with running(["run", "api"], variables, folder) as child:
        url = f"http://127.0.0.1:{port}"
        ready.wait_for(
            "the API", lambda: http.answers(f"{url}/healthz"), lambda: child.poll() is None, timeout=PATIENCE
        )
        if bootstrap != NOWHERE:
            KEYS[url] = eventually(lambda: read_password(folder / FIRST_KEY), bool)
        yield url


# The life of a campaign


def test_create_edit_duplicate_delete(live: Live) -> None:
    status, made = post(live, "/v1/campaigns", spec())
    assert status == 201
    assert (made["status"], made["name"], made["revision"]) == ("draft", "Spring sale", 1)
    assert made["created"].endswith("Z")
    url = f"{live.api.url}/v1/campaigns/{made['id']}"
    status, edited = ask(url, "PUT", orjson.dumps({**spec(), "name": "Autumn sale"}))
    assert (status, edited["name"], edited["revision"]) == (200, "Autumn sale", 2)
    status, copy = post(live, f"/v1/campaigns/{made['id']}/duplicate")
    assert (status, copy["name"], copy["status"]) == (201, "Autumn sale (copy)", "draft")
    assert copy["id"] != made["id"]
    assert ask(url, "DELETE") == (200, {"id": made["id"], "deleted": True})
    assert ask(url)[0] == 404


def test_toml_as_a_person_wrote_it(live: Live) -> None:
    toml = b'name = "From a file"\n[audience]\nlists = ["people"]\n[[messages]]\ntext = "Hello"\n'
    status, made = ask(f"{live.api.url}/v1/campaigns", "POST", toml, {"Content-Type": "application/toml"})
    assert (status, made["name"]) == (201, "From a file")


def test_a_campaign_goes_out_and_all_figures_agree(live: Live, tmp_path: Path) -> None:
    made = live.create(name="Goes out")
    review = live.api.get(f"/v1/campaigns/{made['id']}/review")
    assert review["ok"]
    assert review["recipients"] > 1900
    ahead = review["forecast"]
    assert ahead["begin"] < ahead["finish"] < ahead["begin"] + 60_000, ahead
    assert 0 < ahead["recipients"] <= review["recipients"], "who is opted out takes no time"
    assert ahead["why"].startswith("main 5000 segments/s: needs"), ahead
    status, launched = post(live, f"/v1/campaigns/{made['id']}/launch")
    assert (status, launched["status"]) == (200, "processing")
    done = live.until(made["id"], lambda shown: shown["status"] == "finished", 60)
    figures = done["figures"]
    assert figures["targeted"] == done["recipients"] == review["recipients"]
    assert sum(figures["states"].values()) == figures["targeted"]
    assert figures["residual"] == 0
    assert figures["states"]["delivered"] > 0.8 * figures["targeted"]
    assert figures["segments"] >= figures["submitted"] > 0
    assert figures["spend"] > 0
    rows = exported(live, made["id"])
    assert len(rows) == figures["targeted"]
    assert {state: n for state, n in figures["states"].items() if n} == counted(rows)
    assert {row["state"] for row in exported(live, made["id"], "state=undelivered&state=rejected")} == {
        "undelivered",
        "rejected",
    }
    file = tmp_path / "all.parquet"
    live.api.download(f"/v1/campaigns/{made['id']}/export", file, format="parquet")
    table = parquet.read_table(file)
    assert table["ordinal"].to_pylist() == list(range(figures["targeted"]))
    assert table["number"].to_pylist() == [row["number"] for row in rows]
    assert all(row["number"].startswith("+") for row in rows)
    lines = download(live, made["id"], tmp_path / "all.ndjson", "ndjson").read_bytes().splitlines()
    assert [orjson.loads(line)["number"] for line in lines] == table["number"].to_pylist()
    _retries_the_failed(live, made["id"], rows)


def download(live: Live, campaign: str, file: Path, kind: str) -> Path:
    live.api.download(f"/v1/campaigns/{campaign}/export", file, format=kind)
    return file


def _retries_the_failed(live: Live, campaign: str, rows: list[dict[str, str]]) -> None:
    failed = {row["number"] for row in rows if row["state"] in ("undelivered", "rejected")}
    path = f"/v1/campaigns/{campaign}/retry-failed"
    status, retry = post(live, path)
    assert status == 201
    listed = live.until(retry["id"], lambda shown: shown["retry"]["recipients"] is not None)
    name = f"retry-{campaign}-{retry['id']}"
    assert (listed["retry"]["of"], listed["retry"]["first"]) == (campaign, campaign)
    assert (listed["retry"]["list"], listed["retry"]["recipients"]) == (name, len(failed))
    assert (listed["spec"]["audience"]["lists"], listed["spec"]["audience"]["numbers"]) == ([name], [])
    assert [other["id"] for other in live.api.get(f"/v1/campaigns/{campaign}")["retries"]] == [retry["id"]]
    copy = post(live, f"/v1/campaigns/{retry['id']}/duplicate")[1]
    assert copy["retry"] is None
    assert live.api.get(f"/v1/campaigns/{copy['id']}/review")["recipients"] == len(failed)
    assert ask(f"{live.api.url}/v1/campaigns/{copy['id']}", "DELETE")[0] == 200
    # Opted out since: dropped again as by any campaign, and nobody else gets it.
    gone = min(failed)
    assert post(live, "/v1/optouts", {"numbers": [gone], "evidence": "by phone"})[0] == 200
    settings = orjson.dumps({**listed["spec"], "smart_sending_hours": 0})
    assert ask(f"{live.api.url}/v1/campaigns/{retry['id']}", "PUT", settings)[0] == 200
    assert post(live, f"/v1/campaigns/{retry['id']}/launch")[0] == 200
    live.until(retry["id"], lambda shown: shown["status"] == "finished", 60)
    again = exported(live, retry["id"])
    assert {row["number"] for row in again} == failed
    assert [row["number"] for row in again if row["reason"] == "opted_out"] == [gone]
    chosen = {"states": ["skipped"], "reasons": ["opted_out"]}
    chain = post(live, f"/v1/campaigns/{retry['id']}/retry-failed", chosen)[1]
    assert (chain["retry"]["of"], chain["retry"]["first"], chain["retry"]["reasons"]) == (
        retry["id"],
        campaign,
        ["opted_out"],
    )
    _refuses_other_retries(live, campaign, name)


def _refuses_other_retries(live: Live, campaign: str, name: str) -> None:
    path = f"/v1/campaigns/{campaign}/retry-failed"
    for body, code, error in (
        ({"states": ["unknown"]}, 422, "may have arrived"),
        ({"states": ["delivered"]}, 422, "did not fail"),
        ({"reasons": ["because"]}, 422, "unknown reason 'because'"),
        ({"reasons": ["campaign_canceled"]}, 409, "nothing to retry"),
        ({"state": ["rejected"]}, 422, "unknown field"),
    ):
        status, refused = post(live, path, body)
        assert (status, error in refused["error"]) == (code, True), refused
    foreign = name.replace(campaign, "0000zzzz")
    status, refused = post(live, "/v1/campaigns", {**spec(), "audience": {"lists": [foreign]}})
    assert (status, "another account" in refused["error"]) == (422, True)


def exported(live: Live, campaign: str, query: str = "") -> list[dict[str, str]]:
    url = f"{live.api.url}/v1/campaigns/{campaign}/export?{query}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=authorized(url))) as answer:
        assert answer.headers["Content-Type"].startswith("text/csv")
        return list(csv.DictReader(io.TextIOWrapper(answer)))


def counted(rows: list[dict[str, str]]) -> dict[str, int]:
    actual: dict[str, int] = {}
    for row in rows:
        actual[row["state"]] = actual.get(row["state"], 0) + 1
    return actual


def test_launch_twice_passes_the_coordinators_refusal_on(live: Live) -> None:
    made = live.create(name="Twice", audience={"numbers": ["+12025550143"]})
    assert post(live, f"/v1/campaigns/{made['id']}/launch")[0] == 200
    status, refused = post(live, f"/v1/campaigns/{made['id']}/launch")
    assert status == 409
    assert made["id"] in refused["error"]
    assert "duplicate" in refused["error"] or "draft" in refused["error"]


def _rests(states: dict[str, int], recipients: int) -> bool:
    """Whether each recipient was canceled, or was none to begin with."""
    return states["canceled"] + states["skipped"] == recipients


def test_pause_resume_cancel(live: Live) -> None:
    made = live.create(name="In ten minutes", send_at=in_minutes(10))
    path = f"/v1/campaigns/{made['id']}"
    assert post(live, f"{path}/pause")[0] == 409
    assert post(live, f"{path}/launch")[0] == 200
    live.until(made["id"], lambda shown: shown["status"] == "sending")
    assert post(live, f"{path}/pause")[1]["status"] == "paused"
    assert "resume" in live.api.get(path)["actions"]
    assert post(live, f"{path}/resume")[1]["status"] == "sending"
    assert post(live, f"{path}/cancel")[1]["status"] == "canceled"
    shown = live.until(made["id"], lambda shown: _rests(shown["figures"]["states"], shown["recipients"]))
    assert shown["figures"]["states"]["canceled"] > 1500
    assert shown["figures"]["submitted"] == 0
    assert shown["figures"]["residual"] == 0
    assert post(live, f"{path}/resume")[0] == 409


def test_scheduled_can_be_taken_back_and_deleted(live: Live) -> None:
    made = live.create(name="In an hour", send_at=in_minutes(60))
    path = f"/v1/campaigns/{made['id']}"
    assert post(live, f"{path}/launch")[1]["status"] == "scheduled"
    assert {"cancel", "delete"} <= set(live.api.get(path)["actions"])
    assert post(live, f"{path}/pause")[0] == 409
    assert post(live, f"{path}/cancel")[1]["status"] == "draft"
    assert post(live, f"{path}/launch")[1]["status"] == "scheduled"
    assert ask(f"{live.api.url}{path}", "DELETE")[0] in (200, 204)


# Bad input


def test_unknown_campaign_is_404_with_its_id(live: Live) -> None:
    for method, path in (("GET", ""), ("GET", "/review"), ("GET", "/export"), ("POST", "/launch"), ("DELETE", "")):
        status, body = ask(f"{live.api.url}/v1/campaigns/zzzzzzzz{path}", method)
        assert status == 404
        assert "zzzzzzzz" in body["error"]


@pytest.mark.parametrize(
    ("body", "field", "error"),
    [
        ({**spec(), "colour": 1}, "colour", "unknown field"),
        ({**spec(), "messages": [{"text": "a", "txet": "b"}]}, "messages.0.txet", "unknown field"),
        ({**spec(), "audience": {"lists": 7}}, "audience.lists", "tuple"),
        ({"audience": {}}, "name", "is missing"),
        ({**spec(), "smart_sending_hours": 169}, "smart_sending_hours", "168"),
        ([], "", "no table"),
    ],
)
def test_wrong_campaigns_name_the_field(live: Live, body: Any, field: str, error: str) -> None:
    status, answer = post(live, "/v1/campaigns", body)
    assert status == 422
    assert any(actual["field"] == field and error in actual["error"] for actual in answer["fields"]), answer


@pytest.mark.parametrize(
    ("raw", "kind", "error"),
    [
        (b"{", "application/json", "not valid JSON"),
        (b"name = \n", "application/toml", "line 1"),
        (b"\xff", "application/toml", "not UTF-8"),
    ],
)
def test_malformed_bodies_say_where(live: Live, raw: bytes, kind: str, error: str) -> None:
    status, answer = ask(f"{live.api.url}/v1/campaigns", "POST", raw, {"Content-Type": kind})
    assert status == 422
    assert error in answer["error"]


def test_too_large_a_body_says_what_to_do(live: Live) -> None:
    numbers = [f"+1202555{n:07d}" for n in range(140_000)]
    status, answer = post(live, "/v1/campaigns", {**spec(), "audience": {"numbers": numbers}})
    assert status == 413
    assert "contacts import" in answer["error"]


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"audience": {"lists": ["nowhere"]}}, "audience.lists", "no list 'nowhere'"),
        ({"messages": [{"text": "Your {shoe_size}"}]}, "messages.0.text", "no contact of the audience has"),
        ({"messages": [{"text": "Hi {first_name"}]}, "messages.0.text", "never closed"),
        ({"messages": [{"text": "Go {link}"}]}, "messages.0.text", "has no address"),
        ({"account": "acme"}, "account", "no account 'acme'"),
        ({"sender": "second"}, "sender", "no sender 'second'"),
        ({"send_at": "2020-01-01T09:00:00"}, "send_at", "past"),
        ({"send_at": in_minutes(2880), "deadline": in_minutes(1440)}, "deadline", "not after send_at"),
        ({"audience": {"numbers": ["12"]}}, "audience", "no recipients: "),
    ],
)
def test_launch_is_refused_with_the_reviews_problems(
    live: Live, changes: dict[str, Any], where: str, what: str
) -> None:
    made = live.create(**changes)
    path = f"/v1/campaigns/{made['id']}"
    review = live.api.get(f"{path}/review")
    assert not review["ok"]
    assert any(p["where"] == where and what in p["what"] for p in review["problems"]), review["problems"]
    status, refused = post(live, f"{path}/launch")
    assert status == 409
    assert what in refused["error"]
    assert live.api.get(path)["status"] == "draft"


def test_list_searches_filters_and_pages(live: Live) -> None:
    names = [f"Findable {n}" for n in range(3)]
    for name in names:
        live.create(name=name, tags=["only-here", "ünï"])
    actual = live.api.get("/v1/campaigns", search="FINDABLE", size=2)
    assert (actual["total"], actual["pages"], len(actual["campaigns"])) == (3, 2, 2)
    assert [c["name"] for c in actual["campaigns"]] == names[:0:-1]
    assert live.api.get("/v1/campaigns", search="findable", size=2, page=99)["campaigns"][0]["name"] == names[0]
    assert live.api.get("/v1/campaigns", tag="only-here", status="draft")["total"] == 3
    assert live.api.get("/v1/campaigns", tag="only-here", status="sent")["total"] == 0
    status, answer = ask(f"{live.api.url}/v1/campaigns?status=lost")
    assert (status, answer["fields"][0]["field"]) == (422, "status")


def test_requests_of_foreign_pages_are_refused(live: Live) -> None:
    url = f"{live.api.url}/v1/campaigns"
    body = orjson.dumps(spec())
    foreign = {**JSON, "Origin": "https://evil.example"}
    assert ask(url, "POST", body, foreign)[0] == 403
    assert ask(url, "POST", body, {**JSON, "Origin": "null"})[0] == 403
    assert ask(url, "GET", None, {"Host": "evil.example"})[0] == 403
    assert ask(url, "POST", body, {**JSON, "Origin": live.api.url})[0] == 201


def test_live_tells_a_change_within_two_seconds_and_only_what_changed(live: Live) -> None:
    url = f"{live.api.url}/v1/live?search=Streamed"
    with urllib.request.urlopen(urllib.request.Request(url, headers=authorized(url)), timeout=20) as stream:
        first = next_event(stream)
        assert first["rows"] == []
        begin = time.monotonic()
        made = live.create(name="Streamed")
        made_at = time.monotonic()
        event = next_with_rows(stream)
        assert time.monotonic() - made_at < 2.5
        assert [row["id"] for row in event["rows"]] == event["order"] == [made["id"]]
        assert next_event(stream)["rows"] == []
        assert time.monotonic() - begin < 15


def next_event(stream: Any) -> dict[str, Any]:
    for line in stream:
        if line.startswith(b"data: "):
            actual: dict[str, Any] = json.loads(line[6:])
            return actual
    raise AssertionError("the stream ended")


def next_with_rows(stream: Any) -> dict[str, Any]:
    while True:
        event = next_event(stream)
        if event["rows"]:
            return event


def test_health_metrics_and_openapi(live: Live) -> None:
    assert ask(f"{live.api.url}/healthz") == (200, {"process": "api", "alive": True})
    assert ask(f"{live.api.url}/readyz")[1] == {"process": "api", "ready": True, "not_ready": [], "limited": []}
    with urllib.request.urlopen(f"http://127.0.0.1:{live.settings.metrics_port - 2}/metrics") as answer:
        assert b"process_resident_memory_bytes" in answer.read()
    assert ask(f"{live.api.url}/metrics")[0] == 404, "not on the public port"
    paths = ask(f"{live.api.url}/openapi.json")[1]["paths"]
    assert {"/v1/campaigns", "/v1/campaigns/{campaign}/launch", "/v1/live"} <= set(paths)
    assert ask(f"{live.api.url}/v1/nothing")[1]["error"] == "nothing at /v1/nothing; see /docs"


# Trouble


def test_clickhouse_hanging_leaves_status_live_and_figures_with_their_age(live: Live) -> None:
    made = live.create(name="While ClickHouse hangs", audience={"numbers": ["+12025550144"]})
    path = f"/v1/campaigns/{made['id']}"
    assert post(live, f"{path}/launch")[0] == 200
    live.until(made["id"], lambda shown: shown["status"] == "finished")
    with live.stopped("clickhouse"):
        down = eventually(
            lambda: live.api.get("/v1/campaigns", search=made["id"]),
            lambda actual: not actual["sources"]["clickhouse"]["ok"],
            40,
        )
        assert down["sources"]["clickhouse"]["since"]
        (row,) = down["campaigns"]
        assert row["status"] == "finished"
        assert row["figures"]["targeted"] == 1
        assert row["figures"]["age_seconds"] > 5
        copied = post(live, f"{path}/duplicate")
        assert copied[0] == 201
        status, refused = ask(f"{live.api.url}{path}/review")
        assert status == 503
        assert "ClickHouse" in refused["error"]
    eventually(lambda: live.api.get("/v1/campaigns"), lambda actual: actual["sources"]["clickhouse"]["ok"], 40)


def test_coordinator_silent_is_202_and_says_where_to_look(kafka: Server, tmp_path: Path) -> None:
    topics.ensure(Kafka(bootstrap=kafka.address, partitions=4, lanes=4))
    with api_alone(tmp_path, kafka.address) as url:
        begin = time.monotonic()
        status, answer = ask(f"{url}/v1/campaigns", "POST", orjson.dumps(spec()))
        assert 9 < time.monotonic() - begin < 20
        assert status == 202
        assert (answer["accepted"], answer["carried_out"]) == (True, False)
        assert f"{url}/v1/campaigns/{answer['id']}" in answer["message"]
        assert "longwave status" in answer["message"]


def test_kafka_down_is_503_with_where_and_what_to_do(tmp_path: Path) -> None:
    with api_alone(tmp_path, NOWHERE) as url:
        for method, path, body in (
            ("GET", "/v1/campaigns", None),
            ("GET", "/v1/campaigns/zzzzzzzz", None),
            ("POST", "/v1/campaigns", orjson.dumps(spec())),
        ):
            status, answer = ask(f"{url}{path}", method, body)
            assert status == 503
            assert "Kafka does not answer" in answer["error"]
            assert "127.0.0.1:9" not in answer["error"]
            assert "longwave up" in answer["error"]
        assert ask(f"{url}/healthz")[0] == 200
        status, readiness = ask(f"{url}/readyz")
        assert status == 503
        assert {item["part"] for item in readiness["not_ready"]} == {"kafka", "clickhouse", "campaigns", "keys"}
        with urllib.request.urlopen(f"{url}/") as page:
            assert "<title>Longwave · Campaigns</title>".encode() in page.read()


def test_port_taken_is_one_clear_line(tmp_path: Path, live: Live) -> None:
    taken = live.settings.api.port
    with running(["run", "api"], environment(tmp_path, api_port=taken), tmp_path) as child:
        assert child.wait(120) == 1
    said = (tmp_path / "log").read_text()
    assert (
        f"error: api: cannot listen on 127.0.0.1:{taken}: Address already in use; stop what does, or set api.port"
        in said
    )
    assert "Traceback" not in said
