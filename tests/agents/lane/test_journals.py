"""What a worker's process tells of the one before it, on a real Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.errors import LongwaveError
from adapters.kafka import topics as brokers
from adapters.kafka.producer import Producer
from adapters.kafka.reading import records
from adapters.settings import Kafka
from agents.lane.journals import Journals
from schemas import topics
from schemas.lane import LANES, SubmissionJournal
from tests.stack import Server

LANE = 1


def reported_to_lane(kafka: Server) -> SubmissionJournal:
    (only,) = (
        record
        for _, record in records(kafka.address, topics.LANES, LANE, LANES)
        if isinstance(record, SubmissionJournal)
    )
    return only


async def test_the_next_process_reports_to_the_lane_and_removes_the_journal(kafka: Server, tmp_path: Path) -> None:
    settings = Kafka(bootstrap=kafka.address, partitions=4, lanes=4)
    brokers.ensure(settings)
    before = Journals(tmp_path, "worker-0")
    assert before.begin() == []
    journal = before.open(LANE)
    journal.own("a1")
    journal.submit(41, lambda offset: True)
    journal.close()
    (tmp_path / "0-torn.journal").write_bytes(b"longwave")
    before.end()

    after = Journals(tmp_path, "worker-0")
    left = after.begin()
    producer = Producer(settings)
    try:
        await after.report(left, producer)
    finally:
        await producer.close()
    reported = reported_to_lane(kafka)
    assert (reported.worker, reported.nonces, reported.submitted) == ("worker-0", ["a1"], [41])
    after.end()
    assert Journals(tmp_path, "worker-0").begin() == [], "reported once"


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    first = Journals(tmp_path, "worker-0")
    first.begin()
    with pytest.raises(LongwaveError, match="another process"):
        Journals(tmp_path, "worker-0").begin()
    first.end()
    second = Journals(tmp_path, "worker-0")
    assert second.begin() == []
    second.end()
