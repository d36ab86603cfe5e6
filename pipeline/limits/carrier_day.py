"""Limits per carrier and day, in segments (rule L5). A carrier's day ends at midnight Pacific (T-Mobile's rule for
brands on 10DLC). Which carrier a recipient has is the contact's attribute `carrier`; one without it is not limited.

What counts is what a lane submitted: an INTENT counts, and what turns out not to have been processed is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final

from pipeline.timing import tz

FIELD: Final = "carrier"
_ZONE: Final = tz.zone("America/Los_Angeles")


def normal(carrier: str) -> str:
    """A carrier's name as limits are kept by: case and outer spaces do not matter."""
    return carrier.strip().casefold()


def day_of(at: int) -> int:
    """The Pacific day of an instant (ms), as a proleptic Gregorian ordinal."""
    return datetime.fromtimestamp(at / 1000, _ZONE).toordinal()


def next_day(at: int) -> int:
    """The instant (ms) at which the Pacific day of `at` (ms) is over. Midnight exists on every day of this zone."""
    tomorrow = datetime.fromtimestamp(at / 1000, _ZONE).date() + timedelta(days=1)
    return int(datetime.combine(tomorrow, time(), _ZONE).astimezone(UTC).timestamp() * 1000)


@dataclass(slots=True)
class CarrierDays:
    """Segments per carrier of the latest day seen and the one before it."""

    used: dict[tuple[int, str], int] = field(default_factory=dict)

    def count(self, at: int, carriers: Iterable[str], segments: Iterable[int]) -> None:
        """Count segments submitted at `at` (ms)."""
        self._add(day_of(at), carriers, segments, 1)

    def give_back(self, at: int, carriers: Iterable[str], segments: Iterable[int]) -> None:
        """What was counted at `at` (ms) was not processed."""
        self._add(day_of(at), carriers, segments, -1)

    def left(self, now: int, limits: Mapping[str, int]) -> dict[str, int]:
        """Segments that each limited carrier may still get on the day of `now` (ms)."""
        day = day_of(now)
        return {carrier: limit - self.used.get((day, carrier), 0) for carrier, limit in limits.items()}

    def _add(self, day: int, carriers: Iterable[str], segments: Iterable[int], sign: int) -> None:
        for carrier, count in zip(carriers, segments, strict=True):
            if carrier:
                key = (day, normal(carrier))
                self.used[key] = self.used.get(key, 0) + sign * count
        if any(known < day - 1 for known, _ in self.used):
            self.used = {key: count for key, count in self.used.items() if key[0] >= day - 1}
