"""From the places of an audience to the groups of a forecast: recipients who may be sent to at the same times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.forecast import ALWAYS, Group, Interval
from pipeline.quiet_hours import NEVER, QuietHours
from pipeline.whereabouts import Place
from pipeline.zones import Policy, ZoneSet, zone_ids, zone_sets


@dataclass(frozen=True, slots=True)
class Living:
    """So many recipients of one place; `number` is that of one of them, `zone` the contact's own ("" = none)."""

    country: str
    region: str
    zone: str
    number: int
    recipients: int


def groups_of(
    people: Sequence[Living],
    segments: float,
    begin: int,
    until: int,
    store_zone: str,
    unknown: Policy = "store",
    quiet: QuietHours | None = None,
) -> list[Group]:
    """Groups with their windows from `begin` to `until` (ms); always open where `quiet` is None (transactional).

    `segments` is the mean of a message. Who is nowhere by the account's policy (`unknown` = "skip") is in no group.
    """
    if not people:
        return []
    numbers = np.array([one.number for one in people], np.uint64)
    ids = zone_ids(numbers, [one.zone for one in people], range(len(people)), store_zone, unknown).tolist()
    counts: dict[tuple[ZoneSet, Place], int] = {}
    for one, index in zip(people, ids, strict=True):
        if index:
            key = (zone_sets()[index], (one.country, one.region) if quiet is not None else ("", ""))
            counts[key] = counts.get(key, 0) + one.recipients
    merged: dict[tuple[str, tuple[Interval, ...]], int] = {}
    for (zones, place), count in counts.items():
        windows = ALWAYS if quiet is None else windows_of(quiet, zones, place, begin, until)
        name = (zones[0], tuple(windows))
        merged[name] = merged.get(name, 0) + count
    return [Group(zone, count, count * segments, windows) for (zone, windows), count in sorted(merged.items())]


def windows_of(quiet: QuietHours, zones: ZoneSet, place: Place, begin: int, until: int) -> list[Interval]:
    """The allowed times between `begin` and `until` (ms)."""
    found: list[Interval] = []
    now = begin
    while now < until:
        start, end = quiet.window(now, zones, place)
        if start == NEVER or start >= until:
            break
        found.append((start, end))
        now = end
    return found
