"""Quiet hours at the door of a lane: asked when a slice is picked and again just before it is submitted (rule L5)."""

from __future__ import annotations

from typing import Final

from pipeline.quiet_hours import QuietHours
from schemas.lane import Work

ARRIVAL_MS: Final = 2_000
"""What goes now must still be allowed this much later (ms): the aggregator has it then, and may pass it on."""
REASON: Final = "quiet_hours"


def held_until(quiet: QuietHours, work: Work, start: int, stop: int, now: int) -> list[int] | None:
    """When each of the positions [start, stop) may go (ms; 0: at once). None, the usual case: all of them at once.

    NEVER of pipeline.quiet_hours comes out as the end of its horizon: a rule may be dated to change until then.
    """
    per_key = [_held(quiet, key, now) for key in _keys(quiet, work, now)]
    if not any(per_key):
        return None
    held = [per_key[index] for index in work.zone[start:stop]]
    return held if any(held) else None


def _keys(quiet: QuietHours, work: Work, now: int) -> list[tuple[int, int]]:
    """(allowed from, allowed from when it arrives) of each of the work's keys."""
    at_once = quiet.next_allowed_places(now, work.zones)
    on_arrival = quiet.next_allowed_places(now + ARRIVAL_MS, work.zones)
    return list(zip(at_once, on_arrival, strict=True))


def _held(quiet: QuietHours, times: tuple[int, int], now: int) -> int:
    at_once, on_arrival = times
    if at_once > now:
        return quiet.bounded(at_once, now)
    return 0 if on_arrival == now + ARRIVAL_MS else quiet.bounded(on_arrival, now)
