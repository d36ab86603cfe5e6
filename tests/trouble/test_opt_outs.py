"""Opt-outs while a campaign waits, one confirmation, silence, START, HELP, and robots, on the whole stack."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

import pytest

from loadtest.aggregator.record import entries
from pipeline.feedback.replies import reply_campaign
from pipeline.identity.optout_links import optout_tokens
from schemas.accounts import Replies
from tests.trouble.account import accounted
from tests.trouble.phone import got, says
from tests.trouble.scene import AUTO, HELP, Campaign, Scene, wait_until

SCRIPT = """
idempotency_keys = false
receipts = false
[replies]
robots = 0.002
delay = {median = 0.1}
robot_texts = ["I am driving and cannot answer. Ref {id}"]
"""
CAMPAIGN = reply_campaign("demo", "main")
PEOPLE = 1500


@pytest.fixture(scope="module")
def stage(scripted_stage: Scene) -> Scene:
    scripted_stage.scripted(SCRIPT)
    return scripted_stage


def waiting(shown: dict[str, Any]) -> int:
    """Recipients who wait in their lanes, due or not."""
    states = (shown["figures"] or NONE)["states"]
    return int(states["delayed"] + states["queued"])


def replied(stage: Scene, number: int, count: int) -> list[str]:
    wait_until(f"{count} replies to {number}", lambda: len(got(stage, number, CAMPAIGN)) >= count)
    return got(stage, number, CAMPAIGN)


def test_a_person_who_opts_out_while_a_campaign_waits_gets_only_one_confirmation(stage: Scene) -> None:
    due = datetime.now(UTC) + timedelta(seconds=12)
    with stage.sending(PEOPLE, send_at=due.isoformat()) as campaign:
        # What follows takes long on a busy machine; the messages wait in their lanes meanwhile, due or not.
        stage.api.send("POST", f"/v1/campaigns/{campaign.id}/pause")
        campaign.until("all wait", lambda shown: waiting(shown) == PEOPLE)
        file = stage.data / "waiting.csv"
        numbers = _numbers(stage, campaign.id, file)
        by_text, by_link, by_api, changed = numbers[10:15], numbers[15], numbers[16], numbers[17]
        says(stage, *((number, "Stop, please!") for number in by_text), (changed, "ARRÊT"))
        [token] = optout_tokens(stage.settings.token_key.get_secret_value().encode(), campaign.id, [by_link])
        _press(f"{stage.settings.ingress.url}/o/{token}")
        stage.longwave("optouts", "add", f"+{by_api}", "--evidence", "told us by phone")
        replied(stage, changed, 1)
        says(stage, (changed, "START"))
        out = [*by_text, by_link, by_api]
        assert campaign.arrived() == 0, "too late to be a test"
        stage.longwave("campaign", "resume", campaign.id)
        account = accounted(campaign)
    assert account.states == {"accepted": PEOPLE - len(out), "skipped": len(out)}
    assert account.shown["figures"]["reasons"] == [
        {**account.shown["figures"]["reasons"][0], "state": "skipped", "reason": "opted_out"}
    ]
    assert [got(stage, number, campaign.id) for number in out] == [[]] * len(out)
    assert len(got(stage, changed, campaign.id)) == 1
    confirmation = f"Harbor & Pine: {Replies().stopped}"
    for number in by_text:
        assert replied(stage, number, 1) == [confirmation]
    says(stage, *((number, words) for number in by_text for words in ("STOP", "hello?", "HELP")))
    says(stage, (numbers[20], "HELP"))
    # Whoever wrote last has an answer: what was written before it had its chance, and got none.
    replied(stage, numbers[20], 1)
    assert [got(stage, number, CAMPAIGN) for number in out] == [[confirmation]] * len(by_text) + [[], []]


def test_start_help_and_other_texts_are_answered_once_each(stage: Scene) -> None:
    person = 14_155_550_321
    [first] = says(stage, (person, "do you ship abroad?"))
    assert replied(stage, person, 1) == [f"Harbor & Pine: {AUTO}"]
    says(stage, (person, "do you ship abroad?"), again=first)
    says(stage, (person, "Stop"))
    replied(stage, person, 2)
    says(stage, (person, "start"))
    assert replied(stage, person, 3)[1:] == [
        f"Harbor & Pine: {Replies().stopped}",
        f"Harbor & Pine: {Replies().started}",
    ]
    other = 14_155_550_123
    says(stage, (other, " help! "))
    assert replied(stage, other, 1) == [f"Harbor & Pine: {HELP}"]
    assert len(got(stage, person, CAMPAIGN)) == 3


def test_two_machines_do_not_talk_for_ever(stage: Scene) -> None:
    robot = 14_155_551_000
    says(stage, (robot, "hi"))
    limit = Replies().per_hour
    replied(stage, robot, limit)
    # Its answer to our last reply comes after 0.1 s; a person who writes after it is answered after it.
    wait_until("the robot has said its last", lambda: _heard(stage, robot) == limit + 1)
    says(stage, (14_155_552_345, "hi"))
    replied(stage, 14_155_552_345, 1)
    assert len(got(stage, robot, CAMPAIGN)) == limit


def settled(stage: Scene, stopped: int) -> dict[str, Any]:
    """What is said of our replies once so many confirm a STOP, and none is on its way."""
    actual: list[dict[str, Any]] = [{}]

    def done() -> bool:
        [actual[0]] = stage.api.get("/v1/replies")["senders"]
        return actual[0]["kinds"]["stopped"] == stopped and actual[0]["states"].keys() <= {"accepted", "unknown"}

    wait_until(f"{stopped} confirmations are settled", done)
    return actual[0]


def test_a_killed_worker_answers_nobody_twice_and_says_whose_answer_is_unknown(stage: Scene) -> None:
    [before] = stage.api.get("/v1/replies")["senders"]
    people = [14_155_553_100 + n for n in range(60)]
    says(stage, *((number, "STOP") for number in people))
    stage.kill("worker-0")
    shown = settled(stage, before["kinds"]["stopped"] + len(people))
    unanswered = [number for number in people if not got(stage, number, CAMPAIGN)]
    assert len(unanswered) <= shown["states"].get("unknown", 0)
    ids = [m.id for e in entries(stage.data / "aggregator") for m in e.batch().messages if m.id[:8] == CAMPAIGN]
    assert len(ids) == len(set(ids))


def test_a_file_of_opt_outs_is_imported_with_reasons_for_wrong_lines(stage: Scene) -> None:
    file = stage.data / "left.csv"
    file.write_text("phone;at;evidence\n+14155554321;2026-03-01T12:00:00Z;letter\n12;;\n+14155554002;soon;\n")
    said = json.loads(stage.longwave("optouts", "import", str(file), "--json", "-", code=1))
    assert (said["lines"], said["imported"], said["taken"]) == (3, 2, 2)
    assert (said["rejected"], said["noted"]) == ({"no_country": 1}, {"time_replaced": 1})
    with (stage.data / "left.csv.rejects.csv").open(newline="") as rows:
        (row,) = csv.DictReader(rows, delimiter=";")
        assert (row["phone"], row["reason"].partition(":")[0]) == ("12", "no_country")
    wait_until("it is shown", lambda: "letter" in stage.longwave("optouts", "show", "+14155554321"))
    assert "is opted out" in stage.longwave("optouts", "show", "+14155554321")
    stage.longwave("optouts", "remove", "+14155554321", "--evidence", "form on the web site, 2026-11-22")
    wait_until("it is in again", lambda: "is not opted out" in stage.longwave("optouts", "show", "+14155554321"))
    said = stage.longwave("optouts", "add", "+14155554003", "12", "--evidence", "phone call", code=1)
    assert "1 opted out" in said
    assert "not opted out: '12'" in said
    wait_until("it is out", lambda: "is opted out" in stage.longwave("optouts", "show", "+14155554003"))
    assert "nothing recorded" in stage.longwave("optouts", "add", "12", code=1)


def test_every_reply_is_accounted_for_and_every_change_has_its_evidence(stage: Scene) -> None:
    arrived = {m.id for e in entries(stage.data / "aggregator") for m in e.batch().messages if m.id[:8] == CAMPAIGN}
    actual = settled(stage, 67)
    # Of a reply that is unknown since the worker was killed nobody can say whether it arrived.
    assert actual["states"]["accepted"] <= len(arrived) <= actual["targeted"]
    assert actual["residual"] == 0
    assert actual["kinds"]["started"] == 2
    assert actual["spent"] == actual["segments"] * 7900
    file = stage.data / "consents.csv"
    stage.longwave("optouts", "export", "--out", str(file))
    with file.open(newline="") as rows:
        changes = list(csv.DictReader(rows))
    assert {row["source"] for row in changes} == {"inbound", "link", "api", "import"}
    assert all(row["evidence"] and row["at"].endswith("Z") for row in changes)
    said = [row for row in changes if row["number"] == "+14155550321"]
    assert [(row["out"], row["evidence"].rsplit(": ", 1)[1]) for row in said] == [("out", "Stop"), ("in", "start")]
    stage.longwave("optouts", "export", "--current", "--out", str(file))
    with file.open(newline="") as rows:
        assert "+14155550321" not in {row["number"] for row in csv.DictReader(rows)}
    assert "told us by phone" in file.read_text()


class Stopping:
    """People of a campaign who still wait text STOP, a few every tenth of a second, from a thread of its own."""

    def __init__(self, stage: Scene, campaign: Campaign, numbers: list[int]) -> None:
        self.acknowledged: dict[int, int] = {}
        """When (ns) the ingress had taken the STOP of each."""
        self._stage, self._campaign, self._waiting = stage, campaign, numbers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        draw = random.Random(7)
        while not self._over.wait(0.1):
            arrived = {int(item.rpartition("-")[2]) for item in self._campaign.scene.arrivals.of(self._campaign.id)}
            left = [n for ordinal, n in enumerate(self._waiting) if ordinal not in arrived]
            chosen = [n for n in draw.sample(left, min(20, len(left))) if n not in self.acknowledged]
            says(self._stage, *((number, "STOP") for number in chosen))
            self.acknowledged |= dict.fromkeys(chosen, time.time_ns())

    def late(self) -> list[float]:
        """Seconds from a STOP's answer to a message that came more than one second after it."""
        times = self._campaign.scene.arrivals.times
        numbers = dict(enumerate(self._waiting))
        actual = []
        for item, arrivals in times.items():
            campaign, _, ordinal = item.split("-")
            taken = self.acknowledged.get(numbers.get(int(ordinal), 0))
            if campaign == self._campaign.id and taken is not None:
                actual += [(at - taken) / 1e9 for at in arrivals if at > taken + 1_000_000_000]
        return actual


def test_no_stop_is_late_while_workers_are_killed_stand_still_and_go(stage: Scene) -> None:
    # Enough that many still wait when the export that names them is done.
    with stage.another_worker(1) as second, stage.sending(30_000) as campaign:
        campaign.until_arrived(500)
        numbers = _numbers(stage, campaign.id, stage.data / "stopping.csv", everybody=True)
        with Stopping(stage, campaign, numbers) as stopping:
            time.sleep(1.5)
            pid = stage.signal("worker-0", signal.SIGKILL)
            time.sleep(4)
            os.kill(second.pid, signal.SIGSTOP)
            time.sleep(3)
            os.kill(second.pid, signal.SIGCONT)
            time.sleep(1.5)
            stage.restarted("worker-0", pid)
            second.terminate()
            time.sleep(3)
        account = accounted(campaign)
    assert len(stopping.acknowledged) > 300
    assert account.states["skipped"] > 100, "too few of those who stopped still waited: nothing was tried"
    print(f"tried: {len(stopping.acknowledged)} STOPs, {account.states['skipped']} of them in time")
    assert stopping.late() == []


def _heard(stage: Scene, number: int) -> int:
    """Texts of a number that our inbound step has dealt with."""
    from confluent_kafka import Consumer, TopicPartition

    from schemas.feedback import REPLIES as CONVERSATIONS

    consumer = Consumer({"bootstrap.servers": stage.settings.kafka.bootstrap, "group.id": "reader"})
    partitions = range(stage.settings.kafka.partitions)
    ends = {p: consumer.get_watermark_offsets(TopicPartition("replies", p), timeout=10)[1] for p in partitions}
    consumer.assign([TopicPartition("replies", p, 0) for p in partitions])
    last = 0
    for _ in range(sum(ends.values())):
        record = consumer.poll(5)
        if record is not None and record.key() == str(number).encode():
            last = len(CONVERSATIONS.decode(record.value()).heard)
    consumer.close()
    return last


def _numbers(stage: Scene, campaign: str, file: Any, *, everybody: bool = False) -> list[int]:
    stage.longwave("campaign", "export", campaign, "--out", str(file))
    with file.open(newline="") as rows:
        numbers = [int(row["number"].removeprefix("+")) for row in csv.DictReader(rows)]
    return [number for number in numbers if everybody or number % 1000 >= 2]


def _press(url: str) -> None:
    with urllib.request.urlopen(url, timeout=30) as page:
        assert b"<button>" in page.read()
    with urllib.request.urlopen(urllib.request.Request(url, b""), timeout=30) as page:
        assert page.status == 200


NONE = {"states": {"delayed": 0, "queued": 0}}


def test_an_export_imports_back_to_the_same_state_and_undoes_no_later_opt_out(stage: Scene) -> None:
    def state() -> list[tuple[str, ...]]:
        stage.longwave("optouts", "export", "--current", "--out", str(current))
        with current.open(newline="") as rows:
            return sorted((r["number"], r["account"], r["hold"], r["out"]) for r in csv.DictReader(rows))

    current, history = stage.data / "current.csv", stage.data / "history.csv"
    file = stage.data / "held.csv"
    file.write_text("phone,out\n+14155554010,out\n+14155554010,in\n+14155554011,perhaps\n+14155554012,out\n")
    stage.longwave("optouts", "import", str(file))
    wait_until("it is shown", lambda: "held.csv line 5" in stage.longwave("optouts", "show", "+14155554012"))
    before = state()
    mine = {number: out for number, _, _, out in before if number.startswith("+1415555401")}
    assert mine == {"+14155554011": "held", "+14155554012": "out"}
    stage.longwave("optouts", "export", "--out", str(history))
    for exported in (history, current):
        stage.longwave("optouts", "import", str(exported))
        stage.longwave("optouts", "add", "+14155554099", "--evidence", exported.name)
        marked = partial(lambda name: name in stage.longwave("optouts", "show", "+14155554099"), exported.name)
        wait_until("all is shown", marked)
        assert [item for item in state() if item[0] != "+14155554099"] == before
    file.write_text("phone,out,at\n+14155554012,in,2026-03-01\n")
    said = json.loads(stage.longwave("optouts", "import", str(file), "--json", "-"))
    assert (said["opted_in"], said["noted"]) == (0, {"opted_out_later": 1})
