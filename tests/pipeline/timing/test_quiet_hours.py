"""When a message may go: what is known by heart. `test_quiet_properties` checks the rest against a search minute by
minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from pipeline.numbers.area_codes import state_of_number
from pipeline.timing import tz
from pipeline.timing.location_key import read_key, write_key
from pipeline.timing.quiet_explain import explain
from pipeline.timing.quiet_hours import HORIZON, NEVER, QuietHours
from pipeline.timing.quiet_rules import Custom, Day, custom_hours
from pipeline.timing.zones import candidate_zones, zone_ids, zone_sets

QUIET = QuietHours()
ALL_DAY = Custom({"*": (((0, 1440),),) * 7})
"""Made by hand, not by `custom_hours`; with `Free` it opens whole days, which no rule does."""


class Free(QuietHours):
    """Allows what its own hours allow, without any law, to look at midnight and at clocks alone."""

    def day(self, place, day):  # type: ignore[no-untyped-def]
        week = self.custom.weeks["*"]
        return Day(week[(day + 3) % 7])  # 1970-01-01 was a Thursday


def at(text: str, zone: str, fold: int = 0) -> int:
    """Milliseconds of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=tz.zone(zone), fold=fold).timestamp()) * 1000


def then(text: str, zone: str, place: str, quiet: QuietHours = QUIET) -> str:
    """The local time at which a message of the local time `text` may go."""
    country, _, region = place.partition("-")
    actual = quiet.next_allowed(at(text, zone), (zone,), (country, region))
    return "never" if actual == NEVER else f"{tz.local(actual, zone):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "zone", "place", "expected"),
    [
        ("2026-11-23 07:59", "America/New_York", "US-NY", "2026-11-23 08:00"),
        ("2026-11-23 08:00", "America/New_York", "US-NY", "2026-11-23 08:00"),
        ("2026-11-23 20:59", "America/New_York", "US-NY", "2026-11-23 20:59"),
        ("2026-11-23 21:00", "America/New_York", "US-NY", "2026-11-24 08:00"),
        ("2026-11-22 10:00", "America/Chicago", "US-TX", "2026-11-22 12:00"),
        ("2026-11-21 20:00", "America/Chicago", "US-AL", "2026-11-23 08:00"),
        ("2026-12-24 20:00", "Europe/Paris", "FR-57", "2026-12-28 08:00"),  # Christmas, its second day, Sunday
        ("2026-12-24 20:00", "Europe/Paris", "FR-75", "2026-12-26 08:00"),
        ("2027-05-01 09:00", "Europe/Paris", "FR-75", "2027-05-03 08:00"),  # Saturday 1 May, then Sunday
        ("2028-02-28 22:00", "Asia/Kolkata", "IN", "2028-02-29 09:00"),
        ("2028-02-29 22:00", "Asia/Kolkata", "IN", "2028-03-01 09:00"),
        ("2026-11-20 21:29", "America/Toronto", "CA-ON", "2026-11-20 21:29"),
        ("2026-11-20 21:30", "America/Toronto", "CA-ON", "2026-11-21 10:00"),
        ("2026-11-20 12:00", "Asia/Tokyo", "", "2026-11-20 12:00"),
        ("2023-09-30 20:30", "America/New_York", "US-CT", "2023-09-30 20:30"),
        ("2023-10-01 20:30", "America/New_York", "US-CT", "2023-10-02 09:00"),
    ],
)
def test_the_next_allowed_local_time(text: str, zone: str, place: str, expected: str) -> None:
    assert then(text, zone, place) == expected


def test_the_other_french_reading_allows_two_hours_more() -> None:
    assert then("2026-11-20 21:00", "Europe/Paris", "FR") == "2026-11-21 08:00"
    assert then("2026-11-20 21:00", "Europe/Paris", "FR", QuietHours("common")) == "2026-11-20 21:00"


def test_a_message_waits_for_every_zone_that_may_be_theirs() -> None:
    boise = candidate_zones(12085550100)
    assert boise == ("America/Boise", "America/Los_Angeles")
    start, end = QUIET.window(at("2026-11-23 08:30", "America/Boise"), boise, ("US", "ID"))
    assert start == at("2026-11-23 08:00", "America/Los_Angeles")
    assert end == at("2026-11-23 21:00", "America/Boise")
    start, end = QUIET.window(at("2026-11-23 12:00", "UTC"), candidate_zones(18005550100), ("US", ""))
    assert start == at("2026-11-24 08:00", "Pacific/Guam")
    assert end == at("2026-11-23 21:00", "America/St_Johns")


def test_zones_without_a_common_hour_never_allow() -> None:
    zones = ("Pacific/Honolulu", "Asia/Kolkata", "Europe/Paris")
    assert QUIET.window(at("2026-11-23 12:00", "UTC"), zones, ("", "")) == (NEVER, NEVER)
    assert not QUIET.allowed(at("2026-11-23 12:00", "UTC"), zones, ("", ""))


class Once(QuietHours):
    """Allows one local day of all, from 10:00 to 11:00."""

    def day(self, place, day):  # type: ignore[no-untyped-def]
        return Day(((600, 660),) if day == at("2026-11-23", "UTC") // tz.DAY else ())


def test_never_means_within_a_fortnight_to_the_millisecond() -> None:
    opens = at("2026-11-23 10:00", "UTC")
    once = Once()
    assert once.next_allowed(opens - HORIZON + 1, ("UTC",), ("", "")) == opens
    assert once.next_allowed(opens - HORIZON, ("UTC",), ("", "")) == NEVER
    assert once.window(opens + tz.HOUR - 1, ("UTC",), ("", "")) == (opens + tz.HOUR - 1, opens + tz.HOUR)
    assert once.next_allowed(opens + tz.HOUR, ("UTC",), ("", "")) == NEVER
    closed = QuietHours(custom=custom_hours({"US-AL": {}}, date(2026, 1, 1)))
    assert closed.next_allowed(opens, ("UTC",), ("US", "AL")) == NEVER


def test_a_local_hour_that_does_not_exist_allows_nothing() -> None:
    quiet = Free(custom=Custom({"*": (((120, 180),),) * 7}))
    zone = "America/New_York"  # 02:00 to 03:00 is missing on 2026-03-08
    actual = quiet.next_allowed(at("2026-03-07 12:00", zone), (zone,), ("", ""))
    assert tz.local(actual, zone).isoformat() == "2026-03-09T02:00:00-04:00"


def test_an_hour_that_happens_twice_is_allowed_twice() -> None:
    quiet = Free(custom=Custom({"*": (((75, 105),),) * 7}))  # 01:15 to 01:45
    zone = "America/New_York"  # 01:00 to 02:00 happens twice on 2026-11-01
    first = quiet.window(at("2026-11-01 00:00", zone), (zone,), ("", ""))
    second = quiet.window(first[1], (zone,), ("", ""))
    assert first == (at("2026-11-01 01:15", zone), at("2026-11-01 01:45", zone))
    assert second == (at("2026-11-01 01:15", zone, fold=1), at("2026-11-01 01:45", zone, fold=1))
    assert second[0] - first[0] == tz.HOUR
    assert quiet.next_allowed(second[1], (zone,), ("", "")) == at("2026-11-02 01:15", zone)


@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/Havana", "2026-03-08"), ("Africa/Cairo", "2026-04-24"), ("America/Santiago", "2026-09-06"),
     ("Asia/Beirut", "2026-03-29"), ("America/Asuncion", "2023-10-01")],
)  # fmt: skip
def test_a_day_whose_midnight_does_not_exist_begins_at_one(zone: str, day: str) -> None:
    before = at(f"{date.fromisoformat(day) - timedelta(1)}T12:00", zone)
    early = Free(custom=Custom({"*": (((0, 30), (600, 660)),) * 7}))
    start, end = early.window(before, (zone,), ("", ""))
    assert (start, end) == (at(f"{day}T10:00", zone), at(f"{day}T11:00", zone))
    across = Free(custom=Custom({"*": (((30, 90),),) * 7}))
    start, end = across.window(before, (zone,), ("", ""))
    assert (start, end) == (at(f"{day}T01:00", zone), at(f"{day}T01:30", zone))
    assert tz.local(start - 1000, zone).date() < date.fromisoformat(day)


def test_samoa_left_out_a_day_and_its_holidays_with_it() -> None:
    quiet = Free(custom=Custom({"*": (((600, 660),),) * 7}))
    zone = "Pacific/Apia"  # 2011-12-30 did not happen
    actual = quiet.next_allowed(at("2011-12-29 12:00", zone), (zone,), ("", ""))
    assert tz.local(actual, zone).isoformat() == "2011-12-31T10:00:00+14:00"


def test_a_window_without_an_end_is_reported_up_to_the_horizon() -> None:
    now = at("2026-11-23 12:00", "UTC")
    assert Free(custom=ALL_DAY).window(now, ("Europe/Paris",), ("", "")) == (now, now + HORIZON)


def test_no_zone_and_an_unknown_zone_are_errors() -> None:
    with pytest.raises(ValueError, match="at least one time zone"):
        QUIET.next_allowed(0, (), ("US", ""))
    with pytest.raises(ValueError, match="no IANA time zone"):
        QUIET.next_allowed(0, ("Mars/Olympus",), ("US", ""))


def chunk() -> tuple[np.ndarray, np.ndarray, list[str], list[int]]:  # type: ignore[type-arg]
    """500 US numbers of all states: (numbers, zone ids, regions, region)."""
    from pipeline.numbers.area_codes import _US_CODES

    luck = np.random.default_rng(4)
    codes = [code for all_of_state in _US_CODES.values() for code in all_of_state.split()]
    numbers = np.array([int(f"1{codes[i]}555{n:04d}") for n, i in enumerate(luck.integers(0, len(codes), 500))])
    states = [state_of_number(int(number)) for number in numbers]
    regions = sorted(set(states))
    ids = zone_ids(numbers.astype(np.uint64), [""], [0] * 500, "America/New_York", "store")
    return numbers, ids, regions, [regions.index(state) for state in states]


def test_a_chunk_is_answered_as_each_of_its_recipients() -> None:
    _, zones, regions, region = chunk()
    quiet = QuietHours()
    rules = quiet.rule_ids(["US", "FR"], [0] * 500, regions, region)
    now = at("2026-11-22 06:00", "America/New_York")
    moments = now + np.random.default_rng(1).integers(0, 30, 500) * tz.HOUR
    for when in (now, moments):
        actual = quiet.next_allowed_many(when, zones, rules).tolist()
        each = [
            QuietHours.next_allowed(QUIET, int(moment), zone_sets()[z], ("US", regions[r]))
            for moment, z, r in zip(np.broadcast_to(when, 500).tolist(), zones.tolist(), region, strict=True)
        ]
        assert actual == each
    assert len(set(actual)) > 10
    keys, key = quiet.keys(zones, rules)
    places = [quiet.next_allowed(now, *read_key(key)) for key in keys]
    assert [places[k] for k in key] == quiet.next_allowed_many(now, zones, rules).tolist()
    assert len(quiet.next_allowed_many(now, zones[:0], rules[:0])) == 0


def test_a_place_travels_as_text() -> None:
    for zones, place in [
        (("America/Chicago", "America/New_York"), ("US", "FL")),
        (("Europe/Paris",), ("FR", "")),
        (("Asia/Tokyo",), ("", "")),
        (("Asia/Tokyo",), ("", "13")),
    ]:
        text = write_key(zones, place)
        assert read_key(text) == (zones, place if place[0] else ("", ""))
    assert (
        write_key(("America/Chicago", "America/New_York"), ("US", "FL")) == "US-FL America/Chicago,America/New_York"
    )
    for wrong in ("", "Europe/Paris", "FR "):
        with pytest.raises(ValueError, match="does not say where a recipient is"):
            read_key(wrong)


def test_it_says_why_a_message_is_held() -> None:
    text = explain(QUIET, at("2026-12-25 13:00", "Europe/Paris"), ("Europe/Paris",), ("FR", ""))
    assert text.splitlines() == [
        "2026-12-25 12:00:00 UTC: held until 2026-12-28 07:00:00 UTC",
        "rule for FR since 2020-01-01: mon-sat 08:00-20:00, sun closed; closed on public holidays of FR, FR-57; "
        "source: operators' and AF2M's rules for marketing by SMS, 20:00 reading",
        "Europe/Paris: Fri 2026-12-25 13:00 CET, that day closed (Christmas Day), "
        "held until Mon 2026-12-28 08:00 CET",
    ]


def test_it_names_the_zones_on_which_the_verdict_hangs_first() -> None:
    now = at("2026-11-23 12:00", "UTC")
    lines = explain(QUIET, now, candidate_zones(18005550100), ("US", "")).splitlines()
    assert lines[0] == "2026-11-23 12:00:00 UTC: held until 2026-11-23 22:00:00 UTC"
    assert lines[2].startswith("Pacific/Guam: Mon 2026-11-23 22:00 ChST, that day 08:00-21:00, held until Tue")
    assert lines[-1] == "and 36 more time zones"
    allowed = explain(QUIET, now + 3 * tz.HOUR, ("America/New_York", "America/Denver"), ("US", "")).splitlines()
    assert allowed[0] == "2026-11-23 15:00:00 UTC: allowed, until 2026-11-24 02:00:00 UTC"
    assert allowed[2].startswith("America/New_York: Mon 2026-11-23 10:00 EST")
    never = explain(QUIET, now, ("Pacific/Honolulu", "Asia/Kolkata", "Europe/Paris"), ("", "")).splitlines()
    assert never[0].endswith("no moment in the next 14 days is allowed in every time zone that may be theirs")
    own = QuietHours(custom=custom_hours({"US": {"mon-fri": "10:00-18:00"}}, date(2026, 1, 1)))
    assert "the account's own hours: mon-fri 10:00-18:00, sat-sun closed" in explain(
        own, now, ("America/New_York",), ("US", "NY")
    )


def test_what_is_remembered_stays_bounded() -> None:
    quiet = QuietHours()
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1000
    for week in range(30):
        for zone in ("Europe/Paris", "America/New_York"):
            quiet.next_allowed(start + week * 7 * tz.DAY, (zone,), ("FR", "75"))
    assert len(quiet._tables) == 60
    assert len(quiet._days) < 30 * 7 + 30
