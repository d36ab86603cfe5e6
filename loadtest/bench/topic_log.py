"""Everything that a partition has now, read with a consumer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from confluent_kafka import Consumer, TopicPartition

from schemas.topics import Topic
from schemas.wire import Codec, DecodeError

WAIT_SECONDS = 30.0
R = TypeVar("R")


def records(bootstrap: str, topic: Topic, partition: int, codec: Codec[R]) -> Iterator[tuple[int, R]]:
    """(offset, record), oldest first; what does not decode is passed over.

    Raises:
        RuntimeError: the broker stops answering on the way.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "topic-log", "enable.auto.commit": False})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=WAIT_SECONDS)
        consumer.assign([TopicPartition(topic.name, partition, low)])
        at = low - 1
        while at < high - 1:
            message = consumer.poll(WAIT_SECONDS)
            if message is None or message.error():
                raise RuntimeError(f"{topic.name}/{partition} could not be read past {at} of {high}")
            at = message.offset() or 0
            try:
                yield at, codec.decode(message.value())
            except DecodeError:
                continue
    finally:
        consumer.close()
