"""Views of a compacted topic, on a real broker."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from confluent_kafka import Producer

from adapters.kafka import topics, views
from adapters.kafka.keys import KeyView
from adapters.kafka.producer import Producer as Sender
from adapters.kafka.views import View
from adapters.settings import Kafka
from schemas.keys import ApiKey
from schemas.topics import KEYS, Topic
from tests.stack import Server

PARTITIONS = 16


def _made(kafka: Server, name: str) -> Kafka:
    settings = Kafka(bootstrap=kafka.address, partitions=PARTITIONS)
    topics.ensure(settings, [Topic(name, "key", "things")])
    return settings


def _write(kafka: Server, name: str, records: dict[int, list[bytes]]) -> None:
    """`records` by partition; each is its own key."""
    producer = Producer({"bootstrap.servers": kafka.address})
    for partition, values in records.items():
        for value in values:
            producer.produce(name, value, value, partition)
    assert producer.flush(20) == 0


async def _until_ready(view: View) -> None:
    await view.start()
    async with asyncio.timeout(30):
        await view.ready.wait()


async def test_the_past_of_every_partition_has_been_read_before_it_is_ready(kafka: Server) -> None:
    settings = _made(kafka, "view-past")
    past = {p: [b"%d-%d" % (p, n) for n in range(p)] for p in range(PARTITIONS)}
    _write(kafka, "view-past", past)
    applied: list[bytes] = []
    view = View(settings, "view-past", lambda key, value: applied.append(value or b""))
    await _until_ready(view)
    reported = list(applied)
    _write(kafka, "view-past", {0: [b"new"]})
    async with asyncio.timeout(30):
        while b"new" not in applied:
            await view.changed(1.0)
    await view.stop()
    assert sorted(reported) == sorted(value for values in past.values() for value in values)
    assert applied[len(reported) :] == [b"new"]
    for p, values in past.items():
        assert [value for value in reported if value.startswith(b"%d-" % p)] == values


async def test_an_empty_topic_is_ready_without_a_fetch_for_each_partition(
    kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch of nothing takes half a second, and every process waits for its views before it works."""
    fetches = 0
    fetch = Fetcher._proc_fetch_request

    def counted(self: Fetcher, *words: Any) -> Any:
        nonlocal fetches
        fetches += 1
        return fetch(self, *words)

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", counted)
    view = View(_made(kafka, "view-empty"), "view-empty", lambda key, value: None)
    await _until_ready(view)
    await view.stop()
    assert fetches < PARTITIONS / 2


async def test_after_a_failure_it_goes_on_where_it_was(kafka: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "RETRY_SECONDS", 0.01)
    settings = _made(kafka, "view-again")
    _write(kafka, "view-again", {p: [b"%d-a" % p, b"%d-b" % p] for p in range(3)})
    applied: list[bytes] = []
    failures = iter([OSError("the connection is lost")])

    def apply(key: bytes, value: bytes | None) -> None:
        if key == b"1-b" and (failure := next(failures, None)):
            raise failure
        applied.append(key)

    view = View(settings, "view-again", apply)
    await _until_ready(view)
    await view.stop()
    assert sorted(applied) == [b"%d-%s" % (p, x) for p in range(3) for x in (b"a", b"b")]


async def test_after_a_defect_it_goes_on_where_it_was(kafka: Server, caplog: pytest.LogCaptureFixture) -> None:
    settings = _made(kafka, "view-defect")
    applied: list[bytes] = []
    failures = [ValueError("a defect"), ValueError("again")]

    def apply(key: bytes, value: bytes | None) -> None:
        if key == b"second" and failures:
            raise failures.pop()
        applied.append(key)

    view = View(settings, "view-defect", apply)
    _write(kafka, "view-defect", {0: [b"first", b"second", b"third"]})
    await _until_ready(view)
    assert applied == [b"first", b"second", b"third"]
    assert not failures
    assert "view of view-defect failed, and goes on from where it is" in caplog.text
    await view.stop()


async def test_it_is_current_only_with_all_that_was_acknowledged_until_then(kafka: Server) -> None:
    settings = _made(kafka, "view-still")
    applied: list[bytes] = []
    view = View(settings, "view-still", lambda key, value: applied.append(key), aging=True)
    assert view.is_current(0), "nobody follows it"
    await view.start()
    assert not view.is_current(900), "nothing was read yet"
    await view.ready.wait()
    for turn in range(3):
        await _until_current(view, 600)
        _write(kafka, "view-still", {turn: [b"while it stood still %d" % turn]})
        time.sleep(0.7)  # noqa: ASYNC251  the loop stands still
        assert not view.is_current(600), "whoever runs first when it goes on"
        await _until_current(view, 600)
        assert len(applied) == turn + 1
    await view.stop()
    assert not view.is_current(60_000)


async def test_a_slow_event_loop_still_knows_what_is_new(kafka: Server) -> None:
    view = View(_made(kafka, "view-busy"), "view-busy", lambda key, value: None, aging=True)
    await _until_ready(view)
    ages = []
    until = time.monotonic() + 4
    while time.monotonic() < until:
        time.sleep(0.15)  # noqa: ASYNC251
        await asyncio.sleep(0)
        ages.append(view.is_current(750))
    await view.stop()
    assert ages.count(False) <= len(ages) / 10


async def test_without_its_brokers_it_grows_old_and_recovers(kafka: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "RETRY_SECONDS", 0.01)
    view = View(_made(kafka, "view-away"), "view-away", lambda key, value: None, aging=True)
    await _until_ready(view)
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            while view.is_current(750):
                await view.changed(0.1)
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    await _until_current(view, 750)
    await view.stop()


async def _until_current(view: View, within_ms: int) -> None:
    async with asyncio.timeout(30):
        while not view.is_current(within_ms):
            await view.changed(0.1)


async def test_of_several_claims_to_be_the_first_key_the_log_says_which_holds(
    kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(KEYS, name="keys-that-are-claimed")
    monkeypatch.setattr("schemas.topics.KEYS", own)
    settings = Kafka(bootstrap=kafka.address, partitions=PARTITIONS)
    topics.ensure(settings, [own])
    producer = Sender(settings, lambda _: None)
    processes = [KeyView(settings) for _ in range(4)]
    for view in processes:
        await view.start()
        await view.ready()
    claims = [
        ApiKey(id=f"0000000{place}", name="first", hash=f"{place}" * 64, scopes=["admin"], created=place)
        for place in range(len(processes))
    ]
    async with asyncio.timeout(60):
        pairs = zip(processes, claims, strict=True)
        winners = await asyncio.gather(*(view.claim_first(producer, claim) for view, claim in pairs))
    assert len({winner.id for winner in winners}) == 1
    assert winners[0] in claims
    assert [view.all() for view in processes] == [[]] * 4, "a claim is no key"
    late = KeyView(settings)
    await late.start()
    await late.ready()
    async with asyncio.timeout(60):
        assert await late.claim_first(producer, claims[-1]) == winners[0]
    for view in (*processes, late):
        await view.stop()
    await producer.close()
