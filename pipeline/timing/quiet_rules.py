"""Which hours the law or custom of a place allows on a local day: dated data of rules/quiet_hours.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, get_args

from phonenumbers import SUPPORTED_REGIONS

from pipeline.timing.hours import DAYS, Hours, Week, read_week, show
from pipeline.timing.intervals import intersect
from pipeline.timing.public_holidays import calendar_of, holiday

Reading = Literal["cautious", "common"]
EVERYWHERE: Final = "*"
_PLACE: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `messages` to one person in any `hours` hours."""

    messages: int
    hours: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One dated entry. `places`, `holidays` as in the file; `reading` None: of both."""

    places: tuple[str, ...]
    week: Week
    holidays: tuple[str, ...]
    cap: Cap | None
    reading: Reading | None
    source: str
    valid_from: date


@dataclass(frozen=True, slots=True)
class Day:
    """What one local day allows; `why` names the holiday where one closes it."""

    hours: Hours
    why: str = ""


def rule_for(country: str, region: str, on_date: date, reading: Reading = "cautious") -> Rule:
    """The rule in force for a place on a local date; "" is a country or region that is not known."""
    for place in _from_precise(country, region):
        begun = [
            rule
            for rule in _by_place().get(place, ())
            if rule.valid_from <= on_date and rule.reading in (None, reading)
        ]
        if begun:
            return max(begun, key=lambda rule: rule.valid_from)
    raise ValueError(f"no rule of quiet hours counts on {on_date}: the earliest begins in 1970")


@dataclass(frozen=True, slots=True)
class Custom:
    """Hours of an account, by place (CC, CC-RR or *); they only ever narrow. Made by `custom_hours`."""

    weeks: Mapping[str, Week] = field(default_factory=dict)

    def week(self, country: str, region: str) -> Week | None:
        """The hours for a place; the most precise entry counts."""
        return next((self.weeks[place] for place in _from_precise(country, region) if place in self.weeks), None)


NO_CUSTOM: Final = Custom()


def custom_hours(tables: Mapping[str, Mapping[str, str]], on_date: date, reading: Reading = "cautious") -> Custom:
    """An account's own hours from `{"US": {"mon-fri": "10:00-18:00"}}`; a day that is not named is closed.

    Each is held against the rule of its own place, now and as far as known later. Where a region or a holiday is
    stricter, that counts as well.

    Raises:
        ValueError: not readable, or wider than the rule; the text is for the user.
    """
    weeks: dict[str, Week] = {}
    for place, table in tables.items():
        if place != EVERYWHERE and (not _PLACE.fullmatch(place) or place[:2] not in SUPPORTED_REGIONS):
            raise ValueError(f"quiet hours for {place!r}: write a country (US), its region (US-TX), or * for all")
        country, _, region = ("" if place == EVERYWHERE else place).partition("-")
        try:
            weeks[place] = read_week(table)
        except ValueError as error:
            raise ValueError(f"quiet hours for {place}: {error}") from error
        dates = {on_date, *(rule.valid_from for rule in rules() if rule.valid_from > on_date)}
        for day in sorted(dates):
            _check_narrower(place, weeks[place], rule_for(country, region, day, reading))
    return Custom(weeks)


def day_of(country: str, region: str, on: date, reading: Reading, custom: Custom = NO_CUSTOM) -> Day:
    """What the local day `on` allows in a place."""
    rule = rule_for(country, region, on, reading)
    for name in rule.holidays:
        calendar = calendar_of(country, region) if name == "own" else name
        if calendar and (holiday_name := holiday(calendar, on)):
            return Day((), holiday_name)
    hours, own = rule.week[on.weekday()], custom.week(country, region)
    return Day(hours if own is None else tuple(intersect(hours, own[on.weekday()])))


@cache
def rules() -> tuple[Rule, ...]:
    """All entries of the file, in its order."""
    data = tomllib.loads(files("pipeline.rules").joinpath("quiet_hours.toml").read_text(encoding="utf-8"))
    return tuple(_read(entry) for entry in data["rule"])


def _read(entry: Mapping[str, Any]) -> Rule:
    unknown = entry.keys() - {"places", "hours", "holidays", "cap", "reading", "source", "valid_from"}
    if unknown or entry.get("reading") not in (None, *get_args(Reading)) or not entry["source"]:
        raise ValueError(f"rules/quiet_hours.toml: {', '.join(entry['places'])}: {', '.join(unknown) or 'reading'}")
    return Rule(
        places=tuple(entry["places"]),
        week=read_week(entry["hours"]),
        holidays=tuple(entry.get("holidays", ())),
        cap=Cap(**entry["cap"]) if "cap" in entry else None,
        reading=entry.get("reading"),
        source=entry["source"],
        valid_from=entry["valid_from"],
    )


@cache
def _by_place() -> Mapping[str, Sequence[Rule]]:
    by_place: dict[str, list[Rule]] = {}
    for rule in rules():
        for place in rule.places:
            by_place.setdefault(place, []).append(rule)
    return by_place


def _from_precise(country: str, region: str) -> tuple[str, ...]:
    if not country:
        return (EVERYWHERE,)
    return (f"{country}-{region}", f"{country}-*", country, EVERYWHERE) if region else (country, EVERYWHERE)


def _check_narrower(place: str, week: Week, rule: Rule) -> None:
    for name, mine, allowed in zip(DAYS, week, rule.week, strict=True):
        if tuple(intersect(mine, allowed)) != mine:
            raise ValueError(
                f"quiet hours for {place}: {name} {show(mine)} is wider than {show(allowed)}, which "
                f"{rule.source} allows (since {rule.valid_from}); an account's hours can only be narrower"
            )
