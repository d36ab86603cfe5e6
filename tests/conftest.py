"""Fixtures for all tests: real servers, one of each per run; a test keeps to its own topics and databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sharing import ended, group_of
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


HERE = Path(__file__).parent
FIRST = (
    "shared stage",
    "trouble",
    "test_walk.py",
    "loadtest/test_simulation_real.py",
    "cli",
    "api",
    "agents",
)
"""What takes longest: begun last, it would leave the other cores idle at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay in one process, and so do files that share a stack (`pytestmark`, an xdist_group); said
    before xdist looks at the marks."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(HERE))))
    items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Fixtures first, then the stack that they took from the group."""
    try:
        return (yield)
    finally:
        ended(item, nextitem)


def _turn(item: pytest.Item) -> tuple[int, str]:
    where = (str(item.path.relative_to(HERE)), group_of(item))
    turn = next((turn for turn, name in enumerate(FIRST) if any(one.startswith(name) for one in where)), len(FIRST))
    return turn, group_of(item)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What property tests tried, as they recorded it (`record_property("tried", …)`), without -s and with -n."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.getreports(outcome)]
    told = [value for one in reports for name, value in one.user_properties if name == "tried"]
    for line in dict.fromkeys(told):
        terminalreporter.write_line(f"tried: {line}")
