"""Views: a compacted topic read whole into memory by each process that needs it, and kept up to date.

A Faust GlobalTable would hold the same, but only inside a Faust app and in Faust's recovery; the API, the ingress
and the lanes need the same truth, and opt-outs need packed memory. A view has no consumer group and commits
nothing: it starts from the beginning each time.

A view reads in a thread of its own: an event loop that is busy with texts and batches turns a few times a second,
and a fetch takes several turns, so that what such a process knows would be older than it may be. Records are applied
in the loop that started the view.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from math import inf
from threading import Thread
from typing import Any, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from adapters import logs
from adapters.clock import boot_seconds
from adapters.kafka.reading import reader
from adapters.settings import Kafka
from schemas import topics
from schemas.campaign import CAMPAIGNS, CampaignDocument
from schemas.wire import Codec, DecodeError

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
FETCH_MS = 2000
"""Milliseconds that a broker holds a fetch without records. New ones end it at once; a shorter one only costs every
process and the broker some CPU while nothing happens."""
CURRENT_FETCH_MS = 200
"""The same where the view's age matters: what the brokers have is asked again after each such fetch."""
RECORDS_AT_ONCE = 5000
"""Applied without a break: some 20 ms in which nothing else runs."""

logs.limit()

A = TypeVar("A")
R = TypeVar("R")
Fetched = dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]


class View:
    """Follows one topic; calls `apply(key, value)` for each record in order of its partition."""

    def __init__(
        self, kafka: Kafka, topic: str, apply: Callable[[bytes, bytes | None], None], *, aging: bool = False
    ) -> None:
        """`aging`: `is_current` will be asked, so the brokers are asked again and again what there is."""
        self._kafka = kafka
        self._topic = topic
        self._apply = apply
        self._aging = aging
        self._fetch_ms = CURRENT_FETCH_MS if aging else FETCH_MS
        self._positions: dict[int, int] = {}
        self._advanced = asyncio.Event()
        """Set, and another put in its place, when there is anything new."""
        self._home: asyncio.AbstractEventLoop | None = None
        self._reader: _Reader | None = None
        self._known_at = -inf
        """All that the brokers had at that time (`boot_seconds`) has been applied."""
        self.ready = asyncio.Event()
        """Set when everything that was in the topic at the start has been read."""

    async def start(self) -> None:
        """Begin to follow; returns at once (wait for `ready` where the past matters)."""
        self._home = asyncio.get_running_loop()
        self._reader = _Reader(self._follow, f"view-{self._topic}")

    def is_current(self, within_ms: int) -> bool:
        """Whether all that the brokers had `within_ms` ago has been applied.

        It holds for a process that stood still (stopped, its machine asleep) as well: the age counts from before the
        brokers were asked.
        """
        if self._reader is None:
            return True  # nobody follows: a test or a simulation
        return boot_seconds() - self._known_at <= within_ms / 1000

    async def stop(self) -> None:
        if self._reader is not None:
            await self._reader.stop()
            self._known_at = -inf

    async def changed(self, timeout: float) -> bool:
        """Wait until anything new was applied, or is known to be all there is; False when `timeout` seconds passed
        first."""
        try:
            # Not `wait_for`: until Python 3.12 it may swallow the cancellation of who waits.
            async with asyncio.timeout(timeout):
                await self._advanced.wait()
        except TimeoutError:
            return False
        return True

    def _take(self, fetched: Fetched) -> None:
        for partition, records in fetched.items():
            for record in records:
                if record.key is not None:
                    self._apply(record.key, record.value)
                self._positions[partition.partition] = record.offset + 1
        self._advance()

    def _know(self, asked_at: float) -> None:
        self._known_at = asked_at
        self.ready.set()
        self._advance()

    def _advance(self) -> None:
        self._advanced.set()
        self._advanced = asyncio.Event()

    # What follows runs in the reader's thread.

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                log.warning("view of %s waits for Kafka: %s", self._topic, error)
            except Exception:
                # A defect. A view that ends would leave its process with what it knew then, and nobody would hear.
                log.exception("view of %s failed, and goes on from where it is", self._topic)
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        consumer = reader(self._kafka, fetch_max_wait_ms=self._fetch_ms, max_partition_fetch_bytes=4_194_304)
        try:
            await consumer.start()
            partitions = [TopicPartition(self._topic, p) for p in sorted(await self._partitions(consumer))]
            asked_at = boot_seconds()
            # Asked before anything is fetched: whatever follows a fetch waits until it has ended, seconds later.
            ends = await consumer.end_offsets(partitions)
            consumer.assign(partitions)
            # The others begin at the beginning (`auto_offset_reset`), without a `seek_to_beginning` that would wait.
            for partition in partitions:
                if partition.partition in self._positions:
                    consumer.seek(partition, self._positions[partition.partition])
            await self._catch_up(consumer, ends, asked_at)
            while True:
                await self._apply_next(consumer)
                if self._aging:
                    asked_at = boot_seconds()
                    await self._catch_up(consumer, await consumer.end_offsets(partitions), asked_at)
        finally:
            await consumer.stop()

    async def _partitions(self, consumer: AIOKafkaConsumer) -> set[int]:
        while True:
            metadata = await consumer._client.fetch_all_metadata()
            partitions: set[int] | None = metadata.partitions_for_topic(self._topic)
            if partitions:
                return partitions
            await asyncio.sleep(RETRY_SECONDS)

    async def _catch_up(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], asked_at: float) -> None:
        """Apply all records before the `ends` that the brokers were asked for at `asked_at` (`boot_seconds`)."""
        while not await _reached(consumer, ends):
            await self._apply_next(consumer)
        await self._at_home(self._know, asked_at)

    async def _apply_next(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=self._fetch_ms, max_records=RECORDS_AT_ONCE)
        if fetched:
            await self._at_home(self._take, fetched)

    async def _at_home(self, step: Callable[[A], None], value: A) -> None:
        """Run a step in the event loop that started the view."""
        assert self._home is not None, "the view is not started"
        done: Future[None] = Future()

        def run() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                step(value)
                done.set_result(None)
            except Exception as error:  # noqa: BLE001  the reader raises it
                done.set_exception(error)

        self._home.call_soon_threadsafe(run)
        await asyncio.wrap_future(done)


async def _reached(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True


class _Reader:
    """A thread with an event loop of its own, in which one coroutine runs until it is stopped."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._run = run
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        # A daemon: a process that ends without stopping its views does not wait for them.
        self._thread = Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the coroutine and the thread."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        await asyncio.to_thread(self._thread.join)

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        running = asyncio.create_task(self._run())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


class RecordView(Generic[R]):
    """The newest record of each key of a compacted topic."""

    def __init__(self, kafka: Kafka, topic: str, codec: Codec[R]) -> None:
        self._topic = topic
        self._codec = codec
        self._records: dict[str, R] = {}
        self._view = View(kafka, topic, self.apply)

    async def start(self) -> None:
        await self._view.start()

    async def ready(self) -> None:
        """Wait until the past has been read."""
        await self._view.ready.wait()

    async def stop(self) -> None:
        await self._view.stop()

    async def changed(self, timeout: float) -> bool:
        """Wait until a record came; False when `timeout` seconds passed first."""
        return await self._view.changed(timeout)

    def get(self, key: str) -> R | None:
        return self._records.get(key)

    async def wait_for(self, key: str, wanted: Callable[[R | None], bool], timeout: float) -> R | None:
        """The record as soon as `wanted` holds for it.

        Raises:
            TimeoutError: it did not within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not wanted(self.get(key)):
                await self._view.changed(timeout=0.2)
        return self.get(key)

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the topic."""
        name = key.decode("ascii", "replace")
        if value is None:
            self._records.pop(name, None)
            return
        try:
            record = self._codec.decode(value)
        except DecodeError as error:
            # Of a newer version: that must not stop an older process.
            log.error("a record of %s in topic %s was not understood: %s", name, self._topic, error)
            self._misread(name)
            return
        self._keep(name, record)

    def _misread(self, key: str) -> None:
        """What follows where the newest record of a key cannot be read: the one before stays."""

    def _keep(self, key: str, record: R) -> None:
        self._records[key] = record


class CampaignView(RecordView[CampaignDocument]):
    """Every campaign's newest document."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(kafka, topics.CAMPAIGNS.name, CAMPAIGNS)
        self._retries: dict[str, set[str]] = {}
        """By the campaign that they try again; those that were deleted stay in it."""

    def all(self) -> list[CampaignDocument]:
        """Every campaign, newest first; those of one moment by id."""
        return sorted(self._records.values(), key=lambda d: (-d.created, d.id))

    def retries(self, campaign: str) -> list[CampaignDocument]:
        """The retries of a campaign, oldest first."""
        known = (self.get(name) for name in self._retries.get(campaign, ()))
        return sorted((retry for retry in known if retry is not None), key=lambda retry: (retry.created, retry.id))

    def _keep(self, key: str, record: CampaignDocument) -> None:
        if record.retry is not None:
            self._retries.setdefault(record.retry.of, set()).add(key)
        known = self.get(key)
        if known is None or record.revision >= known.revision:
            super()._keep(key, record)
