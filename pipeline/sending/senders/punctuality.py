"""How late messages are handed over: beyond their due times, and beyond what the limits of their sender and account
explain.

A campaign of a million messages at 100 a second waits for hours, and no machine is late. So each limit is held
against an ideal one. It hands over the same slices in the same order, each as soon as it is due and `SHARE` of the
limit has had room for those before it. What really comes later than that is late. An ideal one that used the whole
limit would leave the real one behind by a little with each slice, so that a long queue looked late.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SHARE: Final = 0.9
"""Fraction of the limit that the ideal lane uses; the rest is how fast a lane may catch up."""


class Punctuality:
    """The lateness by one limit. Times in ms, `rate` in segments per second."""

    __slots__ = ("_ms_per_segment", "room_at")

    def __init__(self, rate: float) -> None:
        self.change(rate)
        self.room_at = 0.0
        """When the ideal limit has room for the next slice."""

    def change(self, rate: float) -> None:
        """The limit is another one from now on."""
        self._ms_per_segment = 1000 / (SHARE * rate)

    def begin(self, last_intent_at: int) -> None:
        """The lane has a new owner; its last INTENT before was written then (0: there was none)."""
        self.room_at = last_intent_at

    def use(self, at: float, segments: int) -> None:
        """The ideal limit is used at `at`."""
        self.room_at = at + segments * self._ms_per_segment


def handed_over(due: int, now: int, limits: Iterable[tuple[Punctuality, int]]) -> float:
    """A slice is handed over whose first recipient was due at `due`, and which uses these limits with so many
    segments; how late that is, in seconds."""
    used = list(limits)
    ideal = min(float(now), max(due, *(limit.room_at for limit, _ in used)))
    for limit, segments in used:
        limit.use(ideal, segments)
    return (now - ideal) / 1000


def behind(due: int, now: int, limits: Iterable[Punctuality]) -> float:
    """How late (s) a recipient who has been waiting since `due` already is."""
    return max(0.0, now - max(due, *(limit.room_at for limit in limits))) / 1000
