"""Views: a compacted topic read whole into memory by each process that needs it, and kept up to date.

A Faust GlobalTable would hold the same, but only inside a Faust app and in Faust's recovery; the API, the ingress
and the lanes need the same truth, and opt-outs need packed memory. A view has no consumer group and commits
nothing: it starts from the beginning each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from adapters import logs
from adapters.clock import now_ms
from adapters.settings import Kafka
from schemas import topics
from schemas.campaign import CAMPAIGNS, CampaignDocument
from schemas.wire import DecodeError

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
FETCH_MS = 250
"""How long a broker keeps a fetch that brings nothing: so often each partition is heard of."""
RECORDS_AT_ONCE = 5000
"""Applied without a break: some 20 ms in which nothing else runs."""
GAP_SECONDS = 0.7
"""From when on a process that did not come to read has stood still, and what it knows may be old."""
SETTLED_MS = FETCH_MS + 50
"""What a broker answers this long after a process stood still was asked after it."""

logs.limit()


class View:
    """Follows one topic; calls `apply(key, value)` for each record in order of its partition."""

    def __init__(self, kafka: Kafka, topic: str, apply: Callable[[bytes, bytes | None], None]) -> None:
        self._kafka = kafka
        self._topic = topic
        self._apply = apply
        self._task: asyncio.Task[None] | None = None
        self._positions: dict[int, int] = {}
        self._changed = asyncio.Condition()
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: list[TopicPartition] = []
        self._read_at = monotonic()
        self._went_on = 0
        """When (ms) this process last went on after it had stood still."""
        self.ready = asyncio.Event()
        """Set when everything that was in the topic at the start has been read."""

    async def start(self) -> None:
        """Begin to follow; returns at once (wait for `ready` where the past matters)."""
        self._task = asyncio.create_task(self._follow(), name=f"view-{self._topic}")

    def is_current(self, within_ms: int) -> bool:
        """Whether all that the brokers had `within_ms` ago has been applied.

        A process that stood still (stopped, its machine asleep) goes on with what it knew, and with answers of the
        brokers that are as old: not before they have answered what was asked since.
        """
        if self._task is None:
            return True  # nobody follows: a test or a simulation
        if self._consumer is None or monotonic() - self._read_at > GAP_SECONDS:
            return False
        answered = [self._consumer.last_poll_timestamp(partition) or 0 for partition in self._assigned]
        return bool(answered) and min(answered) >= max(now_ms() - within_ms, self._went_on + SETTLED_MS)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def changed(self, timeout: float) -> bool:
        """Wait until anything new was applied; False when `timeout` seconds passed first."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait(), timeout)
            except TimeoutError:
                return False
        return True

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                log.warning("view of %s waits for Kafka: %s", self._topic, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka.bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_MS,
            max_partition_fetch_bytes=4_194_304,
        )
        try:
            await consumer.start()
            partitions = [TopicPartition(self._topic, p) for p in sorted(await self._partitions(consumer))]
            consumer.assign(partitions)
            # The others begin at the beginning (`auto_offset_reset`). No `seek_to_beginning`: each call is answered
            # only when the fetch that is under way has ended, half a second later.
            for partition in partitions:
                if partition.partition in self._positions:
                    consumer.seek(partition, self._positions[partition.partition])
            ends = await consumer.end_offsets(partitions)
            self._consumer, self._assigned = consumer, partitions
            self._read_at = monotonic()
            while True:
                await self._apply_next(consumer)
                if not self.ready.is_set() and await _caught_up(consumer, ends):
                    self.ready.set()
        finally:
            self._consumer = None
            await consumer.stop()

    async def _partitions(self, consumer: AIOKafkaConsumer) -> set[int]:
        while True:
            found = await consumer._client.fetch_all_metadata()
            partitions: set[int] | None = found.partitions_for_topic(self._topic)
            if partitions:
                return partitions
            await asyncio.sleep(RETRY_SECONDS)

    async def _apply_next(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=200, max_records=RECORDS_AT_ONCE)
        if monotonic() - self._read_at > GAP_SECONDS:
            self._went_on = now_ms()
        self._read_at = monotonic()
        for partition, records in fetched.items():
            for record in records:
                if record.key is not None:
                    self._apply(record.key, record.value)
                self._positions[partition.partition] = record.offset + 1
        if fetched:
            async with self._changed:
                self._changed.notify_all()


async def _caught_up(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True


class CampaignView:
    """Every campaign's newest document."""

    def __init__(self, kafka: Kafka) -> None:
        self._documents: dict[str, CampaignDocument] = {}
        self._view = View(kafka, topics.CAMPAIGNS.name, self._apply)

    async def start(self) -> None:
        await self._view.start()

    async def ready(self) -> None:
        """Wait until the past has been read."""
        await self._view.ready.wait()

    async def stop(self) -> None:
        await self._view.stop()

    def get(self, campaign: str) -> CampaignDocument | None:
        return self._documents.get(campaign)

    def all(self) -> list[CampaignDocument]:
        """Every campaign, newest first; those of one moment by id."""
        return sorted(self._documents.values(), key=lambda d: (-d.created, d.id))

    async def wait_for(
        self, campaign: str, wanted: Callable[[CampaignDocument | None], bool], timeout: float
    ) -> CampaignDocument | None:
        """The document as soon as `wanted` holds for it.

        Raises:
            TimeoutError: it did not within `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not wanted(self.get(campaign)):
                await self._view.changed(timeout=0.2)
        return self.get(campaign)

    def _apply(self, key: bytes, value: bytes | None) -> None:
        campaign = key.decode("ascii", "replace")
        if value is None:
            self._documents.pop(campaign, None)
            return
        try:
            document = CAMPAIGNS.decode(value)
        except DecodeError as error:
            # The coordinator alone writes this topic; a record of a newer version must not stop an older process.
            log.error("campaign document of %s not understood: %s", campaign, error)
            return
        known = self._documents.get(campaign)
        if known is None or document.revision >= known.revision:
            self._documents[campaign] = document
