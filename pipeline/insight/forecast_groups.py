"""From the crowds of a rehearsal to the groups of a forecast: recipients who may be sent to at the same times."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.campaign.plan import CampaignPlan
from pipeline.campaign.when import PASSED
from pipeline.eligibility.rehearsal import Crowd
from pipeline.insight.forecast import Group
from pipeline.timing.intervals import Interval, append
from pipeline.timing.location_key import Place
from pipeline.timing.quiet_hours import NEVER
from pipeline.timing.zones import ZoneSet


def groups_of(crowds: Iterable[Crowd], plan: CampaignPlan, begin: int, until: int) -> list[Group]:
    """Groups with their windows from the launch at `begin` to `until` (ms), by the plan's send mode and quiet hours.

    Who would be skipped is in no crowd.
    """
    merged: dict[tuple[str, tuple[Interval, ...]], tuple[int, int]] = {}
    for crowd in crowds:
        asked = _due(crowd, plan, begin)
        if asked != PASSED:
            name = (crowd.zones[0], tuple(_windows(plan, crowd.zones, crowd.place, asked, until)))
            recipients, segments = merged.get(name, (0, 0))
            merged[name] = (recipients + crowd.recipients, segments + crowd.segments)
    return [Group(zone, *counts, windows) for (zone, windows), counts in sorted(merged.items())]


def last_due(crowds: Iterable[Crowd], plan: CampaignPlan, begin: int) -> int:
    """When, of the recipients of a launch at `begin`, the last may be sent to at the earliest (ms)."""
    return max((due for crowd in crowds if (due := _due(crowd, plan, begin)) != PASSED), default=begin)


def _due(crowd: Crowd, plan: CampaignPlan, begin: int) -> int:
    return max(begin, plan.due) if plan.local is None else plan.local.due(crowd.zones, begin)


def _windows(plan: CampaignPlan, zones: ZoneSet, place: Place, asked: int, until: int) -> list[Interval]:
    """The allowed times between `asked` and `until` (ms)."""
    if plan.transactional:
        return [(asked, max(until, asked + 1))]
    windows: list[Interval] = []
    now = asked
    while now < until:
        start, end = plan.quiet.window(now, zones, place)
        if start == NEVER or start >= until:
            break
        append(windows, start, end)
        now = end
    return windows
