"""Campaign ids: 40 bits as 8 lower-case characters of Crockford's base 32, which leaves out i, l, o and u."""

from __future__ import annotations

from typing import Final

CAMPAIGN_OCTETS: Final = 5
CAMPAIGN_LENGTH: Final = 8

_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}


def campaign_from_octets(octets: bytes) -> str:
    """The id of 5 octets, most significant first. Raises ValueError for another length."""
    if len(octets) != CAMPAIGN_OCTETS:
        raise ValueError(f"a campaign id is made of {CAMPAIGN_OCTETS} octets, not {len(octets)}")
    number = int.from_bytes(octets, "big")
    return "".join(_DIGITS[number >> shift & 31] for shift in range(35, -1, -5))


def campaign_to_octets(campaign: str) -> bytes:
    """The 5 octets of an id. Raises ValueError for anything else, upper case included, so that ids compare as
    text."""
    if len(campaign) != CAMPAIGN_LENGTH or not all(digit in _VALUES for digit in campaign):
        raise ValueError(f"{campaign!r} is no campaign id: 8 of the characters {_DIGITS}")
    number = 0
    for digit in campaign:
        number = number << 5 | _VALUES[digit]
    return number.to_bytes(CAMPAIGN_OCTETS, "big")
