"""The reservations are read as the workers' table has them: the newest of each bucket, and what was written since."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from confluent_kafka import Producer

from adapters.kafka import reservations, topics
from adapters.kafka.reservations import ReservationsReader
from adapters.settings import Kafka
from schemas.topics import RESERVATIONS
from tests.stack import Server


def _write(kafka: Server, rows: list[tuple[int, bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": kafka.address})
    for bucket, packed in rows:
        producer.produce(RESERVATIONS.name, packed, bucket.to_bytes(2, "big"), bucket % 4)
    assert producer.flush(20) == 0


async def test_the_newest_of_each_bucket(kafka: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Kafka(bootstrap=kafka.address, partitions=4)
    reader = ReservationsReader(settings, tmp_path)
    assert dict(await reader.read()) == {}, "a topic that nobody has made has no reservations"
    topics.ensure(settings, [RESERVATIONS])
    _write(kafka, [(bucket, b"%024d" % bucket) for bucket in range(4096)])
    _write(kafka, [(7, b"newer" * 12), (8, None), (9, b"")])
    first = await reader.read()
    assert len(first) == 4094
    assert (first[7], first.get(8), first.get(9), first[4095]) == (b"newer" * 12, None, None, b"%024d" % 4095)
    monkeypatch.setattr(reservations, "_WASTE", 0)
    _write(kafka, [(bucket, b"again") for bucket in range(4095)] * 3)
    second = await reader.read()
    assert (len(second), second[7], second[4095]) == (4096, b"again", b"%024d" % 4095)
    assert first[7] == b"newer" * 12, "who looks at an earlier reading keeps it"
    assert dict(await reader.read()) == dict(second)
    assert not os.listdir(tmp_path), "the file has no name"
