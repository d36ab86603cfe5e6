"""Typed numbers: each once, with the country and region that decide price and quiet hours."""

from __future__ import annotations

import pytest

from pipeline.audience.typed_numbers import typed_numbers
from schemas.audience import TypedNumbers


def test_the_country_and_region_come_from_the_number() -> None:
    texts = ("+33 6 12 34 56 78", "+1 (305) 555-0100", "+33612345678", "+1 416 555 0100", "+91 98765 43210", "0612")
    typed, refused = typed_numbers(texts)
    assert typed == TypedNumbers(
        [33612345678, 13055550100, 14165550100, 919876543210], ["FR", "US", "CA", "IN"], ["", "FL", "ON", ""]
    )
    assert [text for text, _ in refused] == ["0612"]


@pytest.mark.parametrize(
    "text",
    ["+43 664 123 45 67-8", "+43 664 1234567 (8)", "+43 664 1234567 [8]", "+43 664 1234567 ~8", "+43 664 1234567·8",
     "+62 812 345 678-9", "+49 171 1234567..8", "2) +49 171 2345678", "+43664123456.125"],
)  # fmt: skip
def test_no_part_of_what_was_typed_becomes_digits_of_a_stranger(text: str) -> None:
    typed, refused = typed_numbers([text])
    assert typed.numbers == []
    assert [text for text, _ in refused] == [text]
