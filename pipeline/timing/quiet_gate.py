"""The lane's check of quiet hours: when a slice is picked, and again just before it is submitted (rule L5)."""

from __future__ import annotations

from typing import Final

from pipeline.timing.location_key import read_key
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import Work

ARRIVAL_MS: Final = 2_000
"""What goes now must still be allowed this much later (ms): the aggregator has it then, and may pass it on."""


def held_until(quiet: QuietHours, work: Work, start: int, stop: int, now: int) -> list[int] | None:
    """When each of the positions [start, stop) may go (ms; 0: at once). None, the usual case: all of them at once.

    `quiet_hours.NEVER` comes out as the end of its horizon: a rule may be dated to change until then.
    """
    # Only those keys that the slice has: a WORK of 500 may have a hundred, and a slow lane's slice is one message.
    zone = work.zone[start:stop]
    until = {index: _held(quiet, work.zones[index], now) for index in dict.fromkeys(zone)}
    return [until[index] for index in zone] if any(until.values()) else None


def _held(quiet: QuietHours, key: str, now: int) -> int:
    zones, place = read_key(key)
    begin, end = quiet.window(now, zones, place)
    if begin > now:
        return quiet.bounded(begin, now)
    arrival = now + ARRIVAL_MS
    if arrival < end:
        return 0
    on_arrival = quiet.next_allowed(arrival, zones, place)
    return 0 if on_arrival == arrival else quiet.bounded(on_arrival, now)
