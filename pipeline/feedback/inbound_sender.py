"""Who sent a text: the many spellings in which aggregators write a phone number.

A text is never refused for how its sender is spelled, because it may be a STOP. What cannot be read as one number
stays as it came, for an operator.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from pipeline.numbers.numbering import Accepted, calling_code, canonical, read, read_international, read_national
from schemas.reasons import Reason

_SCHEME: Final = re.compile(r"(?:tel|sms|smsto|mms|mmsto|callto|sip|sips|whatsapp|rcs|viber|signal|im)\s*:\s*", re.I)
_AFTER_NUMBER: Final = re.compile(r"[;?@,].*", re.S)
"""Parameters of an address (`;phone-context=…`), its host, or its type (`,145`)."""
_DECIMALS: Final = re.compile(r"\.0+$")
"""What a float leaves behind a number."""
_FILLER: Final = re.compile(r"[\s().\-/\u2010-\u2015\u2212'\"<>\[\]\u00b7_]+")
_DIGITS: Final = re.compile(r"\+?[0-9]{1,20}", re.ASCII)
LONGEST: Final = 15
"""Digits of an E.164 number."""


class Person(NamedTuple):
    """Who sent a text: the number that it surely is, None if none is sure, and all further numbers that it may be."""

    number: int | None
    also: tuple[int, ...] = ()


def read_sender(spelled: str, country: str = "", guesses: Sequence[str] = ()) -> Person:
    """Who is meant by what an aggregator gives as a text's sender.

    `country` (ISO or "") is where the sender is that received the text, for numbers written as one dials them there.
    `guesses` are countries where it may be instead: a number that only one of them gives is never sure.
    Digits without `+` or `00` must be a number of a plan. Where they are one in several ways, no reading is sure,
    except that digits which begin with the country's own calling code are international.
    """
    text = plain(spelled)
    if not _DIGITS.fullmatch(text):
        return Person(None)
    digits = text.lstrip("+").removeprefix("00") if text.startswith(("+", "00")) else text
    as_dialed = _as_dialed(digits, country)
    guessed = [_as_dialed(digits, guess) for guess in guesses]
    world = _accepted(read_international(digits)) if digits[:1] not in ("", "0") else None
    if world is None and text.startswith("00"):
        # Where one dials abroad with more than 00 (0011 in Australia), the rest is no calling code.
        abroad = _accepted(read(text, country)) if country else None
        if abroad is not None:
            return Person(abroad.number)
    if text.startswith(("+", "00")):
        # Some put a `+` in front of whatever they have. Where no plan knows the result, the STOP of whoever dials so
        # at home counts too.
        number = world.number if world is not None else _of_no_plan(digits)
        return _person(number, [] if world is not None else [as_dialed, *guessed])
    if world is None:
        return _person(as_dialed.number if as_dialed is not None else None, guessed)
    others = [other for other in (as_dialed, *guessed) if other is not None and other.number != world.number]
    if not others or any(digits.startswith(calling_code(home)) for home in (country, *guesses) if home):
        return _person(world.number, others)
    return _person(None, [world, *others])


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


def _person(number: int | None, others: Iterable[Accepted | None]) -> Person:
    also = dict.fromkeys(other.number for other in others if other is not None)
    return Person(number, tuple(possible for possible in also if possible != number))


def _as_dialed(digits: str, country: str) -> Accepted | None:
    """The number of `country` that the digits are there, as one dials them or without the leading 0."""
    if not digits or not country:
        return None
    return _accepted(read(digits, country) if digits[0] == "0" else read_national(digits, country))


def _accepted(outcome: Accepted | Reason) -> Accepted | None:
    return outcome if isinstance(outcome, Accepted) else None


def _of_no_plan(digits: str) -> int | None:
    """A number that was marked as international and that no plan knows is kept: plans change, and a STOP counts."""
    return canonical(int(digits)) if digits and len(digits) <= LONGEST and digits[0] != "0" else None
