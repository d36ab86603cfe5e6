"""Reads phone numbers in requests."""

from __future__ import annotations

from api.web.errors import ApiError
from pipeline.numbers.numbering import Accepted, read
from schemas.reasons import Reason, with_remedy

MASK = "•"
_WITHOUT_PLUS = "the number has no +, so it may be another person's"


def number_of(text: str) -> int:
    """The E.164 digits of a number with `+` and country code. In an address the + may have come as a space.

    Raises:
        ApiError: 422, it is none, or has no +: digits alone may be another person's number.
    """
    outcome = read(f"+{text[1:]}" if text[:1] == " " else text, "")
    if not isinstance(outcome, Accepted):
        raise ApiError(422, f"{text[:40]!r}: {refusal(outcome)}")
    return outcome.number


def masked(number: str) -> str:
    """A number for whoever may not see it: its first three and last two digits."""
    digits = number.lstrip("+")
    return f"+{digits[:3]}{MASK * max(0, len(digits) - 5)}{digits[-2:]}"


def refusal(reason: Reason) -> str:
    """What is wrong with a number in a request, its code first, and how to write it."""
    words = _WITHOUT_PLUS if reason == Reason.NO_COUNTRY else with_remedy(reason)
    return f"{reason}: {words}; write the number with + and country code, for instance +33612345678"
