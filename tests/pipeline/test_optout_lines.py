"""Lines of an opt-out file: each becomes an opt-out with its evidence, or has a reason why not."""

from __future__ import annotations

import pytest

from pipeline.contacts import ColumnsError
from pipeline.optout_lines import columns_of, optout_of
from schemas.feedback import Consent

NOW = 1_790_000_000_000
HEADER = ("Phone", "Country", "at", "Evidence", "other")


def line(phone: str, country: str = "", at: str = "", evidence: str = "") -> Consent | str:
    return optout_of((phone, country, at, evidence, "x"), columns_of(HEADER), "US", "file.csv line 7", NOW)


def test_a_line_becomes_an_opt_out_with_evidence() -> None:
    assert line("(212) 555-0123", at="2026-03-01T12:00:00+01:00", evidence="STOP by post") == Consent(
        number=12_125_550_123,
        state="out",
        at=1_772_362_800_000,
        source="import",
        evidence="file.csv line 7: STOP by post",
    )
    assert line("06 12 34 56 78", "FR", "2026-03-01") == Consent(
        number=33_612_345_678, state="out", at=1_772_323_200_000, source="import", evidence="file.csv line 7"
    )
    bare = optout_of(("+33612345678",), columns_of(["number"]), "", "f line 2", NOW)
    assert isinstance(bare, Consent)
    assert bare.at == NOW


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("", "", "", ""), "missing_number"),
        (("hello", "", "", ""), "not_a_number"),
        (("+1212555", "", "", ""), "not_possible"),
        (("0612345678", "Narnia", "", ""), "unknown_country"),
        (("+33612345678", "", "yesterday", ""), "unclear_time"),
        (("+33612345678", "", "2026-03-01T12:00:00", ""), "unclear_time"),
        (("+33612345678", "", "2999-01-01", ""), "future_time"),
    ],
)
def test_what_is_wrong_has_a_reason(given: tuple[str, str, str, str], reason: str) -> None:
    assert line(*given) == reason


def test_a_line_of_another_width_is_not_guessed_at() -> None:
    assert optout_of(("+33612345678",), columns_of(HEADER), "", "f", NOW) == "wrong_columns"


def test_a_header_without_a_number_says_what_is_wanted() -> None:
    with pytest.raises(ColumnsError, match="phone, number, mobile"):
        columns_of(["name", "at"])
