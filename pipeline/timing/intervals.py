"""Intervals of any unit, (start, end) with the end excluded; lists of them rise and lie apart."""

from __future__ import annotations

from collections.abc import Sequence

Interval = tuple[int, int]


def append(intervals: list[Interval], start: int, end: int) -> None:
    """Add an interval behind the others: joined to the last where they touch, left out where it is empty."""
    if start >= end:
        return
    if intervals and intervals[-1][1] == start:
        intervals[-1] = (intervals[-1][0], end)
    else:
        intervals.append((start, end))


def intersect(a: Sequence[Interval], b: Sequence[Interval]) -> list[Interval]:
    """What is in both."""
    common: list[Interval] = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            common.append((start, end))
        i, j = (i + 1, j) if a[i][1] < b[j][1] else (i, j + 1)
    return common
