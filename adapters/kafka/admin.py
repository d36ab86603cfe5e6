"""Single admin requests to the brokers; `topics` creates topics."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from adapters.logs import LIBRDKAFKA
from adapters.settings import Kafka

log = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0
DELETE_SECONDS = 30.0


def answers(bootstrap: str) -> bool:
    """Whether a broker gives its metadata: an open port alone is not yet a broker."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        return bool(admin.list_topics(timeout=ANSWER_SECONDS).brokers)
    except KafkaException:
        return False


def delete_records(kafka: Kafka, topic: str, partition: int, offset: int) -> None:
    """Delete a partition's records below `offset`; a failure is logged and only costs disk until the next call."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 3}, logger=LIBRDKAFKA)
    for future in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
        try:
            future.result(timeout=DELETE_SECONDS)
        except KafkaException as error:
            log.warning("%s/%s: records below %s not deleted: %s", topic, partition, offset, error)
