"""Fixtures for all tests: real servers, one of each per run; a test keeps to its own topics and databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import expect

from tests.api.live import Live, up
from tests.sharing import (
    LIVE,
    OWN_KAFKA,
    SCRIPTED_STAGE,
    SHARED_STAGE,
    GroupScheduling,
    ended,
    group_of,
    place_of,
    shared,
)
from tests.stack import Server, made_anew, running_clickhouse, running_kafka

# Tests assert behavior, not time: on a busy machine the library's 200 ms an example are over.
settings.register_profile("longwave", deadline=None)
settings.load_profile("longwave")
# What the page is to show may take longer than the library's 5 s while several stacks share two cores.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Apache Kafka (`kafka.address` for `bootstrap`), without topics: a test makes its own, or calls
    `adapters.kafka.topics.ensure(settings.kafka)` and takes a campaign id of its own."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A broker with Longwave's topics (two partitions, two lanes), empty and for now this file's alone. It may be
    stopped."""
    server: Server = shared(OWN_KAFKA, lambda: running_kafka(tmp_path_factory.mktemp("own-kafka")))
    made_anew(server)
    return server


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real ClickHouse endpoint (`host`, `port`); a test uses a database of its own."""
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """The whole local stack, for tests that speak to the API as users do."""
    actual: Live = shared(LIVE, lambda: up(tmp_path_factory.mktemp("live")))
    return actual


FIRST = (
    SCRIPTED_STAGE,
    SHARED_STAGE,
    LIVE,
    "tests/trouble",
    "tests/test_walk.py",
    "tests/simulation/test_simulation_real.py",
    "tests/cli",
    "tests/api",
    OWN_KAFKA,
    "tests/agents",
    "tests/loadtest",
    "tests/deploy",
    "tests/devstack",
    "tests/simulation",
    "tests/pipeline/timing/test_quiet_properties.py",
    "tests/pipeline/lane/test_properties.py",
    "tests/adapters",
)
"""What takes longest: begun last, it would leave the other cores idle at the end."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Fixtures first, then the stack that they took from the group."""
    try:
        return (yield)
    finally:
        ended(item, nextitem)


def _turn(item: pytest.Item) -> tuple[int, str, int]:
    group = group_of(item.nodeid)
    turn = next((turn for turn, name in enumerate(FIRST) if group.startswith(name)), len(FIRST))
    return turn, group, place_of(item.nodeid)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What property tests tried, as they recorded it (`record_property("tried", …)`), without -s and with -n."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    reported = [value for report in reports for name, value in report.user_properties if name == "tried"]
    for line in dict.fromkeys(reported):
        terminalreporter.write_line(f"tried: {line}")
