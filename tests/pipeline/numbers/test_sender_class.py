"""The class of a sender, by the number as the settings have it."""

from __future__ import annotations

import pytest

from pipeline.numbers.sender_class import sender_class


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+18885550100", "toll-free"),
        ("+18005550100", "toll-free"),
        ("+12125550123", "long-code"),
        ("+33612345678", "long-code"),
        ("12125550123", "long-code"),
        ("12345", "short-code"),
        ("262966", "short-code"),
        ("HARBOR", "name"),
        ("Shop24", "name"),
        ("+1", "long-code"),
        ("+999123", "long-code"),
        ("", "name"),
    ],
)
def test_the_class_of_a_sender(number: str, expected: str) -> None:
    assert sender_class(number) == expected
