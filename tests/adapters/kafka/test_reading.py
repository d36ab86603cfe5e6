"""A partition is written in bulk, read whole, measured and cut, each without a consumer group."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from confluent_kafka import KafkaException

from adapters.kafka import admin, reading, topics
from adapters.kafka.bulk import BulkWriter
from adapters.settings import Kafka
from schemas.lane import LANES, Finish
from schemas.topics import Topic
from schemas.wire import encode
from tests.stack import Server, free_ports

TOPIC = Topic("reading", "explicit partition", "records of a lane")


async def test_what_is_written_is_read_measured_and_cut(kafka: Server) -> None:
    settings = Kafka(bootstrap=kafka.address, partitions=2, lanes=2)
    topics.ensure(settings, [TOPIC])
    assert admin.answers(kafka.address)
    ends = reading.ends(settings)
    before = ends(TOPIC.name, 1)
    writer = BulkWriter(kafka.address)
    values = [encode(Finish(campaign=f"{n:08d}", at=n)) for n in range(1000)]
    for value in [*values[:500], b"garbage", *values[500:]]:
        writer.write(TOPIC.name, 1, value)
    writer.flush()
    assert ends(TOPIC.name, 1) == before + 1001
    actual = [record for offset, record in reading.records(kafka.address, TOPIC, 1, LANES) if offset >= before]
    assert [encode(record) for record in actual] == values, "what does not decode is passed over"

    admin.delete_records(settings, TOPIC.name, 1, before + 990)
    consumer = reading.reader(settings)
    await consumer.start()
    try:
        partition = TopicPartition(TOPIC.name, 1)
        assert (await consumer.beginning_offsets([partition]))[partition] == before + 990
    finally:
        await consumer.stop()
    rest = [record for _, record in reading.records(kafka.address, TOPIC, 1, LANES)]
    assert rest == actual[-11:]


def test_without_a_server_nothing_answers() -> None:
    nobody = Kafka(bootstrap=f"127.0.0.1:{free_ports(1)[0]}")
    assert not admin.answers(nobody.bootstrap)
    with pytest.raises(KafkaException):
        reading.ends(nobody)("lanes", 0)
