"""When a message may go: `next_allowed` is the first instant that is allowed in every zone its recipient may be in.

Time is cut into pieces of constant offset (see `tz`). Within one, local hours are plain additions, so a local
hour that does not exist allows nothing, one that happens twice is allowed or forbidden both times, and a midnight
that does not exist needs no special case. The allowed intervals of a fortnight are kept for each (zones, place), so
that the usual question is one look-up in a sorted list.

Transactional messages and replies are exempt: whoever sends them does not ask here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.timing import tz
from pipeline.timing.intervals import Interval, append, intersect
from pipeline.timing.location_key import Place, write_key
from pipeline.timing.quiet_rules import NO_CUSTOM, Custom, Day, Reading, custom_hours, day_of
from pipeline.timing.zones import ZoneSet, zone_sets
from schemas.audience import Indices

NEVER: Final = 2**53 - 1
"""No instant within `HORIZON` is allowed in all zones. Later than every instant, and exact in JSON."""
HORIZON: Final = 14 * tz.DAY
Instants = NDArray[np.int64]

_BLOCK: Final = 7
_EPOCH: Final = date(1970, 1, 1).toordinal()
_MINUTE: Final = 60_000
_KEPT: Final = 20_000


@dataclass(slots=True)
class QuietHours:
    """Quiet hours by one reading and one account's own hours. Remembers what it has worked out; nothing else changes
    what it answers. Places have small integers, valid for this object only: `rule_ids`."""

    reading: Reading | Literal["none"] = "cautious"
    """"none": all hours are allowed; for accounts whose messages reach nobody."""
    custom: Custom = NO_CUSTOM
    _places: list[Place] = field(default_factory=list)
    _ids: dict[Place, int] = field(default_factory=dict)
    _days: dict[tuple[Place, int], Day] = field(default_factory=dict)
    _tables: dict[tuple[ZoneSet, Place, int], tuple[list[int], list[int]]] = field(default_factory=dict)

    def allowed(self, now: int, zones: ZoneSet, place: Place) -> bool:
        """Whether a message may go at the instant `now` (ms)."""
        return self.next_allowed(now, zones, place) == now

    def next_allowed(self, now: int, zones: ZoneSet, place: Place) -> int:
        """The first instant from `now` (ms) on that is allowed in all of `zones`, NEVER if none within `HORIZON`.

        Raises:
            ValueError: no zones, or one that does not exist.
        """
        return self.window(now, zones, place)[0]

    def window(self, now: int, zones: ZoneSet, place: Place) -> Interval:
        """`next_allowed` and the end (excluded) of the allowed time that it begins; the end is looked for up to
        `HORIZON` after `now`. (NEVER, NEVER) if there is none."""
        if self.reading == "none":
            return now, now + HORIZON
        starts, ends = self._table(zones, place, now // tz.DAY // _BLOCK)
        index = bisect_right(ends, now)
        if index == len(ends) or starts[index] >= now + HORIZON:
            return NEVER, NEVER
        return max(now, starts[index]), min(ends[index], now + HORIZON)

    @staticmethod
    def bounded(at: int, now: int) -> int:
        """`at`, but the end of the horizon for NEVER: ask again then."""
        return now + HORIZON if at == NEVER else at

    def next_allowed_many(self, now: int | Instants, zone_ids: NDArray[np.int32], rule_ids: Instants) -> Instants:
        """`next_allowed` for a chunk; `now` is one instant or one for each. `zone_ids` as of `zones`, none of
        them UNKNOWN; `rule_ids` as of `rule_ids`."""
        at = np.broadcast_to(np.asarray(now, np.int64), zone_ids.shape)
        if self.reading == "none":
            return at
        moments, moment = np.unique(at, return_inverse=True)
        cases = (rule_ids * len(zone_sets()) + zone_ids) * len(moments) + moment
        _, first, case = np.unique(cases, return_index=True, return_inverse=True)
        distinct = zip(at[first].tolist(), zone_ids[first].tolist(), rule_ids[first].tolist(), strict=True)
        times = [self.next_allowed(at, zone_sets()[zones], self._places[place]) for at, zones, place in distinct]
        return np.array(times, np.int64)[case]

    def rule_ids(
        self, countries: Sequence[str], country: Indices, regions: Sequence[str], region: Indices
    ) -> Instants:
        """The places of a chunk: `countries[country[i]]`, `regions[region[i]]`, "" = not known."""
        pairs = np.asarray(country, np.int64) * len(regions) + np.asarray(region, np.int64)
        distinct, back = np.unique(pairs, return_inverse=True)
        places = [(countries[pair // len(regions)], regions[pair % len(regions)]) for pair in distinct.tolist()]
        return np.array([self.rule_id(place) for place in places], np.int64)[back]

    def rule_id(self, place: Place) -> int:
        """The small integer of a place."""
        known = self._ids.get(place)
        if known is None:
            known = self._ids[place] = len(self._places)
            self._places.append(place)
        return known

    def place(self, rule_id: int) -> Place:
        """The place of a small integer that `rule_id` gave."""
        return self._places[rule_id]

    def keys(self, zone_ids: NDArray[np.int32], rule_ids: Instants) -> tuple[list[str], list[int]]:
        """The columns `zones` and `zone` of a WORK: the distinct keys, and the index of each recipient's key."""
        cases = rule_ids * len(zone_sets()) + zone_ids
        _, first, case = np.unique(cases, return_index=True, return_inverse=True)
        pairs = zip(zone_ids[first].tolist(), rule_ids[first].tolist(), strict=True)
        return [write_key(zone_sets()[zones], self._places[place]) for zones, place in pairs], case.tolist()

    def day(self, place: Place, day: int) -> Day:
        """What the local day `day` (days since 1970) allows."""
        key = (place, day)
        allowed = self._days.get(key)
        if allowed is None:
            if len(self._days) >= _KEPT:
                self._days.clear()
            reading = "cautious" if self.reading == "none" else self.reading
            allowed = day_of(*place, date.fromordinal(_EPOCH + day), reading, self.custom)
            self._days[key] = allowed
        return allowed

    def _table(self, zones: ZoneSet, place: Place, block: int) -> tuple[list[int], list[int]]:
        """Starts and ends of the allowed intervals from the first day of `block` to `HORIZON` after its last."""
        key = (zones, place, block)
        table = self._tables.get(key)
        if table is None:
            if not zones:
                raise ValueError("quiet hours need at least one time zone")
            if len(self._tables) >= _KEPT:
                self._tables.clear()
            intervals = self._intervals(zones[0], place, block)
            for zone in zones[1:]:
                intervals = intersect(intervals, self._intervals(zone, place, block))
            table = self._tables[key] = [start for start, _ in intervals], [end for _, end in intervals]
        return table

    def _intervals(self, zone: str, place: Place, block: int) -> list[Interval]:
        first = block * _BLOCK
        intervals: list[Interval] = []
        for utc_day in range(first, first + _BLOCK + HORIZON // tz.DAY + 1):
            for start, end, offset in tz.pieces(zone, utc_day):
                for day in range((start + offset) // tz.DAY, (end + offset - 1) // tz.DAY + 1):
                    midnight = day * tz.DAY - offset
                    for a, b in self.day(place, day).hours:
                        append(intervals, max(start, midnight + a * _MINUTE), min(end, midnight + b * _MINUTE))
        return intervals


def quiet_of(reading: Reading | Literal["none"], hours: Mapping[str, Mapping[str, str]], now: int) -> QuietHours:
    """The quiet hours of an account's settings, checked as of `now` (ms).

    Raises:
        ValueError: the account's own hours are not readable, or wider than a rule; the text is for the user.
    """
    if reading == "none":
        return QuietHours(reading)
    return QuietHours(reading, custom_hours(hours, date.fromordinal(_EPOCH + now // tz.DAY), reading))
