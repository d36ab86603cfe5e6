"""An opt-out counts for everybody whom its cell may name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.numbers.mentions import possible_numbers
from pipeline.numbers.numbering import Accepted, read


@pytest.mark.parametrize(
    ("text", "country", "numbers"),
    [
        ("+43 664 123456", "", {43664123456}),
        ("33612345678", "DE", {4933612345678, 33612345678}),
        ("33612345678", "", {33612345678}),
        ("0664 1234567/8", "AT", {436641234567, 436641234568}),
        ("0664 1234567; 0664 7654321", "AT", {436641234567, 436647654321}),
        ("0664/1234567 oder 0664/7654321", "AT", {436641234567, 436647654321}),
        ("+436641234567 +436647654321", "", {436641234567, 436647654321}),
        ("0171 2345678 App 12", "DE", {491712345678}),
        ("0171 2345678-12", "DE", {491712345678}),
        ("+43 664 123456 (Anna)", "", {43664123456}),
        ("+5212221234567, Ana", "", {522221234567}),
        ("0664 1234567 (8)", "AT", {436641234567, 436641234568}),
        ("0664 1234567 [8]", "AT", {436641234567, 436641234568}),
        ("0664 1234567 ~8", "AT", {436641234567, 436641234568}),
        ("0664 1234567·8", "AT", {436641234567, 436641234568}),
        ("0664 1234567:8", "AT", {436641234567, 436641234568}),
        ("0664 1234567_8", "AT", {436641234567, 436641234568}),
        ("0664 1234567*8", "AT", {436641234567, 436641234568}),
        ("+43 664 123 45 67-8", "", {436641234567, 436641234568}),
        ("0171 1234567..8", "DE", {491711234567, 491711234568}),
        ("0151 2345678 (2)", "DE", {4915123456782}),
        ("2) 0171 2345678", "DE", {491712345678}),
        ("43664123456.125", "AT", {43664123456}),
        ("07911123456 07911123457", "GB", {447911123456, 447911123457}),
        ("07911 123456 07911 123457", "GB", {447911123456, 447911123457}),
        ("07911123456  +33612345678", "GB", {447911123456, 33612345678}),
        ("06 12 34 56 78 06 12 34 56 79", "FR", {33612345678, 33612345679}),
        ("2127365000 2127365001 2127365002", "US", {12127365000, 12127365001, 12127365002}),
        ("ask her", "AT", set()),
        ("2147483647", "US", set()),
        ("4.3664E+11", "AT", set()),
        ("", "AT", set()),
    ],
)
def test_every_number_that_may_be_meant(text: str, country: str, numbers: set[int]) -> None:
    assert numbers <= set(possible_numbers(text, country))
    assert bool(numbers) == bool(possible_numbers(text, country))


@given(st.text(st.sampled_from("0123456789+ /-;,x()AG"), max_size=40), st.sampled_from(["", "AT", "US", "FR"]))
def test_the_number_that_is_read_is_among_those_that_may_be_meant(text: str, country: str) -> None:
    outcome = read(text, country)
    if isinstance(outcome, Accepted):
        assert outcome.number in possible_numbers(text, country, "alone")
