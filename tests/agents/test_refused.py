"""A worker process whose dead letters Kafka refuses: it ends with its reason, and the next one goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from time import monotonic

from confluent_kafka import Producer

from adapters.kafka import dead_letters, topics
from adapters.settings import Kafka
from schemas.topics import DEAD_LETTERS
from tests.accounts import write_accounts
from tests.agents.test_process import process, wait_for
from tests.stack import Server

ACCOUNTS = """
[accounts.demo.senders.main]
number = "+18885550100"
lanes = [0]
"""


async def test_a_worker_ends_with_its_reason_and_the_next_one_goes_on(own_kafka: Server, tmp_path: Path) -> None:
    kafka = Kafka(bootstrap=own_kafka.address, partitions=2, lanes=2)
    small = replace(DEAD_LETTERS, config={**DEAD_LETTERS.config, "max.message.bytes": "60"})
    topics.ensure(kafka, [small])
    producer = Producer({"bootstrap.servers": own_kafka.address})
    for topic in ("receipts", "lanes"):
        producer.produce(topic, b"garbage" * 20, partition=0)
    producer.flush(10)
    write_accounts(own_kafka.address, ACCOUNTS)
    with process(["worker"], own_kafka.address, tmp_path) as child:
        assert child.wait(90) == 1
    wait_for("takes no dead letters", tmp_path, 1)
    assert not await dead_letters.read(kafka)
    again = tmp_path / "again"
    again.mkdir()
    with process(["worker"], own_kafka.address, again) as child:
        wait_for("dead letters are refused", again)
        topics.ensure(kafka, [DEAD_LETTERS])
        actual: set[str] = set()
        deadline = monotonic() + 60
        while len(actual) < 2 and monotonic() < deadline:
            actual = {item.origin for item in await dead_letters.read(kafka)}
            await asyncio.sleep(0.3)
        assert actual == {"receipts/0/0", "lanes/0/0"}
        assert child.poll() is None
