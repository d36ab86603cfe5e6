"""Which sender of a campaign's pool a recipient gets the message from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.eligibility.pool import Choice, senders_of
from schemas.campaign import LaunchedSender, PoolRule

COUNTRIES = ["US", "GB", ""]
NUMBERS: NDArray[np.uint64] = np.arange(12_125_550_000, 12_125_550_000 + 40_000, dtype=np.uint64)
ONLY_US = [0] * len(NUMBERS)


def sender(name: str, rate: float = 10.0, country: str = "US") -> LaunchedSender:
    return LaunchedSender(sender=name, country=country, lanes=[0], rate=rate)


def chosen(
    pool: list[LaunchedSender], rule: PoolRule = "recipient", country: list[int] = ONLY_US, first: int = 0
) -> Choice:
    return senders_of(pool, rule, NUMBERS[: len(country)], COUNTRIES, country, first)


@pytest.mark.parametrize("rule", ["recipient", "turn", "country"])
def test_senders_get_recipients_in_proportion_to_their_limits(rule: PoolRule) -> None:
    shares = np.bincount(chosen([sender("a", 10), sender("b", 30), sender("c", 60)], rule)) / len(NUMBERS)
    assert np.abs(shares - [0.1, 0.3, 0.6]).max() < 0.01


def test_by_turns_each_hundred_in_a_row_is_shared_alike() -> None:
    turns = chosen([sender(name) for name in "abcd"], "turn")
    for start in range(0, 2000, 100):
        counts = np.bincount(turns[start : start + 100], minlength=4)
        assert 23 <= counts.min() <= counts.max() <= 27


@pytest.mark.parametrize("rule", ["recipient", "turn", "country"])
def test_a_chunk_decides_as_the_whole_audience_does(rule: PoolRule) -> None:
    """A chunk that is read again, also after a change of its size, leads to the same senders."""
    pool = [sender("a"), sender("b", 3), sender("c", 50, "GB")]
    whole = chosen(pool, rule)
    for start, stop in ((0, 7), (500, 1000), (39_990, 40_000)):
        part = senders_of(pool, rule, NUMBERS[start:stop], COUNTRIES, ONLY_US[start:stop], start)
        assert part.tolist() == whole[start:stop].tolist()


def test_a_person_keeps_the_sender_and_a_new_one_takes_only_its_share() -> None:
    before = chosen([sender("a"), sender("b"), sender("c")])
    after = chosen([sender("a"), sender("b"), sender("c"), sender("new")])
    moved = before != after
    assert set(after[moved].tolist()) == {3}
    assert abs(moved.mean() - 0.25) < 0.01
    reordered = chosen([sender("c"), sender("a"), sender("b")])
    assert [["c", "a", "b"][index] for index in reordered] == [["a", "b", "c"][index] for index in before]


def test_recipients_get_it_from_their_country_and_from_any_where_there_is_no_sender() -> None:
    pool = [sender("us", 5), sender("us-2", 5), sender("gb", 1, "GB"), sender("name", 1, "")]
    country = [0, 1, 2] * 2000
    choice = chosen(pool, "country", country)
    by = {name: set(choice[[c == index for c in country]].tolist()) for index, name in enumerate(COUNTRIES)}
    assert by["US"] == {0, 1}
    assert by["GB"] == {2}
    assert by[""] == {0, 1, 2, 3}
