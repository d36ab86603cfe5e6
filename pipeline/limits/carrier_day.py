"""Limits per carrier and day, in segments (rule L5). They are a brand's (10DLC), over all its senders.

A carrier's day ends at midnight Pacific (T-Mobile's rule), unless the account names another zone. Which carrier a
recipient has is the contact's attribute `carrier`; one without it is not limited. What counts is what a lane
submitted: an INTENT counts, and what turns out not to have been processed is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final

from pipeline.timing import tz

FIELD: Final = "carrier"
ZONE: Final = "America/Los_Angeles"
Brand = tuple[str, str]
"""An account and one of its brands."""


def normal(carrier: str) -> str:
    """A carrier's name as limits are kept by: case and outer spaces do not matter."""
    return carrier.strip().casefold()


def day_of(at: int, zone: str = ZONE) -> int:
    """The day of an instant (ms) in a zone, as a proleptic Gregorian ordinal."""
    return datetime.fromtimestamp(at / 1000, tz.zone(zone)).toordinal()


def next_day(at: int, zone: str = ZONE) -> int:
    """The instant (ms) at which the day of `at` (ms) is over in a zone. Where clocks skip midnight, it is the first
    moment after the gap."""
    here = tz.zone(zone)
    tomorrow = datetime.fromtimestamp(at / 1000, here).date() + timedelta(days=1)
    return int(datetime.combine(tomorrow, time(), here).astimezone(UTC).timestamp() * 1000)


@dataclass(slots=True)
class CarrierDays:
    """Segments per brand and carrier, of each brand's latest day seen and the one before it."""

    used: dict[tuple[Brand, int, str], int] = field(default_factory=dict)

    def count(self, brand: Brand, day: int, carriers: Iterable[str], segments: Iterable[int]) -> None:
        """Count segments submitted on a `day`."""
        self._add(brand, day, carriers, segments, 1)

    def give_back(self, brand: Brand, day: int, carriers: Iterable[str], segments: Iterable[int]) -> None:
        """What was counted on that `day` was not processed."""
        self._add(brand, day, carriers, segments, -1)

    def left(self, brand: Brand, day: int, limits: Mapping[str, int]) -> dict[str, int]:
        """Segments that each limited carrier may still get on the `day`."""
        return {carrier: limit - self.used.get((brand, day, carrier), 0) for carrier, limit in limits.items()}

    def _add(self, brand: Brand, day: int, carriers: Iterable[str], segments: Iterable[int], sign: int) -> None:
        is_new = False
        for carrier, count in zip(carriers, segments, strict=True):
            if carrier:
                key = (brand, day, normal(carrier))
                is_new = is_new or key not in self.used
                self.used[key] = self.used.get(key, 0) + sign * count
        if is_new:
            self.used = {key: count for key, count in self.used.items() if key[0] != brand or key[1] >= day - 1}
