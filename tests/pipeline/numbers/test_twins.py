"""Two spellings of one handset are one person, in every form and at every size."""

from __future__ import annotations

import numpy as np
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.numbers.numbering import Accepted, read
from pipeline.numbers.twins import Twin, canonical, canonical_many, spellings, twins


@pytest.mark.parametrize(
    ("old", "new", "country"),
    [
        ("+5212221234567", "+522221234567", "MX"),
        ("+54 11 2345 6789", "+54 9 11 2345 6789", "AR"),
        ("+54 11 15 2345 6789", "+54 9 11 2345 6789", "AR"),
        ("+54 351 612 3456", "+54 9 351 612 3456", "AR"),
        ("+55 11 8765 4321", "+55 11 98765 4321", "BR"),
        ("+55 85 6123 4567", "+55 85 96123 4567", "BR"),
        ("+229 90 01 12 34", "+229 01 90 01 12 34", "BJ"),
        ("+84 120 123 4567", "+84 70 123 4567", "VN"),
        ("+84 169 123 4567", "+84 39 123 4567", "VN"),
        ("+237 77 12 34 56", "+237 677 12 34 56", "CM"),
        ("+593 9 123 4567", "+593 99 123 4567", "EC"),
        ("+241 07 12 34 56", "+241 77 12 34 56", "GA"),
        ("+972 59 923 4567", "+970 59 923 4567", "PS"),
        ("+972 56 212 3456", "+970 56 212 3456", "PS"),
        ("+972 56 991 2345", "+970 56 991 2345", "PS"),
        ("+972 59 123 4567", "+970 59 123 4567", "PS"),
        ("+225 07 12 34 56", "+225 07 07 12 34 56", "CI"),
        ("+225 44 12 34 56", "+225 05 44 12 34 56", "CI"),
        ("+225 01 12 34 56", "+225 01 01 12 34 56", "CI"),
        ("+225 89 12 34 56", "+225 07 89 12 34 56", "CI"),
    ],
)
def test_both_spellings_are_one_person(old: str, new: str, country: str) -> None:
    expected = Accepted(int(phonenumbers.normalize_digits_only(new)), country)
    assert read(old, "") == expected
    assert read(new, "") == expected


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("222 123 4567", "MX", 522221234567),
        ("011 15 2345-6789", "AR", 5491123456789),
        ("011 2345-6789", "AR", 5491123456789),
        ("(11) 8765-4321", "BR", 5511987654321),
        ("0120 123 4567", "VN", 84701234567),
        ("90 01 12 34", "BJ", 2290190011234),
    ],
)
def test_numbers_written_at_home_become_the_same_person(text: str, country: str, number: int) -> None:
    assert read(text, country) == Accepted(number, country)


@pytest.mark.parametrize(
    "number",
    [
        390212345678,  # Italy's 0 is part of the number
        393312345678,
        33612345678,
        551178123456,  # trunk radio of eight digits
        551123456789,  # a fixed line
        548105551234,  # toll-free in Argentina
        22520123456,  # fixed lines of Côte d'Ivoire: the old number alone does not say which new one
        22560123456,  # a block whose operator is not known
        972501234567,  # Israel's own mobiles
        972541234567,
        37744123456,  # Monaco's today
        12125550123,
        0,
        18446744073709551615,
    ],
)
def test_a_number_with_one_spelling_stays(number: int) -> None:
    assert canonical(number) == number
    assert spellings(number) == (number,)
    assert canonical_many(np.array([number], np.uint64)).tolist() == [number]


def test_blocks_do_not_overlap_and_changes_do_not_chain() -> None:
    for item, other in zip(twins(), twins()[1:], strict=False):
        assert item.last < other.first
    for twin in twins():
        assert canonical(twin.first + twin.offset) == twin.first + twin.offset
        assert canonical(twin.last + twin.offset) == twin.last + twin.offset
    assert {twin.country for twin in twins()} == {"MX", "AR", "BR", "BJ", "VN", "CM", "EC", "GA", "PS", "CI"}


SOME = st.sampled_from(twins()).flatmap(lambda twin: st.tuples(st.just(twin), st.integers(twin.first, twin.last)))


@given(SOME)
def test_every_old_spelling_leads_to_a_possible_number_of_the_same_plan(some: tuple[Twin, int]) -> None:
    twin, number = some
    new = canonical(number)
    assert new == number + twin.offset != number
    assert canonical(new) == new
    assert spellings(number) == spellings(new) == (new, number)
    assert canonical_many(np.array([number, new, 12125550123], np.uint64)).tolist() == [new, new, 12125550123]
    parsed = phonenumbers.parse(f"+{new}")
    assert twin.country in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[parsed.country_code]
    assert phonenumbers.is_possible_number(parsed)


@given(SOME)
def test_reading_either_spelling_gives_one_answer(some: tuple[Twin, int]) -> None:
    twin, number = some
    assert read(f"+{number}", "") == read(f"+{number + twin.offset}", "")


def test_old_spellings_belong_to_nobody_else() -> None:
    """Outside of Argentina, Gabon and Palestine, whose data has both, an old spelling is no number today."""
    for twin in twins():
        for number in (twin.first + 2345678 % (twin.last - twin.first), twin.last - 123456):
            if twin.country not in ("AR", "GA", "PS"):
                assert not phonenumbers.is_valid_number(phonenumbers.parse(f"+{number}")), number
