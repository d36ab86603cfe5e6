"""Views of a compacted topic, on a real broker."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from confluent_kafka import Producer

from adapters import topics, views
from adapters.settings import Kafka
from adapters.views import View
from schemas.topics import Topic
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
    told = list(applied)
    _write(kafka, "view-past", {0: [b"new"]})
    async with asyncio.timeout(30):
        while b"new" not in applied:
            await view.changed(1.0)
    await view.stop()
    assert sorted(told) == sorted(value for values in past.values() for value in values)
    assert applied[len(told) :] == [b"new"]
    for p, values in past.items():
        assert [value for value in told if value.startswith(b"%d-" % p)] == values


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


async def test_what_was_known_before_a_process_stood_still_is_not_current(kafka: Server) -> None:
    settings = _made(kafka, "view-still")
    view = View(settings, "view-still", lambda key, value: None)
    assert view.is_current(0), "nobody follows it"
    await view.start()
    assert not view.is_current(900), "nothing was read yet"
    await view.ready.wait()
    async with asyncio.timeout(30):
        while not view.is_current(900):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    time.sleep(views.GAP_SECONDS + 0.3)  # noqa: ASYNC251  the whole process stands still
    assert not view.is_current(60_000), "whoever runs first when it goes on"
    went_on = time.monotonic()
    async with asyncio.timeout(30):
        while not view.is_current(60_000):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert time.monotonic() - went_on >= views.FETCH_MS / 1000, (
        "an answer that was on its way is as old as what we know"
    )
    await view.stop()
    assert not view.is_current(900)
