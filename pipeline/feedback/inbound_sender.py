"""Who sent a text: the many spellings in which aggregators write a phone number.

A text is never refused for how its sender is spelled, because it may be a STOP. What cannot be read as one number
stays as it came, for an operator.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

from pipeline.numbers.numbering import Accepted, canonical, read

_SCHEME: Final = re.compile(r"(?:tel|sms|smsto|mms|mmsto|callto|sip|sips|whatsapp|rcs|viber|signal|im)\s*:\s*", re.I)
_AFTER_NUMBER: Final = re.compile(r"[;?@,].*", re.S)
"""Parameters of an address (`;phone-context=…`), its host, or its type (`,145`)."""
_DECIMALS: Final = re.compile(r"\.0+$")
"""What a float leaves behind a number."""
_FILLER: Final = re.compile(r"[\s().\-/\u2010-\u2015\u2212'\"<>\[\]\u00b7_]+")
_DIGITS: Final = re.compile(r"\+?[0-9]{1,20}", re.ASCII)
LONGEST: Final = 15
"""Digits of an E.164 number."""


def read_sender(spelled: str, country: str = "") -> int | None:
    """The number in what an aggregator gives as a text's sender, None if it is none. `country` (ISO or "") is where
    the sender is that received the text, for numbers written as one dials them there."""
    text = plain(spelled)
    if not _DIGITS.fullmatch(text):
        return None
    if text.startswith(("+", "00")):
        return _international(text.lstrip("+").removeprefix("00"))
    as_dialed = read(text, country) if country else None
    if text.startswith("0"):
        return as_dialed.number if isinstance(as_dialed, Accepted) else None
    world = read(f"+{text}", "")
    if not isinstance(world, Accepted) and isinstance(as_dialed, Accepted):
        return as_dialed.number
    return _international(text)


def sender_key(spelled: str) -> str:
    """A sender of ours as texts and settings write it, for comparing: its digits, or its name in one case."""
    text = plain(spelled)
    return text.lstrip("+").removeprefix("00") if _DIGITS.fullmatch(text) else text.casefold()


def plain(spelled: str) -> str:
    """Digits with a `+` where one was meant, or what is left when the text is no number."""
    text = unicodedata.normalize("NFKC", unquote(spelled) if "%" in spelled else spelled)
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cc", "Cs") or char in " \t")
    while match := _SCHEME.match(text.lstrip()):
        text = text.lstrip()[match.end() :]
    # A form decodes `+` as a space, so a space in front of digits was one.
    was_plus = text[:1] == " " and text[1:2].isdigit()
    text = _AFTER_NUMBER.sub("", text).strip() or text.strip()
    text = _FILLER.sub("", _DECIMALS.sub("", text))
    text = "".join(str(unicodedata.decimal(char, char)) for char in text)
    text = re.sub(r"^\++", "+", text)
    return f"+{text}" if was_plus and text[:1].isdigit() and text[:1] != "0" else text


def _international(digits: str) -> int | None:
    """A number with its country code. One that no plan knows is kept too: plans change, and a STOP counts."""
    if not digits or len(digits) > LONGEST or digits[0] == "0":
        return None
    world = read(f"+{digits}", "")
    return world.number if isinstance(world, Accepted) else canonical(int(digits))
