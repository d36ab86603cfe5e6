"""Quiet hours in words, for `longwave explain` and the page: which rule, what it says on that day, and until when."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from pipeline.timing import tz
from pipeline.timing.hours import DAYS, Week, show
from pipeline.timing.location_key import Place, place_name
from pipeline.timing.quiet_hours import HORIZON, NEVER, QuietHours
from pipeline.timing.quiet_rules import Rule, rule_for
from pipeline.timing.zones import ZoneSet
from schemas.times import to_second

_ZONES_SHOWN: Final = 6


def explain(quiet: QuietHours, now: int, zones: ZoneSet, place: Place) -> str:
    """Lines of text: the verdict at the instant `now` (ms), the rules in force, the local times in each zone."""
    start, end = quiet.window(now, zones, place)
    edge = now if start == NEVER else end if start == now else start - 1
    # First those on which the verdict hangs.
    shown = sorted(zones, key=lambda zone: quiet.allowed(edge, (zone,), place))
    return "\n".join(
        [
            _verdict(now, start, end),
            *dict.fromkeys(_rule(quiet, place, tz.local(now, zone).date()) for zone in zones),
            *(_zone(quiet, now, start, zone, place) for zone in shown[:_ZONES_SHOWN]),
            *([f"and {len(zones) - _ZONES_SHOWN} more time zones"] if len(zones) > _ZONES_SHOWN else []),
        ]
    )


def _verdict(now: int, start: int, end: int) -> str:
    if start == NEVER:
        days = HORIZON // tz.DAY
        return f"{to_second(now)}: no moment in the next {days} days is allowed in every time zone that may be theirs"
    if start == now:
        return f"{to_second(now)}: allowed, until {to_second(end)}"
    return f"{to_second(now)}: held until {to_second(start)}"


def _rule(quiet: QuietHours, place: Place, day: date) -> str:
    if quiet.reading == "none":
        return "this account's messages reach nobody: no quiet hours"
    rule = rule_for(*place, day, quiet.reading)
    own = quiet.custom.week(*place)
    parts = [
        f"rule for {place_name(place) or 'an unknown country'} since {rule.valid_from}: {_week(rule.week)}",
        *([_closed(rule)] if rule.holidays else []),
        *([f"the account's own hours: {_week(own)}"] if own is not None else []),
        f"source: {rule.source}",
    ]
    return "; ".join(parts)


def _closed(rule: Rule) -> str:
    names = ", ".join(name for name in rule.holidays if name != "own")
    return f"closed on public holidays{f' of {names}' if names else ''}"


def _zone(quiet: QuietHours, now: int, start: int, zone: str, place: Place) -> str:
    here = tz.local(now, zone)
    day = quiet.day(place, here.date().toordinal() - date(1970, 1, 1).toordinal())
    today = show(day.hours) + (f" ({day.why})" if day.why else "")
    then = "" if start in (now, NEVER) else f", held until {_clock(tz.local(start, zone))}"
    return f"{zone}: {_clock(here)}, that day {today}{then}"


def _week(week: Week) -> str:
    """Runs of days with the same hours."""
    runs: list[tuple[int, int]] = []
    for day in range(7):
        if runs and week[runs[-1][0]] == week[day]:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return ", ".join(
        f"{DAYS[first]}{'' if first == last else '-' + DAYS[last]} {show(week[first])}" for first, last in runs
    )


def _clock(local: datetime) -> str:
    return f"{local:%a %Y-%m-%d %H:%M} {local:%Z}"
