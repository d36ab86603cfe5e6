"""Probes of the servers that a process needs. Each answers within `ANSWER_SECONDS`, also where the server hangs."""

from __future__ import annotations

from functools import cache
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from adapters.clickhouse import Store
from adapters.errors import StoreError, StoreUnavailable
from adapters.health.state import Check
from adapters.settings import ClickHouse, Kafka
from schemas import topics

ANSWER_SECONDS: Final = 3.0


def kafka(settings: Kafka) -> Check:
    """Whether the brokers answer, and have the topics without which nothing begins.

    One client is kept: a new one for each probe would be a new connection each time.
    """

    @cache
    def client() -> AdminClient:
        return AdminClient(
            {"bootstrap.servers": settings.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 1000}
        )

    def ask() -> str:
        try:
            # A named topic would be asked for again and again by librdkafka; all of them are a few dozen.
            known = client().list_topics(timeout=ANSWER_SECONDS).topics
        except KafkaException:
            return "Kafka does not answer"
        missing = [topic.name for topic in (topics.COMMANDS, topics.CAMPAIGNS) if topic.name not in known]
        return f"Kafka lacks the topic {missing[0]!r}" if missing else ""

    return ask


def clickhouse(settings: ClickHouse) -> Check:
    """Whether ClickHouse runs a statement as this user on this database: a server that hangs takes connections, and
    an open port says nothing."""
    store = Store(settings, timeout=ANSWER_SECONDS)

    def ask() -> str:
        try:
            store.ping()
        except StoreUnavailable:
            return "ClickHouse does not answer"
        except StoreError:
            return "ClickHouse refuses a statement: its user, password or database is not right"
        return ""

    return ask
