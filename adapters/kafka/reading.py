"""Reading outside of any consumer group: where a log ends, and everything that it has now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, TopicPartition

from adapters.logs import LIBRDKAFKA
from adapters.settings import Kafka
from schemas.topics import Topic
from schemas.wire import Codec, DecodeError

ENDS_SECONDS: Final = 10.0
RECORDS_SECONDS: Final = 30.0
R = TypeVar("R")

Ends = Callable[[str, int], int]
"""(topic, partition) → the offset after the last record."""


def reader(kafka: Kafka, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer of its own that commits nothing and begins at the beginning, not started yet. `options` are those of
    aiokafka."""
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=kafka.bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **options,
    )


def ends(kafka: Kafka) -> Ends:
    """Where partitions end, by asking the broker.

    Raises (when called):
        KafkaException: it does not answer.
    """
    consumer = _blocking(kafka.bootstrap)

    def of(topic: str, partition: int) -> int:
        _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ENDS_SECONDS)
        return int(high)

    return of


def records(bootstrap: str, topic: Topic, partition: int, codec: Codec[R]) -> Iterator[tuple[int, R]]:
    """(offset, record) of everything that a partition has now, oldest first; what does not decode is passed over.

    Raises:
        RuntimeError: the broker stops answering on the way.
    """
    consumer = _blocking(bootstrap)
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=RECORDS_SECONDS)
        consumer.assign([TopicPartition(topic.name, partition, low)])
        at = low - 1
        while at < high - 1:
            message = consumer.poll(RECORDS_SECONDS)
            if message is None or message.error():
                raise RuntimeError(f"{topic.name}/{partition} could not be read past {at} of {high}")
            at = message.offset() or 0
            try:
                yield at, codec.decode(message.value())
            except DecodeError:
                continue
    finally:
        consumer.close()


def _blocking(bootstrap: str) -> Consumer:
    # The group is never joined; librdkafka wants its name.
    options = {"bootstrap.servers": bootstrap, "group.id": "longwave-reading", "log_level": 3}
    return Consumer({**options, "enable.auto.commit": False}, logger=LIBRDKAFKA)
