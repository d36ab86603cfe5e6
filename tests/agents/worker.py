"""A Faust worker in the test's own event loop, with one step, on a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from adapters.errors import EmitError
from adapters.kafka import topics
from adapters.kafka.producer import Producer
from adapters.settings import Kafka, Settings
from agents.app import faust_app, raw_topic
from agents.guards.durable import AckedTable, GuardedApp
from schemas.topics import DEAD_LETTERS, Topic
from schemas.wire import Codec, Record
from tests.stack import Server

PARTITIONS = 2
QUICK_TO_COMPACT = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
}


class Ask(Record, tag="ask", kw_only=True):
    """What the steps of these tests consume."""

    n: int
    do: str = ""


ASKS: Codec[Ask] = Codec(Ask)


class Bench:
    """Topics and a group of their own (`name`) on a shared broker, and a producer."""

    def __init__(self, kafka: Server, name: str, data: Path, session_timeout: float = 6.0) -> None:
        self.kafka = Kafka(bootstrap=kafka.address, partitions=PARTITIONS, session_timeout=session_timeout)
        self.settings = Settings(kafka=self.kafka, data=data)
        self.name = name
        self.data = data
        self.asks = Topic(f"{name}-asks", "n", "what a step consumes")
        self.answers = Topic(f"{name}-answers", "n", "what it writes")
        self.log = Topic(f"{name}-log", "n", "changelog of its table", config=QUICK_TO_COMPACT)
        topics.ensure(self.kafka, [self.asks, self.answers, self.log, DEAD_LETTERS])
        self.producer = Producer(self.kafka)
        self._asking = Producer(Kafka(bootstrap=kafka.address))  # patient, whatever the time-outs under test

    async def close(self) -> None:
        await self._asking.close()
        await self.producer.close()

    def app(self, app_class: type[GuardedApp] = GuardedApp, worker: str = "0") -> Any:
        AckedTable.producer = self.producer
        return faust_app(self.settings, self.name, self.data / worker, app_class)

    def agent(self, app: Any, run: Callable[[Any], Any], topic: Topic | None = None) -> None:
        async def body(stream: Any) -> None:
            await run(stream)

        app.agent(raw_topic(app, topic or self.asks), name=f"{self.name}.{(topic or self.asks).name}")(body)

    def table(self, app: Any) -> AckedTable:
        return app.Table(  # type: ignore[no-any-return]
            "kept",
            key_type=bytes,
            value_type=bytes,
            partitions=PARTITIONS,
            changelog_topic=raw_topic(app, self.log),
        )

    async def ask(self, *raws: bytes, partition: int = 0) -> None:
        await asyncio.gather(*(self._asking.emit(self.asks.name, raw, partition=partition) for raw in raws))

    @contextlib.asynccontextmanager
    async def asking(self, server: Server, raw: bytes) -> AsyncIterator[None]:
        """Ask, for a step that stops `server` when it reads that: it may before we are told that it is written. The
        server goes on at the end."""
        asking = asyncio.create_task(self.ask(raw))
        try:
            yield
        finally:
            os.kill(server.pid, signal.SIGCONT)
            with contextlib.suppress(EmitError):
                await asking

    def committed(self, partition: int = 0) -> int:
        """The group's committed offset of the asks; -1001 where there is none."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": self.name})
        try:
            (actual,) = consumer.committed([TopicPartition(self.asks.name, partition)], timeout=10)
            return int(actual.offset)
        finally:
            consumer.close()

    def records(self, topic: Topic, wanted: int = 0, partition: int | None = None) -> list[Any]:
        """What the topic holds now, in order of each partition; waits for `wanted` records at most 15 s."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "group.id": "reader", "fetch.wait.max.ms": 50}
        )
        actual: list[Any] = []
        try:
            count = len(consumer.list_topics(topic.name, timeout=10).topics[topic.name].partitions)
            places = [TopicPartition(topic.name, n, 0) for n in range(count) if partition in (None, n)]
            ends = {place.partition: _watermarks(consumer, place) for place in places}
            consumer.assign(places)
            open_ = {n for n, (low, high) in ends.items() if high > low}
            deadline = monotonic() + 15
            while (open_ or len(actual) < wanted) and monotonic() < deadline:
                for message in consumer.consume(500, 0.1):
                    actual.append(message)
                    number = message.partition() or 0
                    if (message.offset() or 0) + 1 >= ends[number][1]:
                        open_.discard(number)
        finally:
            consumer.close()
        return actual


def _watermarks(consumer: Consumer, place: TopicPartition) -> Any:
    """Low and high offset; a broker that stood still needs a moment until it leads its partitions again."""
    deadline = monotonic() + 15
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=10)
        except KafkaException:
            if monotonic() > deadline:
                raise
            sleep(0.2)


@contextlib.asynccontextmanager
async def started(app: Any) -> AsyncIterator[Any]:
    """The app, running and with its partitions assigned."""
    await app.start()
    try:
        await until(lambda: not app.rebalancing and app.tables.recovery.completed.is_set(), 30)
        yield app
    finally:
        await app.stop()


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    """The server neither answers nor refuses, as on a broken network."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def until(reached: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for a condition; it is what the test is about, so running out of time fails the test."""
    deadline = monotonic() + seconds
    while not reached():
        assert monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)
