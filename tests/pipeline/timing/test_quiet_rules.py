"""The dated data: every rule of the facts of the field, as it reads on a day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipeline.timing.hours import DAYS, show
from pipeline.timing.quiet_rules import NO_CUSTOM, Cap, Custom, Reading, custom_hours, day_of, rule_for, rules

MONDAY = date(2026, 11, 16)
SATURDAY, SUNDAY = MONDAY + timedelta(5), MONDAY + timedelta(6)
EVERY_DAY = {
    "US": "08:00-21:00", "US-NY": "08:00-21:00", "US-DC": "08:00-21:00", "PR": "08:00-21:00",
    "US-FL": "08:00-20:00", "US-OK": "08:00-20:00", "US-MD": "08:00-20:00", "US-MA": "08:00-20:00",
    "US-NJ": "08:00-20:00", "US-WA": "08:00-20:00", "US-WY": "08:00-20:00", "US-CT": "09:00-20:00",
    "US-NV": "09:00-20:00", "US-KY": "10:00-21:00", "US-MI": "09:00-21:00", "US-MN": "09:00-21:00",
    "US-NM": "09:00-21:00", "BE": "09:00-20:00", "IN": "09:00-21:00", "JP": "09:00-20:00", "": "09:00-20:00",
}  # fmt: skip
BY_WEEKDAY = {
    "US-TX": ("09:00-21:00", "09:00-21:00", "12:00-21:00"), "US-AL": ("08:00-20:00", "08:00-20:00", "closed"),
    "US-LA": ("08:00-20:00", "08:00-20:00", "closed"), "US-MS": ("08:00-20:00", "08:00-20:00", "closed"),
    "US-RI": ("09:00-18:00", "10:00-17:00", "10:00-17:00"), "CA": ("09:00-21:30", "10:00-18:00", "10:00-18:00"),
    "CA-QC": ("09:00-21:30", "10:00-18:00", "10:00-18:00"), "FR": ("08:00-20:00", "08:00-20:00", "closed"),
    "GB": ("08:00-20:00", "08:00-20:00", "09:00-20:00"), "DE": ("08:00-20:00", "08:00-20:00", "closed"),
}  # fmt: skip


def hours(place: str, on: date, reading: Reading = "cautious", custom: Custom = NO_CUSTOM) -> str:
    country, _, region = place.partition("-")
    return show(day_of(country, region, on, reading, custom).hours)


@pytest.mark.parametrize(("place", "allowed"), EVERY_DAY.items())
def test_hours_of_places_where_all_days_are_alike(place: str, allowed: str) -> None:
    assert [hours(place, MONDAY + timedelta(day)) for day in range(7)] == [allowed] * 7


@pytest.mark.parametrize(("place", "allowed"), BY_WEEKDAY.items())
def test_hours_of_places_where_the_week_end_differs(place: str, allowed: tuple[str, str, str]) -> None:
    actual = [hours(place, MONDAY + timedelta(day)) for day in range(7)]
    assert actual == [allowed[0]] * 5 + [allowed[1], allowed[2]]


def test_the_two_readings_of_the_french_rule() -> None:
    for place in ("FR", "FR-75", "FR-57", "RE"):
        assert hours(place, MONDAY) == hours(place, MONDAY, "cautious") == "08:00-20:00"
        assert hours(place, MONDAY, "common") == "08:00-22:00"
        assert hours(place, SUNDAY, "common") == "closed"


@pytest.mark.parametrize(
    ("place", "on", "why"),
    [
        ("FR-75", date(2026, 7, 14), "National Day"), ("FR-75", date(2026, 4, 6), "Easter Monday"),
        ("FR-57", date(2026, 4, 3), "Good Friday"), ("FR-67", date(2025, 12, 26), "Saint Stephen's Day"),
        ("FR-68", date(2025, 12, 26), "Saint Stephen's Day"), ("RE", date(2027, 12, 20), "Abolition of Slavery"),
        ("US-AL", date(2026, 7, 3), "Independence Day (observed)"), ("US-LA", date(2026, 2, 17), "Mardi Gras"),
        ("US-AL", date(2026, 4, 27), "Confederate Memorial Day"), ("DE", date(2026, 10, 3), "German Unity Day"),
        ("DE-BY", date(2026, 11, 1), "All Saints' Day"), ("FR", date(2026, 4, 3), "Good Friday"),
    ],
)  # fmt: skip
def test_public_holidays_are_closed(place: str, on: date, why: str) -> None:
    country, _, region = place.partition("-")
    day = day_of(country, region, on, "cautious")
    assert (day.hours, day.why) == ((), why)


def test_the_extra_holidays_of_alsace_moselle_are_not_for_people_known_to_live_elsewhere() -> None:
    assert hours("FR-75", date(2026, 4, 3)) == "08:00-20:00"
    assert hours("FR", date(2026, 4, 3)) == "closed"
    assert hours("FR", date(2026, 4, 3), "common") == "08:00-22:00"
    assert hours("US-TX", date(2026, 7, 4)) == "09:00-21:00"


def test_florida_and_oklahoma_have_a_cap() -> None:
    capped = {place for rule in rules() if rule.cap for place in rule.places}
    assert capped == {"US-FL", "US-OK"}
    assert rule_for("US", "FL", MONDAY).cap == rule_for("US", "OK", MONDAY).cap == Cap(3, 24)
    assert rule_for("US", "NY", MONDAY).cap is None


def test_the_rule_in_force_is_the_one_of_that_day() -> None:
    assert hours("US-CT", date(2023, 9, 30)) == "09:00-21:00"
    assert hours("US-CT", date(2023, 10, 1)) == "09:00-20:00"
    assert hours("US-FL", date(2021, 6, 30)) == "08:00-21:00"
    assert rule_for("US", "FL", date(2021, 6, 30)).cap is None
    assert hours("US-FL", date(2021, 7, 1)) == "08:00-20:00"
    assert hours("US", date(1980, 1, 1)) == "09:00-20:00"


def test_every_rule_names_its_source_and_is_reached() -> None:
    for rule in rules():
        assert rule.source
        for place in rule.places:
            country, _, region = ("" if place == "*" else place).partition("-")
            reading: Reading = rule.reading or "cautious"
            assert rule_for(country, region.replace("*", "75"), rule.valid_from, reading) is rule


def test_own_hours_narrow_and_the_rule_of_a_state_counts_as_well() -> None:
    own = custom_hours({"US": {"mon-fri": "10:00-19:00", "sat-sun": "11:00-16:00"}}, MONDAY)
    assert hours("US-NY", MONDAY, custom=own) == "10:00-19:00"
    assert hours("US-RI", MONDAY, custom=own) == "10:00-18:00"
    assert hours("US-AL", SUNDAY, custom=own) == "closed"
    assert hours("US-TX", SUNDAY, custom=own) == "12:00-16:00"
    assert hours("FR", MONDAY, custom=own) == "08:00-20:00"
    assert hours("US-NY", SATURDAY, custom=custom_hours({"US": {"mon": "10:00-11:00"}}, MONDAY)) == "closed"
    most_precise = custom_hours({"US": {"mon": "10:00-11:00"}, "US-TX": {"mon": "15:00-16:00"}}, MONDAY)
    assert hours("US-TX", MONDAY, custom=most_precise) == "15:00-16:00"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"US": {"mon-sun": "07:59-20:00"}}, "mon 07:59-20:00 is wider than 08:00-21:00, which 47 CFR 64.1200"),
        ({"US-FL": {"sat": "09:00-21:00"}}, "quiet hours for US-FL: sat 09:00-21:00 is wider than 08:00-20:00"),
        ({"FR": {"mon-sun": "10:00-18:00"}}, "sun 10:00-18:00 is wider than closed"),
        ({"FR": {"mon": "10:00-21:00"}}, "wider than 08:00-20:00"),
        ({"*": {"mon": "08:00-09:30"}}, "wider than 09:00-20:00"),
        ({"US": {"mon": "10-18"}}, "quiet hours for US: '10-18' is no window of hours"),
        ({"us": {"mon": "10:00-18:00"}}, "'us': write a country"),
        ({"XX": {"mon": "10:00-18:00"}}, "'XX': write a country"),
        ({"USA": {"mon": "10:00-18:00"}}, "'USA': write a country"),
    ],
)
def test_own_hours_that_are_wider_or_unclear_are_refused(table: dict[str, dict[str, str]], says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        custom_hours(table, MONDAY)
    assert says in str(caught.value)


def test_own_hours_are_held_against_rules_that_are_known_to_begin_later() -> None:
    with pytest.raises(ValueError, match=r"09:00-21:00 is wider than 09:00-20:00.*since 2023-10-01"):
        custom_hours({"US-CT": {"mon": "09:00-21:00"}}, date(2023, 1, 1))
    assert custom_hours({"FR": {"mon": "10:00-21:00"}}, MONDAY, "common").weeks


def test_days_are_named_as_python_counts_them() -> None:
    assert [f"{MONDAY + timedelta(day):%a}".lower() for day in range(7)] == list(DAYS)
