"""Ranges and chunks cover everybody once, respect both boundaries, and repeat exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audience.fanout import chunks, ranges
from schemas.audience import AudiencePage
from schemas.chunk import RECIPIENTS, FanoutRange, RecipientChunk, lane_of_ordinal
from schemas.ids import bucket, partition_of_bucket
from schemas.wire import encode


def page_of(numbers: list[int], first: int = 0) -> AudiencePage:
    n = len(numbers)
    return AudiencePage(
        first=first,
        numbers=np.array(numbers, np.uint64),
        zones=["", "Europe/Paris", "Asia/Kolkata"],
        zone=np.arange(n) % 3,
        countries=["FR", "IN", "XX"],
        country=[index % 2 for index in range(n)],
        regions=[""],
        region=np.zeros(n, np.uint16),
        fields={"name": [f"N{number}" for number in numbers]},
    )


def audience(n: int, seed: int) -> list[int]:
    drawn = np.unique(np.random.default_rng(seed).integers(10**9, 10**14, n))
    return sorted(drawn.tolist(), key=bucket)


def task_of(n: int, first: int = 0) -> FanoutRange:
    return FanoutRange(campaign="0000000z", revision=2, message=0, first=first, last=first + n)


@given(st.integers(0, 5000), st.integers(1, 3000))
def test_ranges_cover_all_in_whole_chunks(recipients: int, size: int) -> None:
    actual = list(ranges("0000000z", 2, 0, recipients, size))
    assert [ordinal for r in actual for ordinal in range(r.first, r.last)] == list(range(recipients))
    assert all(r.first % 500 == 0 for r in actual)
    assert all(r.last - r.first <= max(size, 500) for r in actual)


@settings(max_examples=40)
@given(st.integers(1, 3000), st.integers(1, 16), st.integers(0, 3), st.integers(0, 99))
def test_chunks_cover_all_and_cross_nothing(n: int, partitions: int, before: int, seed: int) -> None:
    numbers = audience(n, seed)
    first = before * 250
    seen: list[tuple[int, int, str]] = []
    for partition, chunk in chunks(task_of(len(numbers), first), page_of(numbers, first), partitions):
        last = chunk.first + len(chunk.numbers) - 1
        assert chunk.first // 500 == last // 500
        assert lane_of_ordinal(chunk.first, [3, 1, 4]) == lane_of_ordinal(last, [3, 1, 4])
        assert {partition_of_bucket(bucket(number), partitions) for number in chunk.numbers} == {partition}
        assert isinstance(RECIPIENTS.decode(encode(chunk)), RecipientChunk)
        for index, number in enumerate(chunk.numbers):
            ordinal = chunk.first + index
            assert chunk.zones[chunk.zone[index]] == ["", "Europe/Paris", "Asia/Kolkata"][(ordinal - first) % 3]
            assert chunk.countries[chunk.country[index]] == ["FR", "IN"][(ordinal - first) % 2]
            seen.append((ordinal, number, chunk.fields["name"][index]))
    assert seen == [(first + i, number, f"N{number}") for i, number in enumerate(numbers)]


def test_whole_pages_of_any_size_give_the_same_chunks() -> None:
    numbers = audience(3000, 5)
    task, page = task_of(len(numbers)), page_of(numbers)
    whole = [(p, encode(c)) for p, c in chunks(task, page, 8)]
    halves = [(p, encode(c)) for first in (0, 1500) for p, c in chunks(task, page.part(first, first + 1500), 8)]
    assert whole == halves


def test_dictionaries_hold_only_what_the_chunk_uses() -> None:
    [(_, chunk)] = chunks(task_of(1), page_of([33_612_345_678]), 1)
    assert (chunk.zones, chunk.countries, chunk.zone) == ([""], ["FR"], [0])


def test_empty_page_gives_nothing_and_a_foreign_one_is_refused() -> None:
    assert list(chunks(task_of(5), page_of([]), 8)) == []
    with pytest.raises(ValueError, match="not inside of the range"):
        list(chunks(task_of(2), page_of([1, 2, 3]), 8))


def test_a_page_with_a_short_column_is_refused() -> None:
    with pytest.raises(ValueError, match="column name has 1 entries, expected 2"):
        AudiencePage(0, [1, 2], [""], [0, 0], [""], [0, 0], [""], [0, 0], {"name": ["a"]})
