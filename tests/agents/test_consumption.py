"""Lag and commit age: what they show while a topic is read, while nothing is committed, and while Kafka is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from aiokafka.errors import IllegalStateError, KafkaConnectionError
from faust.types import TP

from agents.consumption import Consumption
from agents.guards.durable import Standing
from schemas import metrics

NOW = 1_760_000_000_000


class Group:
    """A consumer that says what the test wants."""

    def __init__(self) -> None:
        self.says: dict[TP, Standing] | Exception = {}

    async def standing(self) -> Mapping[TP, Standing]:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
def group() -> Group:
    for metric in (metrics.CONSUMER_LAG, metrics.COMMIT_AGE):
        metric.clear()
    return Group()


def exported(metric: metrics.Gauge) -> dict[str, float]:
    return {sample.labels.get("topic", ""): sample.value for family in metric.collect() for sample in family.samples}


def standing(acknowledged: int, committed: int, end: int) -> Standing:
    return Standing(acknowledged, committed, end, since=NOW - 60_000)


async def test_lag_is_the_sum_over_the_partitions_and_of_topics_that_are_ours(group: Group) -> None:
    consumption = Consumption(group)
    group.says = {
        TP("statuses", 0): standing(90, 90, 100),
        TP("statuses", 1): standing(50, 50, 55),
        TP("lanes", 3): standing(7, 0, 7),
    }
    await consumption.look(NOW)
    assert exported(metrics.CONSUMER_LAG) == {"statuses": 15, "lanes": 0}
    assert "lanes" not in exported(metrics.COMMIT_AGE), "a lane commits with its checkpoints"
    group.says = {TP("lanes", 3): standing(7, 0, 7)}
    await consumption.look(NOW + 5000)
    assert exported(metrics.CONSUMER_LAG) == {"lanes": 0}
    assert not exported(metrics.COMMIT_AGE)


async def test_the_age_counts_from_the_last_moment_of_which_all_is_committed(group: Group) -> None:
    consumption = Consumption(group)
    group.says = {TP("receipts", 0): standing(100, 100, 100)}
    await consumption.look(NOW)
    assert exported(metrics.COMMIT_AGE) == {"receipts": 0}
    group.says = {TP("receipts", 0): standing(130, 100, 130)}  # done, and not committed
    await consumption.look(NOW + 5000)
    await consumption.look(NOW + 65_000)
    assert exported(metrics.COMMIT_AGE) == {"receipts": 65}
    assert exported(metrics.CONSUMER_LAG) == {"receipts": 0}
    group.says = {TP("receipts", 0): standing(130, 130, 130)}
    await consumption.look(NOW + 70_000)
    assert exported(metrics.COMMIT_AGE) == {"receipts": 0}


@pytest.mark.parametrize("silence", [KafkaConnectionError(), TimeoutError()], ids=["refused", "no answer"])
async def test_of_a_silent_kafka_the_lag_is_unknown_and_what_is_committed_ages(
    group: Group, silence: Exception
) -> None:
    consumption = Consumption(group)
    group.says = {TP("receipts", 0): standing(100, 100, 100)}
    await consumption.look(NOW)
    group.says = silence
    await consumption.look(NOW + 40_000)
    assert not exported(metrics.CONSUMER_LAG)
    assert exported(metrics.COMMIT_AGE) == {"receipts": 40}


async def test_a_rebalance_changes_nothing(group: Group) -> None:
    consumption = Consumption(group)
    group.says = {TP("receipts", 0): standing(90, 90, 100)}
    await consumption.look(NOW)
    for nothing in ({}, IllegalStateError()):
        group.says = nothing  # type: ignore[assignment]
        await consumption.look(NOW + 5000)
        assert exported(metrics.CONSUMER_LAG) == {"receipts": 10}


async def test_it_looks_again_and_again(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.consumption.SECONDS", 0.0)
    looks = 0

    class Counting(Group):
        async def standing(self) -> Mapping[TP, Standing]:
            nonlocal looks
            looks += 1
            return {}

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Consumption(Counting()).run(), 0.05)
    assert looks > 1
