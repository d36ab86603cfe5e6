"""Whose turn it is: the senders of a channel by the time at which each may be picked from next.

A heap, so that the next one costs the logarithm of the number of senders. An entry that was replaced by an earlier
one stays in the heap and is passed over.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

S = TypeVar("S")


class Schedule(Generic[S]):
    """Entries by time (s); of entries with one time, the one that was put first comes first."""

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        """`numbers`: where several schedules are compared, what numbers the entries of all of them."""
        self._heap: list[tuple[float, int, S]] = []
        self._at: dict[S, tuple[float, int]] = {}
        self._number = count() if numbers is None else numbers

    def put(self, entry: S, at: float) -> None:
        """Let an entry have its turn at `at`, unless it has one before."""
        known = self._at.get(entry)
        if known is not None and known[0] <= at:
            return
        number = next(self._number)
        self._at[entry] = (at, number)
        heapq.heappush(self._heap, (at, number, entry))

    def remove(self, entry: S) -> None:
        """The entry has no turn anymore."""
        self._at.pop(entry, None)

    def next_at(self) -> float | None:
        """When the next turn is; None if nobody has one."""
        first = self.first()
        return None if first is None else first[0]

    def first(self) -> tuple[float, int] | None:
        """When the next turn is, and its number; None if nobody has one."""
        while self._heap:
            at, number, entry = self._heap[0]
            if self._at.get(entry) == (at, number):
                return at, number
            heapq.heappop(self._heap)
        return None

    def peek(self) -> S:
        """The entry whose turn is next; there must be one."""
        first = self.first()
        assert first is not None, "somebody has a turn"
        return self._heap[0][2]

    def pop(self, until: float) -> S | None:
        """The entry whose turn is next, if it is at `until` or before; it has none anymore."""
        at = self.next_at()
        if at is None or at > until:
            return None
        entry = heapq.heappop(self._heap)[2]
        del self._at[entry]
        return entry
