"""Which texts are senders, and of which kind."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.accounts import SenderSpec
from schemas.sender_numbers import country_of, kind_of


@pytest.mark.parametrize(
    ("number", "kind", "country"),
    [
        ("+18885550100", "toll-free", "US"), ("+18005550100", "toll-free", "US"), 
        ("+448000728283", "toll-free", "GB"),
        ("+12125550100", "long-code", "US"), ("+14165550100", "long-code", "CA"), 
        ("+447400123456", "long-code", "GB"),
        ("+33612345678", "long-code", "FR"), ("123", "short-code", ""), ("36180", "short-code", ""),
        ("99999999", "short-code", ""), ("HARBOR", "alphanumeric", ""), ("Shop 24", "alphanumeric", ""),
        ("A", "alphanumeric", ""), ("1A", "alphanumeric", ""), ("ABCDEFGHIJK", "alphanumeric", ""),
    ],
)  # fmt: skip
def test_a_sender_is_one_of_four_kinds(number: str, kind: str, country: str) -> None:
    assert (kind_of(number), country_of(number)) == (kind, country)
    assert SenderSpec.model_validate({"number": number, "kind": kind}).number == number


@pytest.mark.parametrize(
    "number",
    [
        "", "+1", "+18885550", "+11115550100", "+9991234567", "18885550100", "+1 888 555 0100", "12", "01234",
        "123456789", "ABCDEFGHIJKL", " Shop", "Shop ", "Shop!", "Harbor&Pine", "Käse", "１２３４５", "+19005550100",
        "+448712345678",
    ],
)  # fmt: skip
def test_what_no_network_takes_is_refused(number: str) -> None:
    with pytest.raises(ValidationError):
        SenderSpec.model_validate({"number": number})


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+12125550100", "toll-free"), ("+18885550100", "long-code"), ("36180", "alphanumeric"),
        ("HARBOR", "short-code"), ("36180", "long-code"),
    ],
)  # fmt: skip
def test_a_kind_that_the_number_is_not_is_refused(number: str, kind: str) -> None:
    with pytest.raises(ValidationError, match=f"not {kind}"):
        SenderSpec.model_validate({"number": number, "kind": kind})


def test_a_short_code_may_be_written_as_a_number() -> None:
    assert SenderSpec.model_validate({"number": 36180}).number == "36180"
    for odd in (True, 36180.0, None, -36180):
        with pytest.raises(ValidationError):
            SenderSpec.model_validate({"number": odd})


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 1_000_001])
def test_a_sender_sends_something(rate: float) -> None:
    with pytest.raises(ValidationError):
        SenderSpec.model_validate({"number": "36180", "segments_per_second": rate})
