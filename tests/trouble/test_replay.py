"""Each consumer group's topics read again from their beginning, one after the other, on the whole stack: no figure
changes, nobody's state does, nothing is sent, reserved or put aside; whatever people have told us since."""

from __future__ import annotations

import contextlib
import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import psutil
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from adapters.clickhouse import Store
from adapters.clickhouse.export import export
from adapters.kafka.accounts import stored_accounts
from agents import app, writer_app
from devstack import record
from loadtest.aggregator.record import entries
from pipeline.limits.smart_sending import HOUR
from schemas import topics
from schemas.accounts import key_of
from tests.trouble.account import accounted
from tests.trouble.scene import MESSAGE, Campaign, Scene, scene, wait_until
from tests.trouble.test_money import PREPAID, period
from tests.trouble.test_opt_outs import replied, says

SCRIPT = """
idempotency_keys = false
[receipts]
delay = {median = 0.3}
[clicks]
people = 0.05
bots = 0.05
delay = {median = 2.0, least = 2.0}
"""
GROUPS = {"worker-0": app.GROUP, "writer": writer_app.GROUP}
WORKER = (
    "account-commands", "commands", "ledger-commands", "fanout", "recipients", "lanes", "receipts", "clicks",
    "inbound",
)  # fmt: skip
WRITER = ("statuses", "campaigns", "optouts", "replies", "inbound", "unreachable", "ledger", "audit")
ROUNDS = [
    (("account-commands", "commands"), ("statuses", "audit")),
    (("fanout",), ("campaigns",)),
    (("ledger-commands",), ("ledger",)),
    (("recipients",), ("optouts",)),
    (("lanes",), ("replies",)),
    (("receipts", "clicks", "inbound"), ("inbound",)),
]
"""What is read again at a time, by the worker and by the writer, to save starts: which of them it was is told by what
changed."""
OUT = 12
TIMES = ("as_of", "age_seconds", "newest_at", "inserted_at")
LAST_WORD = 2.5
"""Seconds from when a message was delivered until whoever follows its link has done so."""


@dataclass
class Story:
    """What happened before anything is read again."""

    stage: Scene
    admin: AdminClient
    campaigns: dict[str, str] = field(default_factory=dict)
    """What it is → id."""
    under_way: Campaign = None  # type: ignore[assignment]
    before: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """All that must stay as it is."""
        store = Store(self.stage.settings.clickhouse)
        try:
            people = {what: _people(store, campaign) for what, campaign in self.campaigns.items()}
            consents = store.rows(
                "SELECT DISTINCT number, account, hold, at, state, source, evidence FROM consents ORDER BY ALL"
            )
            audited = store.rows(
                "SELECT DISTINCT id, at, key_id, who, path, campaign, status FROM audit ORDER BY ALL"
            )
        finally:
            store.close()
        shown = {what: self.stage.api.get(f"/v1/campaigns/{campaign}") for what, campaign in self.campaigns.items()}
        return {
            "status": {what: (item["status"], item["reason"]) for what, item in shown.items()},
            "figures": {what: _lasting(item["figures"]) for what, item in shown.items()},
            "people": people,
            "replies": [_lasting(item) for item in self.stage.api.get("/v1/replies")["senders"]],
            "consents": [tuple(map(str, row)) for row in consents],
            "audited": [tuple(map(str, row)) for row in audited],
            "reservations": self.reservations(),
            "balance": self.stage.api.get("/v1/accounts/demo/balance"),
            "statement": self.stage.api.get("/v1/accounts/demo/statement?size=1000&" + period()),
            "accounts": {key_of(item): item for item in stored_accounts(self.stage.settings.kafka)},
            "arrivals": sum(len(entry.outcomes) for entry in entries(self.stage.data / "aggregator")),
            "dead letters": [(letter.origin, letter.error) for letter in self.stage.letters()],
        }

    def reservations(self) -> dict[bytes, bytes]:
        """Each bucket's, by the changelog of their table."""
        partitions = range(self.stage.settings.kafka.partitions)
        places = [TopicPartition(topics.RESERVATIONS.name, partition, 0) for partition in partitions]
        reader = Consumer({"bootstrap.servers": self.stage.settings.kafka.bootstrap, "group.id": "reader"})
        ends = {place.partition: reader.get_watermark_offsets(place, timeout=10)[1] for place in places}
        reader.assign(places)
        newest: dict[bytes, bytes] = {}
        while any(item.offset < ends[item.partition] for item in reader.position(places) if ends[item.partition]):
            for message in reader.consume(500, 0.1):
                assert message.error() is None
                newest[message.key() or b""] = message.value() or b""
        reader.close()
        return newest

    # Kafka's consumer groups

    def committed(self, group: str) -> dict[TopicPartition, int]:
        asked = [ConsumerGroupTopicPartitions(group)]
        [actual] = self.admin.list_consumer_group_offsets(asked).values()
        return {
            _place(position): position.offset
            for position in actual.result(30).topic_partitions
            if position.offset >= 0
        }

    def lag(self) -> dict[str, int]:
        """Records that somebody has still to deal with, by topic. A lane's offset is its low-water mark, so it is not
        told by that how far it was read."""
        committed = [pair for group in GROUPS.values() for pair in self.committed(group).items()]
        ends = self.admin.list_offsets({item: OffsetSpec.latest() for item, _ in committed})
        actual = {place: ends[place].result(30).offset for place in ends}
        left: dict[str, int] = {}
        for place, offset in committed:
            if place.topic != topics.LANES.name and actual[place] > offset:
                left[place.topic] = left.get(place.topic, 0) + actual[place] - offset
        return left

    def rest(self) -> None:
        """Wait until everything that follows from what was read is done, and stays so."""
        quiet = 0

        def done() -> bool:
            nonlocal quiet
            quiet = 0 if self.lag() else quiet + 1
            return quiet >= 4

        wait_until("nothing is left to be read", done, pause=0.4)

    def settled(self) -> None:
        """Wait until the last receipt and click came, and take down what is the case then."""
        for _ in range(8):
            self.before = self.facts()
            time.sleep(LAST_WORD)
            self.rest()
            changed = self.changed()
            if not changed:
                return
        raise AssertionError(f"it does not come to rest: {changed}")

    def changed(self) -> dict[str, list[str]]:
        """What is not as it was."""
        now = self.facts()
        return {what: differences(was, now[what]) for what, was in self.before.items() if now[what] != was}

    def read_again(self, process: str, topic: str) -> None:
        """Put the group's offsets of a topic to its beginning; the process must be away."""
        group = GROUPS[process]
        count = (
            self.stage.settings.kafka.lanes if topic == topics.LANES.name else self.stage.settings.kafka.partitions
        )
        places = [TopicPartition(topic, partition) for partition in range(count)]
        begins = self.admin.list_offsets({place: OffsetSpec.earliest() for place in places})
        first = [
            TopicPartition(item.topic, item.partition, future.result(30).offset) for item, future in begins.items()
        ]

        def reset() -> bool:
            with contextlib.suppress(KafkaException):  # until the group has noticed that its member is gone
                done = self.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, first)])
                return all(
                    not position.error for future in done.values() for position in future.result(30).topic_partitions
                )
            return False

        wait_until(f"{group} is read again from the beginning of {topic}", reset, 40)

    @contextlib.contextmanager
    def ended(self, *names: str) -> Iterator[None]:
        """The processes are stopped in good order, and stay away inside the block, because their supervisor sleeps;
        at the end they are ready again."""
        supervisor = psutil.Process((record.read(self.stage.data) or {})["pid"])
        supervisor.suspend()
        try:
            pids = {name: self.stage.signal(name, signal.SIGTERM) for name in names}
            for name, pid in pids.items():
                wait_until(f"{name} ended", lambda: _gone(pid), 40)  # noqa: B023
            yield
        finally:
            supervisor.resume()
        for name, pid in pids.items():
            self.stage.restarted(name, pid)

    def lanes_owned(self) -> bool:
        """Whether the worker has read each lane's log up to its own claim of it."""
        url = f"http://127.0.0.1:{self.stage.settings.metrics_port}/metrics"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
            epochs = [float(line.split()[-1]) for line in lines if line.startswith("longwave_lane_epoch{")]
            return len(epochs) == len(self.stage.stack.sender().lanes) and all(epochs)
        return False


def differences(before: Any, now: Any) -> list[str]:
    """Where two values differ, the first few."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in before.keys() | now.keys() if before.get(key) != now.get(key)]
        return [f"{key}: {differences(before.get(key), now.get(key))}" for key in keys[:5]]
    if isinstance(before, list) and isinstance(now, list):
        return [f"{a} -> {b}" for a, b in zip_longest(before, now) if a != b][:5]
    return [f"{before} -> {now}"]


def _place(position: TopicPartition) -> TopicPartition:
    return TopicPartition(position.topic, position.partition)


def _gone(pid: int) -> bool:
    """Ended, though nobody has asked yet with what."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def _lasting(figures: dict[str, Any]) -> dict[str, Any]:
    """Without when they were looked at, and when the newest status came, which a repetition may well move."""
    return {name: value for name, value in figures.items() if name not in TIMES}


def _people(store: Store, campaign: str) -> list[tuple[Any, ...]]:
    columns = ("number", "ordinal", "state", "reason", "segments", "price", "aggregator_id")
    return [tuple(row[name] for name in columns) for batch in export(store, campaign) for row in batch.to_pylist()]


def _launched(stage: Scene, recipients: int, **spec: Any) -> Campaign:
    draft = stage.draft(recipients, **spec)
    stage.api.send("POST", f"/v1/campaigns/{draft.id}/launch")
    return draft


def _to_lists(stage: Scene, lists: list[str], recipients: int) -> Campaign:
    body = {"name": "again", "audience": {"lists": lists}, "messages": [MESSAGE], "smart_sending_hours": 8}
    made = stage.api.send("POST", "/v1/campaigns", json.dumps(body).encode())
    # The review may come before the last places are given back.
    stage.api.send("POST", f"/v1/campaigns/{made['id']}/launch", allow_empty=True)
    return Campaign(stage, made["id"], recipients)


def _lists(campaign: Campaign) -> list[str]:
    actual: list[str] = campaign.show()["spec"]["audience"]["lists"]
    return actual


def _first_number(campaign: Campaign) -> int:
    return int(_lists(campaign)[0].removeprefix("list-"))


def _ended(campaign: Campaign) -> dict[str, Any]:
    return campaign.until("it is finished", lambda shown: shown["status"] == "finished")


def _opt_out(stage: Scene, numbers: list[int]) -> None:
    stage.longwave("optouts", "add", *(f"+{number}" for number in numbers), "--evidence", "told us by phone")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One campaign to everybody, one whose people mostly had that one, one canceled while it waited, one to whom
    that left free, and one that is paused in the middle; then people of each opt out, and one comes back."""
    with scene(tmp_path_factory.mktemp("replay"), SCRIPT, changes=PREPAID) as stage:
        reported = Story(stage, AdminClient({"bootstrap.servers": stage.settings.kafka.bootstrap}))
        _happens(reported)
        reported.settled()
        reported.under_way.looks.start()
        yield reported
        reported.under_way.looks.stop()


def _accounts_change(stage: Scene) -> None:
    """An account comes, changes and goes, twice. It must not stay: then a START would not open every account."""
    for name in ("One", "Two"):
        stage.api.send("PUT", "/v1/accounts/extra", json.dumps({"site_name": name}).encode())
        number = json.dumps({"number": "+18885550155", "lanes": [0]}).encode()
        stage.api.send("PUT", "/v1/accounts/extra/senders/zz", number)
        stage.api.send("DELETE", "/v1/accounts/extra")
    stage.api.send("PUT", "/v1/prices/eu", b'{"prices": [{"from": "2026-01-01", "country": "FR", "price": "0.1"}]}')


def _happens(story_: Story) -> None:
    _accounts_change(story_.stage)
    stage, hours = story_.stage, {"smart_sending_hours": 8}
    stage.api.send("POST", "/v1/accounts/demo/top-ups", b'{"amount": "1000"}')
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + HOUR / 1000 / 12))
    draft = stage.draft(300, **hours)
    first = _first_number(draft)
    waiting = _launched(stage, 200, send_at=later, **hours)
    _opt_out(stage, list(range(first, first + OUT)))
    stage.api.send("POST", f"/v1/campaigns/{draft.id}/launch")
    story_.under_way = _launched(stage, 6000)
    story_.under_way.until_arrived(500)
    stage.api.send("POST", f"/v1/campaigns/{story_.under_way.id}/pause")
    waiting.until(
        "all wait", lambda shown: (shown["figures"] or {"states": {"delayed": 0}})["states"]["delayed"] == 200
    )
    stage.longwave("campaign", "cancel", waiting.id)
    assert _ended(draft)["figures"]["states"]["skipped"] == OUT
    second = _to_lists(stage, [*_lists(draft), *_lists(waiting)], 500)
    assert _ended(second)["figures"]["states"]["skipped"] == 300
    story_.campaigns = {"first": draft.id, "canceled": waiting.id, "second": second.id, "paused": story_.under_way.id}
    states = {row[0]: row[2] for row in _of(story_, "paused")}
    sent, still = ([number for number, state in states.items() if (state == "queued") == queued] for queued in (0, 1))
    assert len(sent) >= 500
    assert len(still) > 500
    out = [first + OUT, first + OUT + 1, sent[0], still[0]]
    says(stage, *((number, "STOP") for number in out))
    _opt_out(stage, [first + OUT + 2, sent[1], still[1]])
    says(stage, (first, "START"))
    for number in (*out, first):
        replied(stage, number, 1)
    # Of those who stopped, two had the first campaign's message last, and one that of the one that is paused.
    wait_until("STOPs count for their campaigns", lambda: _stopped(story_) == {"first": 2, "paused": 1})
    wait_until("all replies are charged", lambda: _charged_replies(stage) == len(out) + 1)


def _charged_replies(stage: Scene) -> int:
    """How many the ledger was told of, which looks for them now and then only."""
    items = stage.api.get("/v1/accounts/demo/statement?size=1000&" + period())["items"]
    return sum(item["messages"] for item in items if item["name"] == "replies")


def _stopped(story_: Story) -> dict[str, int]:
    shown = {what: story_.stage.api.get(f"/v1/campaigns/{campaign}") for what, campaign in story_.campaigns.items()}
    counts = {what: item["figures"]["opted_out"] for what, item in shown.items() if item["figures"]}
    return {what: count for what, count in counts.items() if count}


def _of(story_: Story, what: str) -> list[tuple[Any, ...]]:
    store = Store(story_.stage.settings.clickhouse)
    try:
        return _people(store, story_.campaigns[what])
    finally:
        store.close()


def test_nothing_that_is_read_by_a_group_is_left_out_here(story: Story) -> None:
    for process, known in (("worker-0", WORKER), ("writer", WRITER)):
        actual = {place.topic for place in story.committed(GROUPS[process])}
        assert actual - {topics.LANES.name} == {*known} - {topics.LANES.name}


@pytest.mark.parametrize(("steps", "written"), ROUNDS, ids="-".join)
def test_read_again_it_changes_no_figure_and_sends_nothing(
    story: Story, steps: tuple[str, ...], written: tuple[str, ...]
) -> None:
    again = {("worker-0", step) for step in steps} | {("writer", topic) for topic in written}
    with story.ended(*GROUPS):
        for process, topic in again:
            story.read_again(process, topic)
        assert {topic for _, topic in again} - {topics.LANES.name} <= story.lag().keys()
    wait_until("the lanes are owned", story.lanes_owned)
    story.rest()
    changed = story.changed()
    assert not changed, f"reading {sorted(again)} again changed {changed}"


def test_and_the_campaign_under_way_ends_as_if_nothing_had_been_read_again(story: Story) -> None:
    paused = story.under_way
    story.stage.longwave("campaign", "resume", paused.id)
    account = accounted(paused, ends=("finished",))  # until then receipts change what is exported
    # Two of those that still waited have opted out since.
    assert account.states["skipped"] == 2
    assert account.unknown == set()
    assert len(paused.scene.arrivals.of(paused.id)) == paused.recipients - 2
