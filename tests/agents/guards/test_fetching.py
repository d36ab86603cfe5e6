"""How long a fetch may wait: long only where nothing can wait for it, on Faust's own class and on the guarded one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from faust.transport.drivers import aiokafka as driver

from adapters.settings import Settings
from agents.app import faust_app
from agents.guards import durable
from agents.guards.durable import GuardedApp
from agents.guards.fetching import BUSY_WAIT_MS, IDLE_WAIT_MS, PatientFetcher
from schemas.wire import encode
from tests.agents.worker import Ask, Bench, started, until
from tests.stack import Server


async def _nothing(*args: Any) -> None:
    pass


def test_the_driver_waits_long_without_us(tmp_path: Path) -> None:
    app = faust_app(Settings(), "waits", tmp_path, GuardedApp)
    consumer = app.transport.create_consumer(
        callback=_nothing, on_partitions_revoked=_nothing, on_partitions_assigned=_nothing
    )

    async def of(thread: type[Any]) -> int:
        made = thread(consumer, loop=asyncio.get_running_loop())._create_worker_consumer(app.transport)
        return int(made._fetch_max_wait_ms)

    assert asyncio.run(of(driver.AIOKafkaConsumerThread)) == 1500
    assert asyncio.run(of(durable._ConsumerThread)) == BUSY_WAIT_MS


@pytest.mark.parametrize(
    ("changed", "wait"),
    [
        ({}, IDLE_WAIT_MS),
        ({"records": {"lanes-1": "not taken yet"}}, BUSY_WAIT_MS),
        ({"records": {"changelog-0": "never taken"}}, IDLE_WAIT_MS),
        ({"paused": True}, BUSY_WAIT_MS),
        ({"has_valid_position": False}, BUSY_WAIT_MS),
        ({"taken": ()}, BUSY_WAIT_MS),
    ],
    ids=[
        "all are asked for",
        "one is not taken yet",
        "what nobody takes is left out",
        "one is paused",
        "one has no position",
        "they are to be sought",
    ],
)
def test_only_a_fetch_of_all_that_is_read_on_waits_long(changed: dict[str, Any], wait: int) -> None:
    calm = SimpleNamespace(has_valid_position=True, paused=False)
    other = SimpleNamespace(
        has_valid_position=changed.get("has_valid_position", True), paused=changed.get("paused", False)
    )
    states = {"lanes-0": calm, "lanes-1": other, "changelog-0": calm}
    assignment = SimpleNamespace(tps=list(states), state_value=states.__getitem__)
    fetcher: Any = Fetcher.__new__(Fetcher)
    fetcher._records = changed.get("records", {})
    PatientFetcher.guard(fetcher, lambda: changed.get("taken", ("lanes-0", "lanes-1")))
    assert fetcher._wait_ms(assignment) == wait


async def test_an_idle_consumer_waits_long_and_a_record_ends_the_wait(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "patience", tmp_path)
    app = bench.app()
    seen: list[int] = []

    async def take(stream: Any) -> None:
        async for event in stream.events():
            seen.append(event.message.offset)

    bench.agent(app, take)
    async with started(app):
        fetcher = app.consumer._thread._consumer._fetcher
        assert type(fetcher) is PatientFetcher
        await until(lambda: fetcher._fetch_max_wait_ms == IDLE_WAIT_MS)
        for n in range(5):
            await bench.ask(encode(Ask(n=n)))
            await until(lambda n=n: len(seen) == n + 1)  # type: ignore[misc]
        await until(lambda: fetcher._fetch_max_wait_ms == IDLE_WAIT_MS)
    await bench.close()
