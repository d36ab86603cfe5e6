"""What messages come from: the four kinds of senders, and what each may look like.

Carriers' limits depend on the kind: a long code carries about one segment a second, a toll-free number three, a short
code a hundred and more.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

SenderKind = Literal["toll-free", "long-code", "short-code", "alphanumeric"]
_SHORT_CODE: Final = re.compile(r"[1-9][0-9]{2,7}", re.ASCII)
_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9 ]{0,9}[A-Za-z0-9])?", re.ASCII)
"""TS 23.040, 9.1.2.5: an alphanumeric address holds 11 characters of 7 bits. Those that every network shows are
letters, digits and spaces within; without a letter phones take it for a number."""
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


@lru_cache(maxsize=20_000)
def kind_of(number: str) -> SenderKind:
    """The kind of a sender by how it is written.

    Raises:
        ValueError: it is none of the four; the text says what each looks like.
    """
    if _E164.fullmatch(number):
        return _kind_of_number(number)
    if _SHORT_CODE.fullmatch(number):
        return "short-code"
    if _NAME.fullmatch(number):
        return "alphanumeric"
    raise ValueError(
        f"{number!r} is no sender: write a number with + and country code (+18885550100), a short code of 3 to 8 "
        "digits, or a name of at most 11 letters, digits and spaces with a letter in it"
    )


def check_kind(number: str, kind: SenderKind) -> None:
    """
    Raises:
        ValueError: the sender is not of that kind; the text says of which it is.
    """
    actual = kind_of(number)
    if actual != kind:
        raise ValueError(f"{number!r} is a {actual} sender, not {kind}: correct one of them, or leave kind out")


@lru_cache(maxsize=20_000)
def country_of(number: str) -> str:
    """The ISO country of a sender's number; "" of a short code, a name, and a number that no country has."""
    import phonenumbers

    if not _E164.fullmatch(number):
        return ""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""


def _kind_of_number(number: str) -> SenderKind:
    # Most commands have no sender to check, and should not wait for the numbering plans.
    import phonenumbers
    from phonenumbers import NumberParseException, PhoneNumberType

    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException as error:
        raise ValueError(f"{number!r} is no phone number: no country has this calling code") from error
    if not phonenumbers.is_valid_number(parsed):
        raise ValueError(f"{number!r} is no number of its country's numbering plan: check its digits")
    match phonenumbers.number_type(parsed):
        case PhoneNumberType.TOLL_FREE:
            return "toll-free"
        case PhoneNumberType.PREMIUM_RATE | PhoneNumberType.SHARED_COST:
            raise ValueError(f"{number!r} is a premium or shared-cost number, which people pay to answer")
    return "long-code"
