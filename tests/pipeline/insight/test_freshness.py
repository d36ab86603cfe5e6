"""The figures' age: how long ago ClickHouse was complete, not how long nothing happened."""

from __future__ import annotations

from pipeline.insight import freshness
from pipeline.insight.freshness import Freshness, ReadPosition

HOUR = 3_600_000


def test_figures_of_a_campaign_that_waits_for_the_morning_stay_fresh() -> None:
    age = Freshness()
    assert age.look(0, {0: ReadPosition(7, 7)}) == 0
    assert age.look(8 * HOUR, {0: ReadPosition(7, 7)}) == 0


def test_figures_age_while_the_writer_is_behind_and_are_fresh_when_it_has_caught_up() -> None:
    age = Freshness()
    age.look(0, {0: ReadPosition(7, 7)})
    assert age.look(1_000, {0: ReadPosition(7, 9)}) == 1
    assert age.look(5_000, {0: ReadPosition(7, 30)}) == 5
    assert age.look(6_000, {0: ReadPosition(9, 40)}) == 5  # as complete as they were at the second look
    assert age.look(7_000, {0: ReadPosition(40, 40)}) == 0


def test_the_oldest_partition_counts() -> None:
    age = Freshness()
    age.look(0, {0: ReadPosition(1, 1), 1: ReadPosition(1, 1)})
    assert age.look(9_000, {0: ReadPosition(5, 5), 1: ReadPosition(1, 2)}) == 9


def test_a_writer_that_comes_back_to_a_backlog_says_how_old_it_is() -> None:
    age = Freshness()
    assert age.look(HOUR, {0: ReadPosition(7, 900)}) is None
    assert age.look(HOUR + 1_000, {0: ReadPosition(7, 900, since=30_000)}) == (HOUR - 29_000) / 1000


def test_a_writer_without_a_partition_knows_nothing() -> None:
    age = Freshness()
    age.look(0, {0: ReadPosition(1, 1)})
    assert age.look(1_000, {}) is None
    assert age.wait(2_000) is None


def test_figures_age_while_kafka_does_not_answer() -> None:
    age = Freshness()
    age.look(0, {0: ReadPosition(1, 1)})
    assert age.wait(4_000) == 4


def test_an_outage_of_hours_keeps_few_marks() -> None:
    age = Freshness()
    age.look(0, {0: ReadPosition(1, 1)})
    for second in range(1, 5_000):
        age.look(second * 1000, {0: ReadPosition(1, 1 + second)})
    assert len(age._partitions[0].marks) <= freshness.MOST_MARKS
    assert age.look(5_000_000, {0: ReadPosition(5_000, 5_001)}) is not None
