"""A number in a request."""

from __future__ import annotations

from api.errors import ApiError
from pipeline.numbering import Accepted, read


def number_of(text: str) -> int:
    """The E.164 digits of a number with country code; the + may be missing, since it is easily lost in an address.

    Raises:
        ApiError: 422, it is none.
    """
    found = read(text if text.startswith("+") else f"+{text.strip()}", "")
    if not isinstance(found, Accepted):
        raise ApiError(422, f"{text[:40]!r}: {refusal(found)}")
    return found.number


def refusal(reason: str) -> str:
    """What is wrong with a number, and how to write it."""
    return f"{reason}; write the number with + and country code, for instance +33612345678"
