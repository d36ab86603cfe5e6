"""Quiet hours against a search minute by minute, which knows nothing of intervals, offsets or look-up tables.

What is drawn lies mostly near what goes wrong: changes of clocks, first days of rules, holidays, ends of years.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import holidays
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.timing import tz
from pipeline.timing.hours import show
from pipeline.timing.quiet_hours import HORIZON, NEVER, QuietHours
from pipeline.timing.quiet_rules import Custom, Reading, custom_hours, rule_for, rules
from pipeline.timing.zones import zone_sets
from schemas.ids import zone_names
from tests.pipeline.timing.test_tz import transitions

MINUTE = 60_000
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in (2000, 2037))
ZONES = sorted(zone_names())
CANDIDATES = [zones for zones in zone_sets() if 2 <= len(zones) <= 8]
PLACES = sorted(
    {(c, r.replace("*", "75")) for rule in rules() for c, _, r in (p.replace("*", "", 1).partition("-")
     if p == "*" else p.partition("-") for p in rule.places)} | {("US", "NY"), ("FR", "13"), ("JP", ""), ("DE", "BY")}
)  # fmt: skip
CUSTOM = {
    "none": {},
    "narrow": {
        "US": {"mon-fri": "10:00-12:00, 14:00-18:00"},
        "FR": {"tue": "09:00-10:00"}, "*": {"wed": "10:00-18:00"},
    },
    "minutes": {"US": {"mon-sun": "20:59-21:00"}, "FR": {"sat": "19:17-19:18"}, "*": {"mon-sun": "09:00-09:01"}},
}  # fmt: skip
TRIED: Counter[str] = Counter()


@cache
def quiet(reading: Reading, custom: str) -> QuietHours:
    return QuietHours(reading, own(custom))


@cache
def own(custom: str) -> Custom:
    return custom_hours(CUSTOM[custom], date(2026, 1, 1), "cautious")


@cache
def minutes(country: str, region: str, day: date, reading: Reading, custom: str) -> frozenset[int]:
    """The minutes of a local day that are allowed, one by one."""
    rule = rule_for(country, region, day, reading)
    for calendar in rule.holidays:
        at, _, part = (f"{country}-{region}" if calendar == "own" else calendar).partition("-")
        if day in calendars(at, part, day.year):
            return frozenset()
    actual = minutes_of(show(rule.week[day.weekday()]))
    week = own(custom).week(country, region)
    return actual if week is None else actual & minutes_of(show(week[day.weekday()]))


@cache
def calendars(country: str, part: str, year: int) -> set[date]:
    return set(holidays.country_holidays(country, subdiv=part or None, years=year))


def minutes_of(text: str) -> frozenset[int]:
    if text == "closed":
        return frozenset()
    windows = [
        [int(hour) * 60 + int(minute) for hour, minute in (t.split(":") for t in w.split("-"))]
        for w in text.split(", ")
    ]
    return frozenset(minute for start, end in windows for minute in range(start, end))


def fits(at: int, zones: tuple[str, ...], *rule: object) -> bool:
    return search(at, zones, *rule, until=at + 1) == at


def search(now: int, zones: tuple[str, ...], *rule: object, until: int = 0) -> int:
    """The first allowed instant, looked for at `now` and then at every whole minute before `until`."""
    at, until, places = now, until or now + HORIZON, [(tz.zone(name), dict[int, frozenset[int]]()) for name in zones]
    local = datetime.fromtimestamp
    while at < until:
        # Ten million minutes are looked at: written out, it takes half as long as with a function for each.
        for zone, known in places:
            there = local(at // 1000, zone)
            day = there.toordinal()
            allowed = known.get(day)
            if allowed is None:
                allowed = known[day] = minutes(*rule[:2], there.date(), *rule[2:])  # type: ignore[arg-type]
            if there.hour * 60 + there.minute not in allowed:
                break
        else:
            return at
        at = (at // MINUTE + 1) * MINUTE
    return NEVER


@cache
def changes(zone: str) -> list[int]:
    """Changes of clocks: from the file, and after its last entry from its rule, found by the week, then the day."""
    actual = [at for at in transitions(zone) if FIRST <= at < LAST]
    first = max([FIRST, *actual]) // tz.DAY + 1
    weeks = [*range(first, LAST // tz.DAY - 1, 7), LAST // tz.DAY - 1]
    for week in pairwise(weeks):
        if tz.offset(zone, week[0] * tz.DAY) != tz.offset(zone, week[1] * tz.DAY):
            days = pairwise(range(week[0], week[1] + 1))
            actual += [b * tz.DAY for a, b in days if tz.offset(zone, a * tz.DAY) != tz.offset(zone, b * tz.DAY)]
    return actual


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, tuple[str, ...], tuple[str, str], Reading, str]:
    single = st.sampled_from(ZONES).map(lambda name: (name,))
    several = st.lists(st.sampled_from(ZONES), min_size=2, max_size=3).map(tuple)
    kind = draw(st.integers(0, 9))  # most sets of zones drawn at random have no hour in common, and that takes long
    zones: tuple[str, ...] = draw(single if kind < 6 else st.sampled_from(CANDIDATES) if kind < 9 else several)
    place = draw(st.sampled_from(PLACES))
    near = draw(st.sampled_from(["anywhere", "clocks", "clocks", "rule", "holiday"]))
    year = draw(st.integers(2001, 2036))
    if near == "clocks" and changes(zones[0]):
        anchor = draw(st.sampled_from(changes(zones[0])))
    elif near == "rule":
        anchor = max(FIRST, start_of(draw(st.sampled_from(rules())).valid_from))
    elif near == "holiday":
        anchor = start_of(draw(st.sampled_from(sorted(calendars("FR", "57", year)))))
    else:
        anchor = draw(st.integers(FIRST, LAST))
    now = anchor + draw(st.integers(-2 * tz.DAY, tz.DAY) | st.integers(-120, 120).map(lambda n: n * MINUTE))
    return (
        max(now, FIRST),
        zones,
        place,
        draw(st.sampled_from(["cautious", "common"])),
        draw(st.sampled_from(sorted(CUSTOM))),
    )


def start_of(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


@settings(max_examples=3000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(cases())
@example((start_of(date(2026, 3, 8)) + 5 * tz.HOUR, ("America/Havana",), ("US", ""), "cautious", "minutes"))
@example((start_of(date(2011, 12, 30)), ("Pacific/Apia",), ("", ""), "cautious", "none"))
@example((start_of(date(2026, 12, 24)) + 20 * tz.HOUR, ("Europe/Paris",), ("FR", "57"), "common", "narrow"))
@example((start_of(date(2026, 6, 1)), ("Pacific/Kiritimati", "Pacific/Niue"), ("FR", ""), "cautious", "narrow"))
def test_it_finds_what_a_search_minute_by_minute_finds(
    case: tuple[int, tuple[str, ...], tuple[str, str], Reading, str],
) -> None:
    now, zones, place, reading, custom = case
    rule = (*place, reading, custom)
    hours = quiet(reading, custom)
    start, end = hours.window(now, zones, place)
    assert start == search(now, zones, *rule)
    assert hours.next_allowed(now, zones, place) == start
    assert hours.allowed(now, zones, place) == fits(now, zones, *rule)
    if start != NEVER:
        assert start < end <= now + HORIZON
        assert all(fits(at, zones, *rule) for at in inside(start, end))
        assert end == now + HORIZON or not fits(end, zones, *rule)
    TRIED["never" if start == NEVER else "at once" if start == now else "held"] += 1
    TRIED["held more than a day"] += now + tz.DAY < start < NEVER
    TRIED["offset changes meanwhile"] += start != NEVER and any(
        tz.offset(z, now) != tz.offset(z, start) for z in zones
    )


def inside(start: int, end: int) -> Iterator[int]:
    yield start
    yield end - 1
    yield from range((start // MINUTE + 1) * MINUTE, min(end, start + tz.DAY), 7 * MINUTE)


def test_what_was_tried_is_worth_something(record_property: Any) -> None:
    count = sum(TRIED[k] for k in ("never", "at once", "held"))
    reported = ", ".join(f"{number:,} {what}" for what, number in TRIED.items())
    record_property(
        "tried", f"quiet hours: {count:,} questions against the search by minutes, violations 0 ({reported})"
    )
    assert sum(TRIED[k] for k in ("never", "at once", "held")) >= 3000
    assert min(TRIED["never"], TRIED["at once"], TRIED["held more than a day"]) >= 100
    assert TRIED["offset changes meanwhile"] >= 50
