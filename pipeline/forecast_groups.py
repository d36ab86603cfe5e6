"""From the places of an audience to the groups of a forecast: recipients who may be sent to at the same times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.forecast import Group, Interval
from pipeline.plan import CampaignPlan
from pipeline.quiet_hours import NEVER
from pipeline.when import PASSED
from pipeline.whereabouts import Place
from pipeline.zones import UNKNOWN, ZoneSet, zone_ids, zone_sets


@dataclass(frozen=True, slots=True)
class Living:
    """So many recipients of one place; `number` is that of one of them, `zone` the contact's own ("" = none)."""

    country: str
    region: str
    zone: str
    number: int
    recipients: int


def groups_of(people: Sequence[Living], segments: float, plan: CampaignPlan, begin: int, until: int) -> list[Group]:
    """Groups with their windows from the launch at `begin` to `until` (ms), by the plan's send mode and quiet hours.

    `segments` is the mean of a message. Who will be skipped for the time of day, or for want of a zone, is in none.
    """
    if not people:
        return []
    numbers = np.array([one.number for one in people], np.uint64)
    zones, places = [one.zone for one in people], range(len(people))
    ids = zone_ids(numbers, zones, places, plan.store_zone, plan.unknown_zone).tolist()
    counts: dict[tuple[ZoneSet, Place], int] = {}
    for one, index in zip(people, ids, strict=True):
        if index != UNKNOWN or plan.transactional:
            where = zone_sets()[index] or (plan.store_zone,)
            key = (where, ("", "") if plan.transactional else (one.country, one.region))
            counts[key] = counts.get(key, 0) + one.recipients
    merged: dict[tuple[str, tuple[Interval, ...]], int] = {}
    for (where, place), count in counts.items():
        asked = max(begin, plan.due) if plan.local is None else plan.local.due(where, begin)
        if asked != PASSED:
            name = (where[0], tuple(_windows(plan, where, place, asked, until)))
            merged[name] = merged.get(name, 0) + count
    return [Group(zone, count, count * segments, windows) for (zone, windows), count in sorted(merged.items())]


def _windows(plan: CampaignPlan, zones: ZoneSet, place: Place, asked: int, until: int) -> list[Interval]:
    """The allowed times between `asked` and `until` (ms)."""
    if plan.transactional:
        return [(asked, max(until, asked + 1))]
    found: list[Interval] = []
    now = asked
    while now < until:
        start, end = plan.quiet.window(now, zones, place)
        if start == NEVER or start >= until:
            break
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
        now = end
    return found
