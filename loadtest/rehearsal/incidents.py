"""Incidents of a bad night, one function each; `ALL` has them in the order in which `rehearse all` plays them."""

from __future__ import annotations

import asyncio
from typing import Final

from adapters.kafka import dead_letters
from adapters.kafka.bulk import BulkWriter
from loadtest.bench.campaigns import wait_until
from loadtest.rehearsal.incident import Begun, Incident
from loadtest.rehearsal.stage import PATIENCE, Stage
from schemas import topics

GARBAGE: Final = b"\xff\x00 not a record"
STATUS, DOCTOR = "longwave status", "longwave doctor"


def broker_dead(stage: Stage) -> Begun:
    """The broker is killed, and nobody starts it again."""
    return Begun(others_mend=stage.keep_down("kafka"))


def poison_records(stage: Stage) -> Begun:
    """Bytes that no step can read, in a topic that a worker reads and in one that the writer reads."""
    kafka = stage.stack.settings.kafka
    broker = BulkWriter(kafka.bootstrap)
    for topic in (topics.RECEIPTS, topics.STATUSES):
        broker.write(topic.name, 0, GARBAGE)
    broker.flush()
    wait_until("they are dead letters", lambda: len(_letters(stage)) == 2, PATIENCE)
    return Begun(values={"ORIGIN": _letters(stage)})


def _letters(stage: Stage) -> list[str]:
    found = asyncio.run(dead_letters.read(stage.stack.settings.kafka))
    return [letter.origin for letter in found]


ALL: Final = (
    Incident(
        "broker-dead", "the broker is killed and nobody starts it", "KafkaDown", broker_dead, (STATUS, DOCTOR),
        takes=15, others="the broker's machine is back",
    ),
    Incident(
        "poison-records", "topics have bytes that no step can read", "DeadLettersWaiting", poison_records,
        ("longwave dead-letters list", "longwave dead-letters drop ORIGIN"), takes=20,
    ),
)  # fmt: skip
