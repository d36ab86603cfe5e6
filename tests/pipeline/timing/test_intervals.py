"""Interval arithmetic, against sets of points."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pipeline.timing.intervals import Interval, append, intersect


def points(intervals: list[Interval]) -> set[int]:
    return {point for start, end in intervals for point in range(start, end)}


def of_points(wanted: set[int]) -> list[Interval]:
    made: list[Interval] = []
    for point in sorted(wanted):
        append(made, point, point + 1)
    return made


SETS = st.sets(st.integers(0, 40))


@given(SETS, SETS)
def test_an_intersection_has_the_points_of_both_and_lies_apart(a: set[int], b: set[int]) -> None:
    common = intersect(of_points(a), of_points(b))
    assert points(common) == a & b
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(common))


def test_what_touches_is_joined_and_what_is_empty_is_left_out() -> None:
    made: list[Interval] = []
    for start, end in ((0, 5), (5, 5), (5, 9), (10, 12)):
        append(made, start, end)
    assert made == [(0, 9), (10, 12)]
