"""Fixtures for all tests: real servers, one of each per run; a test keeps to its own topics and databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack import Server, running_clickhouse, running_kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Apache Kafka (`kafka.address` for `bootstrap`), without topics: a test makes its own, or calls
    `adapters.topics.ensure(settings.kafka)` and takes a campaign id of its own."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real ClickHouse endpoint (`host`, `port`); a test uses a database of its own."""
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What property tests tried, as they recorded it (`record_property("tried", …)`), without -s and with -n."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.getreports(outcome)]
    told = [value for one in reports for name, value in one.user_properties if name == "tried"]
    for line in dict.fromkeys(told):
        terminalreporter.write_line(f"tried: {line}")
