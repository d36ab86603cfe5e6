"""When each recipient's message is due: the campaign's send mode, then quiet hours, then the deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.timing import tz
from pipeline.timing.quiet_hours import NEVER, Instants
from pipeline.timing.zones import ZoneIds, ZoneSet, zone_sets
from schemas.campaign import DraftSpec

if TYPE_CHECKING:
    from pipeline.campaign.plan import CampaignPlan

IfPassed = Literal["next_day", "at_once", "skip"]
LEAD_MS: Final = 15 * 60_000
"""Milliseconds reserved for freezing the audience and fanning it out to the lanes."""
BEHIND_MS: Final = 60_000
"""Freezing and fanning out a large audience take about as long."""
_FIRST_ZONE: Final = "Pacific/Kiritimati"
"""UTC+14: no clock is ahead of it."""
PASSED: Final = -1
"""Instead of a due time: the local time has passed and the campaign skips the recipient."""


@dataclass(frozen=True, slots=True)
class LocalTime:
    """`at` (without an offset) on each recipient's own clock; `if_passed`: what then, for those past it."""

    at: datetime
    if_passed: IfPassed

    def due(self, zones: ZoneSet, now: int) -> int:
        """The first instant at which every one of `zones` has reached the local time (ms), PASSED where it is to be
        skipped. A time that a change of clocks leaves out is taken as after it, one that comes twice as the first."""
        due = max(_instant(self.at, zone) for zone in zones)
        if due >= now:
            return due
        if self.if_passed == "next_day":
            days = max(1, (now - due) // tz.DAY)
            while due < now:
                due = max(_instant(self.at + timedelta(days=days), zone) for zone in zones)
                days += 1
            return due
        return now if self.if_passed == "at_once" else PASSED


def _instant(local: datetime, zone: str) -> int:
    return round(local.replace(tzinfo=tz.zone(zone)).timestamp() * 1000)


def begins(plan: CampaignPlan) -> int:
    """When the processing of a campaign begins (ms): before anybody on earth is due, so that all wait in their lanes
    by then."""
    if plan.local is None:
        return plan.due - LEAD_MS
    return _instant(plan.local.at, _FIRST_ZONE) - LEAD_MS


def is_for_later(spec: DraftSpec, store_zone: str, now: int) -> bool:
    """Whether a launch at `now` (ms) would leave the campaign scheduled, by `begins`."""
    if spec.send_at is None:
        return False
    due = _instant(spec.send_at, _FIRST_ZONE) if spec.local_time else tz.instant(spec.send_at, store_zone)
    return due - LEAD_MS > now


@dataclass(frozen=True, slots=True)
class Dues:
    """Columns of n. `due` in ms; `planned`: the same, or the time before `now` at which it should have been, where
    the campaign's work comes late (`pipeline.lane.lateness`); `passed`, `never`: who cannot be sent to at all, whose
    `due` means nothing; `quiet`: whom quiet hours hold back."""

    due: Instants
    planned: Instants
    passed: NDArray[np.bool_]
    never: NDArray[np.bool_]
    quiet: NDArray[np.bool_]


def dues(plan: CampaignPlan, zone_ids: ZoneIds, rule_ids: Instants, now: int) -> Dues:
    """Due times of a chunk, none before `now` (ms). `zone_ids` none of them UNKNOWN.

    Past the deadline nobody may be sent to: who would be due later is due at the deadline, where the lane lets it
    expire, so that the accounting tells it then and not days later.
    """
    named = _asked(plan, zone_ids)
    passed = named == PASSED
    asked = np.maximum(named, now)
    due = asked if plan.transactional else plan.quiet.next_allowed_many(asked, zone_ids, rule_ids)
    never = due == NEVER
    quiet = due > asked
    if plan.deadline is not None:
        due = np.minimum(due, max(plan.deadline, now))
    has_time = named > 0  # a draft that names no time has none
    planned = np.where(quiet | ~has_time, due, np.minimum(due, named))
    behind = has_time & (now - named > BEHIND_MS)
    if behind.any() and not plan.transactional:
        # Judged late: what counts is when they could have gone, not that it is night by now.
        in_time = plan.quiet.next_allowed_many(named[behind], zone_ids[behind], rule_ids[behind])
        planned[behind] = np.minimum(due[behind], in_time)
    return Dues(due, planned, passed, never & (plan.deadline is None), quiet)


def _asked(plan: CampaignPlan, zone_ids: ZoneIds) -> Instants:
    if plan.local is None:
        return np.full(len(zone_ids), plan.due, np.int64)
    distinct, back = np.unique(zone_ids, return_inverse=True)
    times = [plan.local.due(zone_sets()[index], plan.due) for index in distinct.tolist()]
    return np.array(times, np.int64)[back]
