"""The class of a sender's number, on which carriers' limits depend: a long code carries about one segment a second, a
toll-free number three, a short code a hundred and more."""

from __future__ import annotations

from typing import Final, Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

SenderClass = Literal["short-code", "toll-free", "long-code", "name"]
LONGEST_SHORT_CODE: Final = 8


def sender_class(number: str) -> SenderClass:
    """The class of a sender as the settings spell it: a number with its plus, a short code, or a name."""
    digits = number.removeprefix("+")
    if not digits.isdigit():
        return "name"
    if len(digits) <= LONGEST_SHORT_CODE and digits == number:
        return "short-code"
    try:
        parsed = phonenumbers.parse(f"+{digits}")
    except NumberParseException:
        return "long-code"
    return "toll-free" if phonenumbers.number_type(parsed) == PhoneNumberType.TOLL_FREE else "long-code"
