"""A file's numbers without `+`: judged from all of them, never one by one."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import phonenumbers
import pytest

from pipeline.numbers.judging import LOOK_AT_FIRST, Choice, NumberJudge, Verdict, explain_refusal
from pipeline.numbers.numbering import Accepted, Bare, read
from schemas.reasons import Reason


def judged(texts: list[str], country: str, choice: Choice = "") -> Verdict:
    judge = NumberJudge()
    for text in texts:
        judge.look(text, country)
    return judge.verdict(choice)


def numbers(region: str, count: int, seed: int = 1) -> list[phonenumbers.PhoneNumber]:
    """Valid mobile numbers of a country."""
    rng, actual = random.Random(seed), []
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    text = str(example.national_number)
    while len(actual) < count:
        digits = text[:3] + "".join(rng.choice("0123456789") for _ in text[3:])
        number = phonenumbers.PhoneNumber(country_code=example.country_code, national_number=int(digits))
        if phonenumbers.is_valid_number(number):
            actual.append(number)
    return actual


def international(region: str, count: int) -> list[str]:
    return [f"{n.country_code}{n.national_number}" for n in numbers(region, count)]


def national(region: str, count: int) -> list[str]:
    """Without the 0 that a spreadsheet takes off."""
    return [str(n.national_number) for n in numbers(region, count)]


@pytest.mark.parametrize(
    ("texts", "country", "bare"),
    [
        (international("FR", 200) + international("GB", 200) + international("US", 200), "DE", "international"),
        (international("DE", 300) + international("AT", 300), "FR", "international"),
        (international("GB", 300), "US", "international"),
        (international("DE", 300) + international("FR", 100) + international("GB", 100), "AT", "international"),
        (national("DE", 500), "DE", "national"),
        (national("US", 500), "US", "national"),
        (national("FR", 500), "FR", "national"),
        ([*national("FR", 500), "+4366412345", "0612345678"], "FR", "national"),
        # France, read in Germany: nearly every one is a German number too, a few slips must not decide
        ([*international("FR", 500), "336", *["30123456"] * 5], "DE", "undecided"),
        (["33612345678"], "DE", "undecided"),
        (["33612345678", "4915123456789"], "DE", "undecided"),
        (international("GB", 100) + national("FR", 100), "FR", "undecided"),
        (["+33612345678", "0612345678"], "FR", "alone"),
        (["12127365000", "12127365001"], "US", "alone"),  # the same both ways
        (["33612345678"], "", "alone"),
    ],
)
def test_a_file_is_judged_as_a_whole(texts: list[str], country: str, bare: Bare) -> None:
    rng = random.Random(3)
    rng.shuffle(texts)
    verdict = judged(texts, country)
    assert verdict.bare == bare
    assert (bare == "alone") == (not verdict.samples)
    assert len(verdict.samples) <= 3


def test_the_operator_decides_otherwise() -> None:
    texts = international("GB", 100)
    assert judged(texts, "US").bare == "international"
    assert judged(texts, "US", "national").bare == "national"
    assert "--numbers" in judged(texts, "US", "national").why


def test_the_verdict_says_what_was_taken_and_why() -> None:
    verdict = judged(["33612345678", "4915123456789", "447400123456", "33612345679"], "DE")
    assert verdict.bare == "undecided"
    first = verdict.samples[0]
    assert (first.written, first.national, first.international) == ("33612345678", "+4933612345678", "+33612345678")
    assert "both ways" in verdict.why


@pytest.mark.parametrize(
    ("text", "country", "bare", "outcome"),
    [
        ("33612345678", "DE", "alone", "ambiguous"),
        ("4915123456789", "DE", "alone", "ambiguous"),
        ("33612345678", "DE", "undecided", "ambiguous"),
        ("33612345678", "DE", "international", Accepted(33612345678, "FR")),
        ("33612345678", "DE", "national", Accepted(4933612345678, "DE")),
        ("33612345678.0", "DE", "international", Accepted(33612345678, "FR")),
        ("33612345678", "", "international", Accepted(33612345678, "FR")),
        ("33612345678", "", "alone", "no_country"),
        # what contradicts its file
        ("447400123456", "US", "national", "ambiguous"),
        ("2127365000", "US", "international", "ambiguous"),
        ("2127365000", "US", "undecided", "ambiguous"),
        # the same both ways, and what says itself how it is meant
        ("12127365000", "US", "national", Accepted(12127365000, "US")),
        ("12127365000", "US", "undecided", Accepted(12127365000, "US")),
        ("0612345678", "FR", "international", Accepted(33612345678, "FR")),
        ("0033612345678", "DE", "national", Accepted(33612345678, "FR")),
        ("+33612345678", "DE", "national", Accepted(33612345678, "FR")),
        # grouped as it is done at home only
        ("(647) 504-1446", "CA", "undecided", Accepted(16475041446, "CA")),
        ("647-504-1446", "US", "international", Accepted(16475041446, "CA")),
        ("6475041446", "CA", "alone", "ambiguous"),
        ("(647) 504-1446", "NZ", "alone", Accepted(6475041446, "NZ")),
        # alone: one reading only
        ("2127365000", "US", "alone", Accepted(12127365000, "US")),
        ("33612345678", "FR", "alone", Accepted(33612345678, "FR")),
        ("84951234567", "RU", "alone", "ambiguous"),
        ("89161234567", "RU", "alone", Accepted(79161234567, "RU")),
    ],
)
def test_digits_are_read_as_the_file_has_them(text: str, country: str, bare: Bare, outcome: object) -> None:
    assert read(text, country, bare) == outcome


def test_an_ambiguous_number_is_reported_with_both_readings() -> None:
    reported = explain_refusal(Reason.AMBIGUOUS, "33612345678", "DE")
    assert "+4933612345678" in reported
    assert "+33612345678" in reported
    assert "--numbers" in reported
    assert "letters" in explain_refusal(Reason.LETTERS, "1-800-FLOWERS", "US")


def test_a_large_file_is_looked_at_from_end_to_end_in_bounded_time() -> None:
    judge = NumberJudge()
    texts = international("GB", 50)
    for i in range(200_000):
        judge.look(texts[i % 50], "US")
    assert judge.bare == 200_000
    assert LOOK_AT_FIRST <= judge.looked_at < 8 * LOOK_AT_FIRST
    assert abs(judge.international - 200_000) < 2_000
    assert judge.verdict().bare == "international"


def rounding(numbers: list[str]) -> str:
    judge = NumberJudge()
    for number in numbers:
        judge.look(number, "")
    return judge.rounding()


@pytest.mark.parametrize("written", [str, "+{}".format, "{}.0".format])
def test_numbers_that_were_kept_as_float32_are_seen(written: Callable[[int], str]) -> None:
    numbers = [int(number) for number in international("AT", 50)]
    assert not rounding([written(number) for number in numbers])
    lost = [int(np.float32(number)) for number in numbers]
    assert "float32" in rounding([written(number) for number in lost])
    assert not rounding([written(number) for number in [*numbers, *lost[:20]]])
    assert not rounding([written(number) for number in lost[:4]]), "a few may be chance"


def test_numbers_that_a_spreadsheet_rounded_are_seen() -> None:
    numbers = [int(number) for number in international("AT", 50)]
    rounded = [str(round(number, -6)) for number in numbers]
    assert "five zeros" in rounding(rounded)
    assert not rounding([*rounded[:5], *map(str, numbers)])
