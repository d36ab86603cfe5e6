"""Bytes that no step can read, in every topic that a step reads, in the middle of a campaign."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.kafka import topics as brokers
from schemas import topics
from schemas.deadletter import to_bytes
from tests.trouble.account import accounted
from tests.trouble.scene import Scene, wait_until

READERS = {
    topics.COMMANDS.name: "coordinator",
    topics.CAMPAIGNS.name: "writer-campaigns",
    topics.FANOUT.name: "fanout",
    topics.RECIPIENTS.name: "eligibility",
    topics.LANES.name: "lanes",
    topics.STATUSES.name: "writer-statuses",
    topics.RECEIPTS.name: "receipts",
    topics.CLICKS.name: "clicks",
    topics.INBOUND.name: "inbound",
    topics.OPTOUTS.name: "writer-consents",
    topics.REPLIES.name: "writer-replies",
    topics.ALERTS.name: "alerts",
    topics.ALERT_DELIVERIES.name: "writer-alerts",
}
"""Every topic that a step reads, and the step that gives up on what it cannot read there."""
GARBAGE = b"\xff\x00 not a record"
NEWER = b'{"kind":"work","v":99,"campaign":"00000000"}'


@pytest.fixture(scope="module")
def stage(shared_stage: Scene) -> Scene:
    return shared_stage


def test_poison_ends_in_the_dead_letters_and_its_neighbours_go_on(stage: Scene) -> None:
    put: dict[str, tuple[str, bytes]] = {}
    with stage.sending(5000) as campaign:
        campaign.until_arrived(500)
        for topic, step in READERS.items():
            for poison in (GARBAGE, NEWER):
                put[poisoned(stage, topic, campaign.id, poison)] = (step, poison)
        account = accounted(campaign, letters=len(put))
    assert account.states == {"accepted": campaign.recipients}
    for letter in stage.letters():
        step, poison = put[letter.origin]
        assert (letter.step, to_bytes(letter.value)) == (step, poison)
        assert letter.error
    # What was poisoned works on: a whole campaign goes through the same partitions.
    with stage.sending(2000) as campaign:
        assert accounted(campaign, letters=len(put)).states == {"accepted": campaign.recipients}


def test_refused_dead_letters_end_the_worker_and_nothing_is_lost(stage: Scene) -> None:
    before = len(stage.letters())
    with stage.sending(5000) as campaign:
        campaign.until_arrived(300)
        pid = stage.entry("worker-0")["pid"]
        with room_for_letters(stage, 60):
            origins = {poisoned(stage, topic, campaign.id, GARBAGE) for topic in ("receipts", "lanes")}
            wait_until("a metric says so", lambda: refused(stage) > 0)
            wait_until("the worker ended", lambda: stage.entry("worker-0").get("pid") != pid)
            assert stage.entry("worker-0")["last_exit"] == 1
            said = stage.log("worker-0")
            assert "takes no dead letters" in said
            assert "longwave dead-letters list" in said
            assert len(stage.letters()) == before
        wait_until("its successor wrote them", lambda: len(stage.letters()) == before + len(origins))
        account = accounted(campaign, letters=before + len(origins))
    assert set(account.states) <= {"accepted", "unknown"}
    actual = {letter.origin for letter in stage.letters()}
    assert origins <= actual
    stage.longwave("dead-letters", "drop", *origins)


@contextlib.contextmanager
def room_for_letters(stage: Scene, size: int) -> Iterator[None]:
    """The topic takes no record above `size` bytes inside the block."""
    topic = topics.DEAD_LETTERS
    try:
        small = replace(topic, config={**topic.config, "max.message.bytes": str(size)})
        brokers.ensure(stage.settings.kafka, [small])
        yield
    finally:
        brokers.ensure(stage.settings.kafka, [topic])


def refused(stage: Scene) -> float:
    """The worker's gauge, the greatest of its steps; 0 where it does not answer."""
    url = f"http://127.0.0.1:{stage.settings.metrics_port}/metrics"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
        mine = [line for line in lines if line.startswith("longwave_dead_letters_refused{")]
        return max((float(line.split()[-1]) for line in mine), default=0.0)
    return 0.0


def test_dead_letters_are_listed_replayed_and_dropped(stage: Scene) -> None:
    before = {item["origin"]: item for item in listed(stage)}
    assert len(before) == 2 * len(READERS)
    chosen = next(item for item in before.values() if item["topic"] == "receipts")
    assert stage.longwave("dead-letters", "replay", chosen["origin"]) == f"{chosen['origin']} replayed"
    wait_until("the replayed record came back, from its new place", lambda: len(listed(stage)) == len(before))
    (back,) = [item for item in listed(stage) if item["origin"] not in before]
    assert (back["topic"], back["partition"], back["value"]) == (
        chosen["topic"],
        chosen["partition"],
        chosen["value"],
    )
    assert back["offset"] > chosen["offset"]
    said = stage.longwave("dead-letters", "list")
    assert all(item["origin"] in said and item["step"] in said for item in listed(stage))
    stage.longwave("dead-letters", "drop", *(item["origin"] for item in listed(stage)))
    assert stage.longwave("dead-letters", "list") == "no dead letters"
    said = stage.longwave("dead-letters", "drop", chosen["origin"], code=1)
    assert said.startswith("error: no open dead letter at")


def listed(stage: Scene) -> list[dict[str, str]]:
    actual: list[dict[str, str]] = json.loads(stage.longwave("dead-letters", "list", "--json"))
    return actual


def poisoned(stage: Scene, topic: str, campaign: str, value: bytes) -> str:
    """Put `value` where the campaign's own records go; the origin that its dead letter must name."""
    # In a compacted topic a key stands for somebody: a campaign that nobody made, a number that nobody has.
    nobody = b"999999999999999"
    keys = {
        topics.CAMPAIGNS.name: b"zzzzzzzz",
        topics.OPTOUTS.name: nobody,
        topics.REPLIES.name: nobody,
        topics.ALERT_DELIVERIES.name: b"nobody/alert",
    }
    key = keys.get(topic, campaign.encode())
    explicit = topic in (topics.LANES.name, topics.RECIPIENTS.name)
    partition, offset = stage.produce(topic, value, key=key, partition=0 if explicit else -1)
    return f"{topic}/{partition}/{offset}"
