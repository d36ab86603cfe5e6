"""Lines of an opt-out file: a number that can be read is opted out, whatever else is wrong with its line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.clickhouse.consents import COLUMNS, Change
from pipeline.audience.columns import Choices, ColumnsError
from pipeline.audience.optout_lines import Outcome, Where, changes_of, changes_of_broken, columns_of
from pipeline.audience.survey import Survey
from schemas.feedback import Consent

NOW = 1_790_000_000_000
HEADER = ("Phone", "Country", "at", "Evidence", "other")
WHERE = Where("file.csv line 7", "US", "", frozenset({"shop"}), NOW)
NUMBER = 12_127_365_000


def line(phone: str, country: str = "", at: str = "", evidence: str = "") -> Outcome:
    return changes_of((phone, country, at, evidence, "x"), columns_of(HEADER), WHERE)


def of(header: tuple[str, ...], *row: str, where: Where = WHERE) -> Outcome:
    survey = Survey.of(header)
    survey.add([row])
    return changes_of(row, columns_of(header, survey.profiles), where)


def states(outcome: Outcome) -> list[tuple[int, str]]:
    return [(change.number, change.state) for change in outcome.changes]


def test_a_line_becomes_an_opt_out_with_evidence() -> None:
    assert line("(212) 736-5000", at="2026-03-01T12:00:00+01:00", evidence="STOP by post").changes == [
        Consent(
            number=NUMBER,
            state="out",
            at=1_772_362_800_000,
            source="import",
            evidence="file.csv line 7: STOP by post",
        )
    ]
    assert line("06 12 34 56 78", "France", "2026-03-01").changes == [
        Consent(number=33_612_345_678, state="out", at=1_772_323_200_000, source="import", evidence="file.csv line 7")
    ]
    assert line("+33612345678").changes[0].at == NOW


@pytest.mark.parametrize(
    ("phone", "reason"),
    [("", "missing_number"), ("hello", "not_a_number"), ("+1212555", "not_possible"), ("12345", "not_possible")],
)
def test_only_a_line_without_a_readable_number_is_not_taken(phone: str, reason: str) -> None:
    outcome = line(phone)
    assert (outcome.changes, outcome.rejection) == ([], reason)


@pytest.mark.parametrize(
    ("given", "note"),
    [
        (("+12127365000", "Narnia", "", ""), "country_not_known"),
        (("2127365000", "Narnia", "", ""), "country_not_known"),
        (("+12127365000", "", "yesterday", ""), "time_replaced"),
        (("+12127365000", "", "31.02.2026", ""), "time_replaced"),
        (("+12127365000", "", "2999-01-01", ""), "time_replaced"),
        (("+12127365000", "", "1970-01-01", ""), "time_replaced"),
        (("+12127365000", "", "9999-99-99T99:99", ""), "time_replaced"),
        (("+12127365000", "", "", "Zo\udceb"), "text_not_readable"),
    ],
)
def test_what_else_is_wrong_is_noted_and_drops_no_opt_out(given: tuple[str, str, str, str], note: str) -> None:
    outcome = line(*given)
    assert states(outcome) == [(NUMBER, "out")]
    assert (outcome.notes, outcome.rejection) == ([note], None)
    assert outcome.changes[0].at == NOW
    assert outcome.changes[0].evidence.isprintable()


@pytest.mark.parametrize("at", ["2026-03-01 12:00:00", "1772366400", "1772366400000", "20260301T120000Z"])
def test_times_of_many_kinds(at: str) -> None:
    assert line("+12127365000", at=at).changes[0].at == 1_772_366_400_000


@pytest.mark.parametrize(
    "cells",
    [
        ("+12127365000",),
        ("+12127365000", "US", "2026-01-01", "a", "b", "c, d"),
        ("Smith", "John", "+12127365000", "US", "", "x"),
        ("x", "(212) 736-5000"),
    ],
)
def test_a_line_of_another_width_opts_out_every_number_in_it(cells: tuple[str, ...]) -> None:
    outcome = changes_of(cells, columns_of(HEADER), WHERE)
    assert states(outcome) == [(NUMBER, "out")]
    assert outcome.notes == ["cells_do_not_fit"]
    assert changes_of(("Smith", "42"), columns_of(HEADER), WHERE).rejection == "wrong_columns"
    assert states(changes_of_broken(['"+12127365000', "US"], columns_of(HEADER), WHERE)) == [(NUMBER, "out")]


def test_every_column_of_numbers_counts() -> None:
    header = ("name", "phone", "Mobile", "phone2", "Home Phone", "Téléphone portable", "Kontakt")
    cells = ("Ann", "+12127365000", "+12127365001", "212 736 5002", "(212) 736-5003", "", "+12127365004")
    assert states(of(header, *cells)) == [(12127365000 + n, "out") for n in (0, 1, 2, 3, 4)]


def test_an_unreadable_second_number_is_reported_although_the_first_is_imported() -> None:
    outcome = of(("phone", "mobile"), "+12127365000", "12345")
    assert states(outcome) == [(NUMBER, "out")]
    assert outcome.rejection == "not_possible"
    assert outcome.detail == "column 'mobile'"


@pytest.mark.parametrize(
    ("text", "country", "numbers"),
    [
        ("07911123456 07911123457", "GB", {447911123456, 447911123457}),
        ("0664 1234567:8", "AT", {436641234567, 436641234568}),
        ("0664 1234567_8", "AT", {436641234567, 436641234568}),
        ("0664 1234567*8", "AT", {436641234567, 436641234568}),
        ("0664 1234567 (8)", "AT", {436641234567, 436641234568}),
        ("+43 664 123 45 67-8", "AT", {436641234567, 436641234568}),
    ],
)
def test_whoever_a_cell_may_mean_is_opted_out(text: str, country: str, numbers: set[int]) -> None:
    outcome = of(("phone",), text, where=WHERE._replace(country=country))
    assert numbers <= {change.number for change in outcome.changes}
    assert outcome.rejection is None


def test_digits_that_may_be_two_people_opt_out_both() -> None:
    outcome = of(("phone",), "33612345678", where=WHERE._replace(country="DE", bare="undecided"))
    assert states(outcome) == [(4933612345678, "out"), (33612345678, "out")]
    assert outcome.notes == ["two_readings"]


@pytest.mark.parametrize(
    ("column", "cell", "state"),
    [
        ("out", "out", "out"), ("out", "in", "in"), ("out", "", "out"), ("out", "maybe", "held"),
        ("opted_out", "yes", "out"), ("opted_out", "no", None), ("opted_out", "false", None),
        ("opted_out", "1", "out"),
        ("consent", "no", "out"), ("consent", "yes", None), ("Accepts SMS Marketing", "non", "out"),
        ("status", "anything", "out"), ("Abgemeldet", "ja", "out"), ("Unsubscribed", "2024-05-01", "out"),
        ("Opt-in", "opted in", "in"), ("Consent expired", "yes", "out"), ("Consent expired", "no", None),
        ("HasOptedOutOfSMS", "false", None), ("Opt-Out Text", "please leave me alone", "out"),
        ("Unsubscribe Reason", "moved", "out"), ("Not opted out", "no", "out"), ("SMS", "no", "out"),
    ],
)  # fmt: skip
def test_what_a_line_says_about_consent_is_honoured(column: str, cell: str, state: str | None) -> None:
    outcome = of(("phone", column), "+12127365000", cell)
    assert states(outcome) == ([(NUMBER, state)] if state else [])
    assert outcome.rejection is None


def test_the_account_of_a_line_counts_if_there_is_such_an_account() -> None:
    assert of(("phone", "account"), "+12127365000", "shop").changes[0].account == "shop"
    assert of(("phone", "account"), "+12127365000", "ACME Inc.").changes[0].account == ""
    asked = WHERE._replace(account="shop")
    assert of(("phone",), "+12127365000", where=asked).changes[0].account == "shop"


EXPORTED = [
    Change(number=NUMBER, account="", hold="", state="out", at=datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
           recorded=datetime(2026, 1, 2, tzinfo=UTC), source="inbound", evidence="=STOP, \"now\"", word="STOP",
           rule="whole", who=""),
    Change(number=NUMBER, account="shop", hold="", state="in", at=datetime(2026, 1, 3, tzinfo=UTC),
           recorded=datetime(2026, 1, 3, tzinfo=UTC), source="api", evidence="agreed by phone", word="", rule="",
           who="ann"),
    Change(number=NUMBER, account="shop", hold="0a1b", state="held", at=datetime(2026, 1, 4, tzinfo=UTC),
           recorded=datetime(2026, 1, 4, tzinfo=UTC), source="inbound", evidence="stop?", word="stop", rule="doubt",
           who=""),
    Change(number=NUMBER, account="shop", hold="0a1b", state="in", at=datetime(2026, 1, 5, tzinfo=UTC),
           recorded=datetime(2026, 1, 5, tzinfo=UTC), source="review", evidence="a joke", word="", rule="",
           who="bob"),
]  # fmt: skip


@pytest.mark.parametrize("change", EXPORTED)
def test_a_line_of_the_export_gives_the_same_change_again(change: Change) -> None:
    from api.routes.optouts import _row

    columns = columns_of(COLUMNS)
    assert columns.is_export
    (again,) = changes_of(_row(change), columns, WHERE).changes
    assert again == Consent(
        account=change.account, number=NUMBER, state=change.state, at=int(change.at.timestamp() * 1000),
        source=change.source, evidence=change.evidence, word=change.word, rule=change.rule, who=change.who,
        hold=change.hold,
    )  # type: ignore[arg-type]  # fmt: skip


def test_columns_are_found_by_header_by_content_or_as_the_operator_says() -> None:
    survey = Survey.of(("Nr", "x"))
    survey.add([["0664 1234567", "a"], ["0664 1234568", "b"]])
    assert columns_of(("Nr", "x"), survey.profiles).phones == (0,)
    assert columns_of(("A", "B"), None, Choices((("phone", "B"),))).phones == (1,)
    with pytest.raises(ColumnsError, match=r"no column is a phone number; found: 'name', 'at'.*--column phone="):
        columns_of(["name", "at"])


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_no_line_is_lost_silently(cells: list[str]) -> None:
    outcome = changes_of(cells, columns_of(("phone", "at", "note")), WHERE)
    assert outcome.changes or outcome.rejection is not None
