"""The outcome of each line of a contacts file, and what it says about consent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audience.column_words import country_named
from pipeline.audience.columns import Choices, Columns, columns_of
from pipeline.audience.contact_lines import normalize, region_code, statements_of_broken
from pipeline.audience.rejections import explained, is_rejection
from pipeline.audience.survey import Survey
from schemas.reasons import of_kind

HEADER = ("Phone", "Country", "Region", "Zone", "opted_out", "consent", "First Name", "")
GOOD = ["+12127365000", "", "", "", "", "", "Ann", "x"]
NUMBER = 12127365000


def line(**cells: str) -> list[str]:
    row = list(GOOD)
    for name, value in cells.items():
        row[[h.lower().replace(" ", "_") for h in HEADER].index(name)] = value
    return row


def surveyed(header: tuple[str, ...], rows: list[list[str]], choices: Choices | None = None) -> Columns:
    survey = Survey.of(header)
    survey.add(rows)
    return columns_of(header, survey.profiles, choices)


def said(header: tuple[str, ...], rows: list[list[str]]) -> list[tuple[int, str]]:
    """(row, state) of all statements about consent in a file."""
    actual = normalize(rows, surveyed(header, rows), "")
    return [(statement.row, statement.state) for statement in actual.statements]


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
        (line(zone="America/Newyork"), "no_such_zone"),
        (GOOD[:-2], "wrong_columns"),
        ([*GOOD, "y"], "wrong_columns"),
    ],
)
def test_each_reason(row: list[str], reason: str) -> None:
    out = normalize([GOOD, row, GOOD], columns_of(HEADER), "")
    assert out.rejects == [(1, reason)]
    assert out.rows == [0, 2]
    assert is_rejection(explained(reason)), explained(reason)


def test_trailing_delimiters_are_no_cells() -> None:
    out = normalize([[*GOOD, "", ""]], columns_of(HEADER), "")
    assert (out.numbers, out.rejects) == ([NUMBER], [])


def test_cells_may_be_missing_where_no_column_has_a_name() -> None:
    out = normalize([["+12127365000", "Ann"], ["+12127365000"]], columns_of(("phone", "name", "", "")), "")
    assert (out.numbers, out.rejects) == ([NUMBER], [(1, "wrong_columns")])


def test_the_country_of_a_line_wins_over_the_one_assumed_and_the_number_over_both() -> None:
    rows = [line(phone="06 12 34 56 78"), line(phone="(416) 223-4567", country="ca"), line(phone="+4915123456789")]
    out = normalize(rows, columns_of(HEADER), "FR")
    assert out.numbers == [33612345678, 14162234567, 4915123456789]
    assert out.countries == ["FR", "CA", "DE"]


@pytest.mark.parametrize(
    ("opted_out", "consent", "state"),
    [
        ("", "", None),
        ("TRUE", "", "out"),
        ("yes", "yes", "out"),
        ("0", "no", "out"),
        ("n", "1", None),
        ("", "false", "out"),
        ("perhaps", "", "held"),
        ("", "perhaps", "held"),
        ("perhaps", "no", "out"),
        ("no", "#REF!", "held"),
        ("nan", "NULL", None),
        ("2024-05-01", "", "out"),
    ],
)
def test_contacts_who_must_get_no_message(opted_out: str, consent: str, state: str | None) -> None:
    out = normalize([line(opted_out=opted_out, consent=consent)], columns_of(HEADER), "")
    assert [(statement.number, statement.state) for statement in out.statements] == (
        [(NUMBER, state)] if state else []
    )
    assert out.numbers == [NUMBER]


def test_a_statement_names_its_column_and_value() -> None:
    (item,) = normalize([line(consent="non")], columns_of(HEADER), "").statements
    assert (item.row, item.column, item.value) == (0, "consent", "non")


def test_an_opt_out_counts_though_its_line_is_rejected() -> None:
    header = ("phone", "country", "zone", "consent")
    rows = [
        ["+12127365000", "US", "Mars/Olympus", "no"],
        ["+12127365001", "Narnia", "", "no"],
        ["+12127365002", "no"],
        ["+12127365003", "US", "", "yes"],
    ]
    out = normalize(rows, surveyed(header, rows), "")
    assert [reason for _, reason in out.rejects] == ["no_such_zone", "unknown_country", "wrong_columns"]
    states = {statement.number: statement.state for statement in out.statements}
    assert states == {12127365000: "out", 12127365001: "out", 12127365002: "held"}


def test_an_opt_out_covers_all_numbers_of_a_line() -> None:
    header = ("Phone", "Mobile Phone", "Opt-Out")
    rows = [["+12127365000", "+12127365001", "yes"], ["+12127365002", "", "no"]]
    out = normalize(rows, surveyed(header, rows), "")
    assert {statement.number for statement in out.statements} == {12127365000, 12127365001}


def test_a_line_that_cannot_be_divided_is_held_if_any_of_it_reads_as_an_opt_out() -> None:
    columns = columns_of(("phone", "name", "opted_out"))
    assert [s.number for s in statements_of_broken(["+12127365000", "Ann", "yes"], columns, "")] == [NUMBER]
    assert not [*statements_of_broken(["+12127365000", "Ann", ""], columns, "")]
    plain = columns_of(("phone", "name"))
    assert [s.number for s in statements_of_broken(["+12127365000", "Ann", "unsubscribed"], plain, "")] == [NUMBER]
    assert not [*statements_of_broken(["+12127365000", "Ann", "Lee"], plain, "")]


def test_where_others_say_yes_a_blank_is_no_consent() -> None:
    header = ("phone", "SMS Consent")
    rows = [["+12127365000", "yes"], ["+12127365001", ""], ["+12127365002", "no"]]
    assert said(header, rows) == [(1, "held"), (2, "out")]
    assert said(header, [["+12127365000", ""], ["+12127365001", "no"]]) == [(1, "out")]
    assert said(("phone", "unsubscribed"), [["+12127365000", ""], ["+12127365001", "yes"]]) == [(1, "out")]


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


def test_countries_by_code_name_and_calling_code() -> None:
    texts = (
        "us",
        " FR ",
        "UK",
        "USA",
        "Germany",
        "Deutschland",
        "États-Unis",
        "日本",
        "polska",
        "+49",
        "NA",
        "EU",
        "",
    )
    codes = ["US", "FR", "GB", "US", "DE", "DE", "US", "JP", "PL", "DE", "NA", "", ""]
    assert [country_named(text) for text in texts] == codes


@given(st.lists(st.lists(st.text(max_size=20), min_size=6, max_size=9), max_size=20), st.sampled_from(["", "US"]))
def test_every_line_is_a_contact_or_a_reject(rows: list[list[str]], country: str) -> None:
    out = normalize(rows, columns_of(HEADER), country)
    assert sorted([*out.rows, *(row for row, _ in out.rejects)]) == list(range(len(rows)))
    assert len(out.rows) == len(out.numbers) == len(out.countries) == len(out.regions) == len(out.zones)
    assert {reason for _, reason in out.rejects} <= of_kind("number", "line")
