"""How late a lane hands messages over: beyond their due times, and beyond what its limit explains.

A campaign of a million messages at 100 a second waits for hours, and no machine is late. So the lane is held against
an ideal one. It hands over the same slices in the same order, each as soon as it is due and `SHARE` of the limit has
had room for those before it. What really comes later than that is late. An ideal lane that used the whole limit would
leave the real one behind by a little with each slice, so that a long queue looked late.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.9
"""Fraction of the limit that the ideal lane uses; the rest is how fast a lane may catch up."""


class Punctuality:
    """One lane's lateness. Times in ms, `rate` in segments per second."""

    def __init__(self, rate: float) -> None:
        self._ms_per_segment = 1000 / (SHARE * rate)
        self._room_at = 0.0
        """When the ideal lane's limit has room for the next slice."""

    def begin(self, last_intent_at: int) -> None:
        """The lane has a new owner; its last INTENT before was written then (0: there was none)."""
        self._room_at = last_intent_at

    def handed_over(self, due: int, segments: int, now: int) -> float:
        """A slice is handed over whose first recipient was due at `due`; how late that is, in seconds."""
        ideal = min(float(now), max(due, self._room_at))
        self._room_at = ideal + segments * self._ms_per_segment
        return (now - ideal) / 1000

    def behind(self, due: int, now: int) -> float:
        """How late (s) a recipient who has been waiting since `due` already is."""
        return max(0.0, now - max(due, self._room_at)) / 1000
