"""What each change of a lane's owner left in doubt, from the statuses that the lanes wrote."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from adapters.settings import Kafka
from pipeline.lane_doubt import LOST
from schemas import topics
from schemas.status import STATUSES, StatusChunk
from schemas.wire import DecodeError

SECONDS: Final = 30.0


def left_in_doubt(kafka: Kafka) -> dict[tuple[int, int], int]:
    """(lane, when the new owner claimed it, in ms) → distinct messages that the owner before it had in flight,
    whatever the campaign's policy made of them.

    Raises:
        RuntimeError: Kafka does not give them.
    """
    found: dict[tuple[int, int], set[tuple[str, int]]] = defaultdict(set)
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "crash-account", "enable.auto.commit": False}
    )
    for partition in range(kafka.partitions):
        place = TopicPartition(topics.STATUSES.name, partition)
        low, high = consumer.get_watermark_offsets(place, timeout=SECONDS)
        consumer.assign([TopicPartition(topics.STATUSES.name, partition, low)])
        at = low - 1
        while at < high - 1:
            message = consumer.poll(SECONDS)
            if message is None or message.error():
                raise RuntimeError(f"statuses/{partition} cannot be read from {at + 1} to {high}")
            at = message.offset() or 0
            _take(found, message.value())
    consumer.close()
    return {key: len(messages) for key, messages in found.items()}


def _take(found: dict[tuple[int, int], set[tuple[str, int]]], value: bytes | None) -> None:
    try:
        chunk = STATUSES.decode(value)
    except DecodeError:
        return
    if not isinstance(chunk, StatusChunk) or chunk.lane < 0:
        return
    for group in chunk.groups:
        if group.reason == LOST:
            found[chunk.lane, chunk.at].update((chunk.campaign, ordinal) for ordinal in group.ordinals)
