"""The phone number in a cell: what spreadsheets, address books and people put around it is taken off or refused.

Only what is certain is taken off: invisible characters, quotes, `="…"`, a leading apostrophe, `tel:`, separators of
thousands, a decimal part of zeros. What could make another number of it has a reason: letters are never digits of a
keypad, what follows `ext` or `/` is not part of the number, and of two numbers neither is taken.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from schemas.reasons import Reason

LONGEST_CELL: Final = 250
_DASHES: Final = "\\-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d"
_SPACES: Final = " \t\u00a0\u2000-\u200a\u202f\u205f\u3000"
_QUOTED: Final = re.compile(r"""=?\s*(["“”„«»'‘’])(.*)["“”«»'‘’]\s*""", re.DOTALL)
_LABEL: Final = re.compile(
    r"(?:tel|tél|telefon|telephone|téléphone|phone|mobile|mobil|mob|handy|cell|cel|sms|whatsapp|callto)\s*[.:]*\s*"
    r"(?=[+＋(\d])",
    re.IGNORECASE,
)
_SCIENTIFIC: Final = re.compile(r"\+?\d+(?:[.,]\d*)?\s*[eE]\s*[+\-−]?\s*\d+")
_THOUSANDS: Final = re.compile(r"(\+?\d{1,3}(?:,\d{3}){2,})(?:\.0*)?|(\+?\d{1,3}(?:\.\d{3}){2,}),0*")
_DECIMAL: Final = re.compile(rf"(\+?[\d{_SPACES}]*\d)[.,](\d*)")
_LEAST_BEFORE_DECIMALS: Final = 7
_LONG_DECIMAL: Final = re.compile(r"\+?\d{7,}\.\d+")
_EXTENSION: Final = re.compile(
    r"(?<=\d)[\s,;.()\-–/]*"
    r"(?:extension|extn|ext|xtn|x|app|apt|poste|durchwahl|dw|klappe|kl|interno|int|ramal|anexo|доб|內線|内线|分机|\#)"
    r"[\s.:=]*\d+[\s)]*$",
    re.IGNORECASE,
)
_LAST_DIGITS: Final = re.compile(
    rf"(?:\d{{6}}[{_DASHES}]\d\d?|^[^{_DASHES}]{{7,}}[{_DASHES}]\d\d?|\d[^/]{{5,}}[{_DASHES}.]\d)$"
)
"""Of a text without blanks: one or two digits after its only hyphen or after a long run of digits, or one digit after
any hyphen or dot. `030 123456-12` is a line of an exchange, or has another last digit; neither is a phone that takes
texts."""
_BLANKS: Final = {ord(c): None for c in " \t\u00a0\u202f\u205f\u3000"} | dict.fromkeys(range(0x2000, 0x200B))
_MOST_BEFORE_BRACKET: Final = 4
"""Digits, at most, before brackets: a calling code, `+353 (0)87`, or one and an area code, `+55 11 (9) 8765-4321`."""
_DIALED_ABROAD: Final = re.compile(r"\s*(?:00|011)(?=[\s1-9(\[])")
_LIST_MARK: Final = re.compile(
    rf"\s*(?:[(\[]?[1-9][\])]?[{_SPACES}]*[\])\-.:{_SPACES}][{_SPACES}]*0|[1-9]\d?[.:][{_SPACES}]+\d|\d{{1,2}}[)\]])"
)
"""`2) 0171 234567`, `2. 0171 …`, `(2) 0171 …`: a place in a list, not a part of the number."""
_MAY_BE_IN_LIST: Final = frozenset("123456789([ \t\u00a0")
_NOT_PLAIN: Final = frozenset("~·.)]")
_BESIDE: Final = re.compile(r"[~·]|\.\s*\.|^[^(\[]*\s\d{1,2}[)\]]\s*$")
_CAPPED: Final = re.compile(r"-?(?:214748364[78]|4294967295)(?:[.,]0*)?")
"""The bounds of 32 bits, to which some databases cap what does not fit: all such rows are one stranger in the US."""
_BETWEEN: Final = re.compile(r"[,;|&\n\r\\]|\b(?:or|and|und|oder|ou|et|o|y|e|u|ou bien|или|и)\b", re.IGNORECASE)
_NUMBER: Final = re.compile(rf"[(\[]?[+＋]?[\d{_SPACES}()\[\]./{_DASHES}]*")
_AREA: Final = 6
_AREA_ABROAD: Final = 9
"""Digits before a slash that may be an area code: at home, and with a calling code."""
_LEAST_AFTER_AREA: Final = 4


def clean(text: str) -> str | Reason:
    """The number in a cell, in digits and separators only, perhaps with `+`; or why it cannot be told."""
    text = _unwrapped(text)
    if not text:
        return Reason.MISSING_NUMBER
    if len(text) > LONGEST_CELL or not any(c.isdecimal() for c in text):
        return Reason.NOT_A_NUMBER
    if _SCIENTIFIC.fullmatch(text) or is_capped(text):
        return Reason.DIGITS_LOST
    whole = _whole(text)
    if whole is None:
        return Reason.NOT_A_NUMBER
    return _only_number(_LABEL.sub("", whole, count=1))


def is_capped(text: str) -> bool:
    """Whether a number was too large for 32 bits, so that a database wrote the largest or smallest that it has."""
    return _CAPPED.fullmatch(text) is not None


def has_plus(text: str) -> bool:
    """Whether the number in a cell is written with its country code: with `+`, or with `00` in its place."""
    return _unwrapped(text).lstrip("([ ").startswith(("+", "＋", "00"))


def _unwrapped(text: str) -> str:
    """Without invisible characters, outer spaces, quotes, and the apostrophe by which a spreadsheet marks text."""
    if not text.isascii():
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = text.strip()
    while quoted := _QUOTED.fullmatch(text):
        text = quoted[2].strip()
    if text[:1] == "=" and text[1:].strip()[:1] in ("+", *"0123456789"):
        text = text[1:].strip()
    return text.lstrip("'`´‘’").strip()


def _whole(text: str) -> str | None:
    """Without separators of thousands and decimals of zeros; None where a decimal part says something."""
    thousands = _THOUSANDS.fullmatch(text)
    if thousands is not None:
        return re.sub(r"[.,]", "", thousands[1] or thousands[2])
    decimal = _DECIMAL.fullmatch(text)
    if decimal is None or sum(map(str.isdecimal, decimal[1])) < _LEAST_BEFORE_DECIMALS:
        return text
    if not decimal[2].strip("0"):
        return decimal[1]
    return None if (len(decimal[2]) <= 2 and "." in text) or _LONG_DECIMAL.fullmatch(text) else text


def _only_number(text: str) -> str | Reason:
    if _EXTENSION.search(text) or has_last_digits(text):
        return Reason.EXTENSION
    parts = [part for part in _BETWEEN.split(text) if any(c.isdecimal() for c in part)]
    if len(parts) > 1 or _has_second_plus(text) or not _slash_is_after_area(text):
        return Reason.SEVERAL_NUMBERS
    if any(c.isalpha() for c in text):
        return Reason.LETTERS
    if has_more_than_number(text):
        return Reason.SEVERAL_NUMBERS
    return text if _NUMBER.fullmatch(text) else Reason.NOT_A_NUMBER


def has_last_digits(text: str) -> bool:
    """Whether a number is followed by other last digits, or by the line of an exchange: `0664 123 45 67-8`."""
    if text.isascii() and "-" not in text and "." not in text:
        return False
    return _LAST_DIGITS.search(text.translate(_BLANKS)) is not None


def has_more_than_number(text: str) -> bool:
    """Whether brackets, dots or a place in a list say that digits are no part of the number: `0664 1234567 (8)`."""
    if text[:1] in _MAY_BE_IN_LIST and _LIST_MARK.match(text):
        return True
    if not (_NOT_PLAIN.isdisjoint(text) or _BESIDE.search(text) is None):
        return True
    return ("(" in text or "[" in text) and _has_late_bracket(text)


def _has_late_bracket(text: str) -> bool:
    dialed = _DIALED_ABROAD.match(text)
    digits = 0
    for c in text[dialed.end() if dialed is not None else 0 :]:
        if c in "([" and digits > _MOST_BEFORE_BRACKET:
            return True
        digits += c.isdecimal()
    return False


def _has_second_plus(text: str) -> bool:
    first = re.search(r"[+＋\d]", text)
    return first is not None and re.search(r"[+＋]", text[first.end() :]) is not None


def _slash_is_after_area(text: str) -> bool:
    """`0664/1234567` is one number; `0664 1234567/8` is two, or a number and an extension."""
    parts = [sum(map(str.isdecimal, part)) for part in re.split("[/／]", text)]
    if len(parts) == 1:
        return True
    abroad = text.lstrip("([ ").startswith(("+", "＋", "00"))
    area, *rest = parts
    return len(rest) == 1 and area <= (_AREA_ABROAD if abroad else _AREA) and rest[0] >= _LEAST_AFTER_AREA
