"""`longwave bench pipe`: the bare hops of the whole way.

The same bytes over the same topics, the same requests to the same aggregator, the same inserts into ClickHouse, with
no logic between them.

One process relays (as the worker does), another inserts (as the writer does):
recipients → lane WORK → INTENT → read back → HTTP batch → RESULT → read back; a status record for each of queued,
in flight and accepted → ClickHouse.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from typing import Any

import uvloop
from aiokafka import TopicPartition

from adapters import http
from adapters.aggregators import signing
from adapters.clickhouse import Store
from adapters.clickhouse.statuses import StatusSink
from adapters.clock import now_ms
from adapters.kafka.producer import Producer
from adapters.kafka.reading import reader
from adapters.settings import Settings
from agents.writer import SECONDS
from loadtest.aggregator.phone import shared_secret
from loadtest.bench.report import Result
from loadtest.bench.samples import Samples, samples
from loadtest.bench.stack import private_stack
from schemas.status import STATUSES

RECIPIENTS, LANES, STATUS = "recipients", "lanes", "statuses"
IN_FLIGHT = 8
WINDOW = 32
CAMPAIGN = "0000bare"


def run(recipients: int = 500_000) -> Result:
    """The bare rate alone."""
    rate = measure(recipients)
    return Result(
        name="pipe",
        figure=round(rate, 1),
        unit="recipients/s",
        limit=None,
        ratio=None,
        required="none: it is the limit that `whole` is compared with",
        ok=True,
        inputs={"recipients": recipients, "chunk": 500},
    )


def measure(recipients: int) -> float:
    """Recipients per second through the bare pipe, from the first record sent to the last one inserted."""
    chunks = recipients // 500
    with private_stack("", only=("kafka", "clickhouse", "aggregator")) as stack:
        spawn = multiprocessing.get_context("spawn")
        times: Queue[float] = spawn.Queue()
        bodies = (_insert, _relay)
        processes = [spawn.Process(target=_in_loop, args=(body, stack.settings, chunks, times)) for body in bodies]
        for process in processes:
            process.start()
        try:
            began, ended = sorted(times.get(timeout=120 + recipients / 1000) for _ in processes)
        finally:
            for process in processes:
                process.join(10)
                if process.is_alive():
                    process.kill()
    return chunks * 500 / (ended - began)


def _in_loop(body: Callable[..., Any], *args: Any) -> None:
    uvloop.run(body(*args))


async def _relay(settings: Settings, chunks: int, times: Queue[float]) -> None:
    hops = _Hops(settings, samples())
    times.put(time.monotonic())
    await hops.run(chunks)


class _Hops:
    def __init__(self, settings: Settings, sizes: Samples) -> None:
        self._settings = settings
        self._secret = shared_secret(settings)
        self._samples = sizes
        self._producer = Producer(settings.kafka)
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self, chunks: int) -> None:
        self._session = http.session()
        feed = asyncio.create_task(self._feed(chunks))
        recipients = asyncio.create_task(self._each(RECIPIENTS, chunks, self._work))
        await self._each(LANES, 3 * chunks, self._lane)
        await asyncio.gather(feed, recipients)
        await self._session.close()
        await self._producer.close()

    async def _feed(self, chunks: int) -> None:
        window = asyncio.Semaphore(WINDOW)
        for _ in range(chunks):
            await window.acquire()
            future = self._producer.send(RECIPIENTS, self._samples.recipients, partition=0)
            future.add_done_callback(lambda _: window.release())

    async def _each(self, topic: str, count: int, take: Callable[[bytes], Any]) -> None:
        consumer = reader(self._settings.kafka, fetch_max_wait_ms=50, max_partition_fetch_bytes=4_194_304)
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        while count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    await take(record.value)
                    count -= 1
        await consumer.stop()

    async def _work(self, value: bytes) -> None:
        await self._producer.send(LANES, self._samples.work, partition=0)

    async def _lane(self, value: bytes) -> None:
        kind = value[:1]
        if kind == self._samples.work[:1]:
            self._producer.send(LANES, self._samples.intent, partition=0)
            self._producer.send(STATUS, self._samples.queued)
        elif kind == self._samples.intent[:1]:
            self._producer.send(STATUS, self._samples.in_flight)
            await self._slots.acquire()
            self._task = asyncio.create_task(self._post())
        else:
            self._producer.send(STATUS, self._samples.accepted)

    async def _post(self) -> None:
        aggregator = self._settings.aggregators["local"]
        body = self._samples.batch()
        headers = {"Content-Type": "application/json"} | signing.signed(self._secret, now_ms(), body)
        async with self._session.post(aggregator.url, data=body, headers=headers) as answer:
            await answer.read()
        self._producer.send(LANES, self._samples.result, partition=0)
        self._slots.release()


async def _insert(settings: Settings, chunks: int, times: Queue[float]) -> None:
    sink = StatusSink(Store(settings.clickhouse))
    consumer = reader(settings.kafka, STATUS, max_partition_fetch_bytes=4_194_304)
    await consumer.start()
    left = 3 * chunks
    while left:
        await asyncio.sleep(SECONDS)
        batch = [r.value for records in (await consumer.getmany(timeout_ms=200)).values() for r in records]
        if batch:
            await asyncio.to_thread(sink.insert, [STATUSES.decode(value) for value in batch])
            left -= len(batch)
    times.put(time.monotonic())
    await consumer.stop()
