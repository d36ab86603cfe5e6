"""The dead letters as operators see them: read from the beginning of the topic, minus the resolved; replay, drop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from aiokafka import TopicPartition

from adapters.clock import now_ms
from adapters.kafka.reading import reader
from adapters.ports import Emitter
from adapters.settings import Kafka
from schemas import topics
from schemas.deadletter import DEAD_LETTERS, DeadLetter, Resolution, to_bytes
from schemas.wire import DecodeError, encode

TOPIC = topics.DEAD_LETTERS.name


async def read(kafka: Kafka) -> list[DeadLetter]:
    """Every open dead letter, oldest first; one origin counts once, its newest letter is kept.

    A step that replays its input gives up on the same record again: whoever dealt with it has dealt with that too.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached.
    """
    waiting: dict[str, DeadLetter] = {}
    resolved: set[str] = set()
    for value in await _records(kafka):
        record = _decoded(value)
        if isinstance(record, Resolution):
            resolved.add(record.origin)
        elif record is not None:
            waiting[record.origin] = record
    return [letter for origin, letter in waiting.items() if origin not in resolved]


class OpenLetters:
    """How many open dead letters each step has, by the same rule, as the topic's records come."""

    def __init__(self) -> None:
        self._step_of: dict[str, str] = {}
        """Of each open letter, by its origin."""
        self._resolved: set[str] = set()
        self._counts: Counter[str] = Counter()

    def take(self, value: bytes | None) -> str:
        """Take the topic's next record; the step whose count it changed, "" for none."""
        record = _decoded(value)
        if record is None:
            return ""
        if isinstance(record, Resolution):
            self._resolved.add(record.origin)
            step = self._step_of.pop(record.origin, "")
            self._counts[step] -= bool(step)
            return step
        if record.origin in self._resolved or record.origin in self._step_of:
            return ""
        self._step_of[record.origin] = record.step
        self._counts[record.step] += 1
        return record.step

    def count(self, step: str) -> int:
        """Open letters of a step."""
        return self._counts[step]


def _decoded(value: bytes | None) -> DeadLetter | Resolution | None:
    """None for a newer version's record: that version deals with it."""
    try:
        return DEAD_LETTERS.decode(value)
    except DecodeError:
        return None


async def replay(emitter: Emitter, letter: DeadLetter, by: str) -> None:
    """Put the original bytes back to where they came from, then note it. A crash in between leaves the letter: it
    may be replayed twice, and every step takes a repeated record as it takes any replay.

    Raises:
        EmitError: Kafka did not acknowledge; the letter stays.
    """
    await emitter.emit(letter.topic, to_bytes(letter.value), key=to_bytes(letter.key), partition=letter.partition)
    await _resolve(emitter, letter, "replayed", by)


async def drop(emitter: Emitter, letter: DeadLetter, by: str) -> None:
    """Note that the letter will not be replayed; its bytes stay in the topic.

    Raises:
        EmitError: Kafka did not acknowledge; the letter stays.
    """
    await _resolve(emitter, letter, "dropped", by)


async def _resolve(emitter: Emitter, letter: DeadLetter, how: str, by: str) -> None:
    resolution = Resolution(origin=letter.origin, how=how, by=by, at=now_ms())
    await emitter.emit(TOPIC, encode(resolution), key=letter.topic.encode("ascii"))


async def _records(kafka: Kafka) -> Iterable[bytes | None]:
    consumer = reader(kafka)
    await consumer.start()
    try:
        metadata = await consumer._client.fetch_all_metadata()
        partitions = [TopicPartition(TOPIC, p) for p in sorted(metadata.partitions_for_topic(TOPIC) or ())]
        if not partitions:
            return []
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        values: list[bytes | None] = []
        left = {p for p in partitions if begins[p] < ends[p]}
        for partition in partitions:
            consumer.seek(partition, begins[partition])
        while left:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                values.extend(record.value for record in records)
            left = {p for p in left if await consumer.position(p) < ends[p]}
        return values
    finally:
        await consumer.stop()
