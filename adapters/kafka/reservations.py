"""The smart-sending reservations as the workers' table has them, for processes that only look: the changelog is read.

Reading is on demand: each reading takes what was written since the last. What is read lies in a file without a name,
24 octets a message planned in the last eight days and at most as much again that is outdated; in memory is one entry
for each of the 4,096 buckets.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from adapters.kafka.reading import reader
from adapters.settings import Kafka
from schemas import topics

SECONDS: Final = 60.0
"""Most seconds that one reading may take."""
_WASTE: Final = 64 * 2**20
"""Outdated bytes at which the file is rewritten."""


class Buckets(Mapping[int, bytes]):
    """Bucket -> packed reservations, as of one reading; safe to read in another thread while the reader goes on."""

    def __init__(self, file: IO[bytes], places: Mapping[int, tuple[int, int]]) -> None:
        self._file = file
        self._places = places

    def __getitem__(self, bucket: int) -> bytes:
        start, length = self._places[bucket]
        return os.pread(self._file.fileno(), length, start)

    def __contains__(self, bucket: object) -> bool:
        return bucket in self._places

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class ReservationsReader:
    """Follows topic `reservations` when it is asked to."""

    def __init__(self, kafka: Kafka, folder: Path | None = None) -> None:
        self._kafka = kafka
        self._folder = folder
        self._lock = asyncio.Lock()
        self._begin()

    def _begin(self) -> None:
        self._positions: dict[TopicPartition, int] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self._file = self._new_file()
        self._end = 0

    def _new_file(self) -> IO[bytes]:
        folder = self._folder if self._folder is not None and self._folder.is_dir() else None
        return tempfile.TemporaryFile(buffering=0, dir=folder)

    async def read(self) -> Buckets:
        """The current reservations.

        Raises:
            KafkaError, TimeoutError: Kafka does not answer.
            OSError: the disk is full.
        """
        async with self._lock, asyncio.timeout(SECONDS):
            await self._catch_up()
            return Buckets(self._file, dict(self._places))

    async def _catch_up(self) -> None:
        consumer = reader(self._kafka, fetch_max_wait_ms=100, max_partition_fetch_bytes=4_194_304)
        await consumer.start()
        try:
            metadata = await consumer._client.fetch_all_metadata()
            partitions = metadata.partitions_for_topic(topics.RESERVATIONS.name) or set()
            ends = await consumer.end_offsets(
                [TopicPartition(topics.RESERVATIONS.name, partition) for partition in partitions]
            )
            if any(end < self._positions.get(partition, 0) for partition, end in ends.items()):
                self._begin()  # another topic of the same name: what was read is of the past
            behind = {partition: end for partition, end in ends.items() if self._positions.get(partition, 0) < end}
            if behind:
                await self._read_to(consumer, behind)
        finally:
            await consumer.stop()

    async def _read_to(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
        consumer.assign(list(ends))
        for partition in ends:
            if partition in self._positions:
                consumer.seek(partition, self._positions[partition])
        left = set(ends)
        while left:
            fetched = await consumer.getmany(timeout_ms=200)
            for records in fetched.values():
                for record in records:
                    if record.key is not None:
                        self._take(int.from_bytes(record.key, "big"), record.value)
            for partition in tuple(left):
                position = await consumer.position(partition)
                self._positions[partition] = position
                if position >= ends[partition]:
                    left.discard(partition)
        if self._end > 2 * self._live() + _WASTE:
            self._rewrite()

    def _take(self, bucket: int, packed: bytes | None) -> None:
        if not packed:
            self._places.pop(bucket, None)
            return
        os.pwrite(self._file.fileno(), packed, self._end)
        self._places[bucket] = (self._end, len(packed))
        self._end += len(packed)

    def _live(self) -> int:
        return sum(length for _, length in self._places.values())

    def _rewrite(self) -> None:
        """Write what is not outdated into a new file; who looks at the old one keeps it."""
        old = Buckets(self._file, self._places)
        self._file, self._places, self._end = self._new_file(), {}, 0
        for bucket, packed in old.items():
            self._take(bucket, packed)
