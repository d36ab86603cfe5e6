"""Columns of a contacts file and the outcome of each line."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contacts import REASONS, ColumnsError, columns_of, country_code, normalise, region_code
from pipeline.numbering import Refusal

HEADER = ("Phone", "Country", "Region", "Zone", "opted_out", "consent", "First Name", "")
GOOD = ["+12127365000", "", "", "", "", "", "Ann", "x"]


def line(**cells: str) -> list[str]:
    row = list(GOOD)
    for name, value in cells.items():
        row[[h.lower().replace(" ", "_") for h in HEADER].index(name)] = value
    return row


def test_columns_by_name_in_any_spelling() -> None:
    columns = columns_of(HEADER)
    assert (columns.phone, columns.country, columns.region, columns.zone) == (0, 1, 2, 3)
    assert (columns.opted_out, columns.consent, columns.width) == (4, 5, 8)
    assert columns.attributes == (("first_name", 6),)


@pytest.mark.parametrize("name", ["phone", "number", "MOBILE", " msisdn ", "Phone-Number"])
def test_names_of_the_number_column(name: str) -> None:
    assert columns_of(["email", name]).phone == 1


def test_the_first_alias_wins_and_the_others_stay_attributes() -> None:
    columns = columns_of(["mobile", "phone", "state", "time zone"])
    assert columns.phone == 1
    assert (columns.region, columns.zone) == (2, 3)
    assert [name for name, _ in columns.attributes] == ["mobile", "state", "time_zone"]


def test_unusable_headers_say_what_was_found() -> None:
    with pytest.raises(ColumnsError, match=r"no column named phone, .*found: 'email', 'Vorname'"):
        columns_of(["email", "Vorname"])
    with pytest.raises(ColumnsError, match="two columns named 'first_name'"):
        columns_of(["phone", "first name", "First-Name"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line(phone=""), "missing_number"),
        (line(phone="none"), "not_a_number"),
        (line(phone="212 736 5000"), "no_country"),
        (line(phone="736 5000", country="US"), "not_possible"),
        (line(phone="+12121550123"), "not_valid"),
        (line(phone="+1 212 736 5000 x9"), "extension"),
        (line(phone="+19002345678"), "premium_rate"),
        (line(country="Ruritania"), "unknown_country"),
        (line(zone="America/Newyork"), "unknown_zone"),
        (line(opted_out="perhaps"), "unclear_consent"),
        (line(consent="perhaps"), "unclear_consent"),
        (GOOD[:-1], "wrong_columns"),
        ([*GOOD, "y"], "wrong_columns"),
    ],
)
def test_each_reason(row: list[str], reason: str) -> None:
    out = normalise([GOOD, row, GOOD], columns_of(HEADER), "")
    assert out.rejects == [(1, reason)]
    assert out.rows == [0, 2]
    assert reason in REASONS


def test_the_reasons_of_numbers_are_among_the_reasons() -> None:
    assert set(get_args(Refusal)) < set(REASONS)


def test_the_country_of_a_line_wins_over_the_one_assumed_and_the_number_over_both() -> None:
    rows = [line(phone="06 12 34 56 78"), line(phone="(416) 223-4567", country="ca"), line(phone="+4915123456789")]
    out = normalise(rows, columns_of(HEADER), "FR")
    assert out.numbers == [33612345678, 14162234567, 4915123456789]
    assert out.countries == ["FR", "CA", "DE"]
    assert out.regions == ["", "ON", ""]


@pytest.mark.parametrize(
    ("opted_out", "consent", "refuses"),
    [
        ("", "", False),
        ("TRUE", "", True),
        ("yes", "yes", True),
        ("0", "no", True),
        ("n", "1", False),
        ("", "false", True),
    ],
)
def test_who_must_not_be_written_to(opted_out: str, consent: str, refuses: bool) -> None:
    out = normalise([line(opted_out=opted_out, consent=consent)], columns_of(HEADER), "")
    assert out.opted_out == ([12127365000] if refuses else [])
    assert out.numbers == [12127365000]


@pytest.mark.parametrize(
    ("text", "country", "number", "code"),
    [
        ("ny", "US", 12127365000, "NY"),
        (" New Jersey ", "US", 12127365000, "NJ"),
        ("US-TX", "US", 12127365000, "TX"),
        ("active", "US", 12127365000, "NY"),
        ("", "US", 18085551234, "HI"),
        ("", "US", 18005551234, ""),
        ("québec", "CA", 14162234567, "ON"),
        ("Quebec", "CA", 14162234567, "QC"),
        ("7", "FR", 33612345678, "07"),
        ("2a", "FR", 33612345678, "2A"),
        ("Bretagne", "FR", 33612345678, ""),
        ("Bavaria", "DE", 4915123456789, "BAVARIA"),
    ],
)
def test_regions(text: str, country: str, number: int, code: str) -> None:
    assert region_code(text, country, number) == code


def test_country_codes() -> None:
    assert [country_code(text) for text in ("us", " FR ", "UK", "USA", "EU", "")] == ["US", "FR", "GB", "US", "", ""]


@given(st.lists(st.lists(st.text(max_size=20), min_size=6, max_size=9), max_size=20), st.sampled_from(["", "US"]))
def test_every_line_is_a_contact_or_a_reject(rows: list[list[str]], country: str) -> None:
    out = normalise(rows, columns_of(HEADER), country)
    assert sorted([*out.rows, *(row for row, _ in out.rejects)]) == list(range(len(rows)))
    assert len(out.rows) == len(out.numbers) == len(out.countries) == len(out.regions) == len(out.zones)
    assert {reason for _, reason in out.rejects} <= set(REASONS)
