"""How many SMS parts a text takes, and in which encoding: the unit that is billed and rate-limited.

Sources: 3GPP TS 23.038 (GSM 7-bit default alphabet 6.2.1, its extension table 6.2.1.1, UCS-2 6.2.3) and
TS 23.040 (concatenation, 9.2.3.24.1). One part holds 140 octets: 160 septets or 70 UCS-2 units; a part of
several gives 6 octets to its header, which leaves 153 septets or 67 units. No national language tables:
aggregators do not use them unless asked, and a count that is too low would bill and pace wrongly.

An empty text is one part: TS 23.040 9.2.3.16 allows a user data length of 0, and the network carries and
bills that short message like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""Characters of one septet: the default alphabet without its escape code."""

EXTENSION: Final = "\f^{}\\[~]|€"
"""Characters of two septets: escape and code, which must stay in the same part."""

GSM7_SINGLE: Final = 160
GSM7_PART: Final = 153
UCS2_SINGLE: Final = 70
UCS2_PART: Final = 67

_GSM7_CHARACTERS: Final = frozenset(BASIC + EXTENSION)
_GSM7 = re.compile(f"[{re.escape(BASIC + EXTENSION)}]*")
_EXTENSION = re.compile(f"[{re.escape(EXTENSION)}]")
_BASIC_LATIN1 = "".join(c for c in BASIC if ord(c) < 256).encode("latin-1")

# Three sums in one int64 look-up and one cumulative sum: septets, foreign characters, extra UTF-16 units.
_FIELD: Final = 21
_MASK: Final = (1 << _FIELD) - 1
_LONGEST: Final = 1 << (_FIELD - 1)  # characters; a longer text could overflow its field
_WEIGHTS = np.full(0x10001, 1 << _FIELD, np.int64)
_WEIGHTS[[ord(c) for c in BASIC]] = 1
_WEIGHTS[[ord(c) for c in EXTENSION]] = 2
_WEIGHTS[0x10000] = (1 << 2 * _FIELD) + (1 << _FIELD)  # all beyond the basic plane

Encoding = Literal["gsm7", "ucs2"]


class Segments(NamedTuple):
    """Encoding of a text, its length in units (septets or UTF-16 code units), and its number of parts."""

    encoding: Encoding
    units: int
    parts: int


def count(text: str) -> Segments:
    """Exact segments of one text. Never raises: a lone surrogate counts as the unit it is."""
    if _all_basic(text):
        return Segments("gsm7", len(text), 1 if len(text) <= GSM7_SINGLE else -(-len(text) // GSM7_PART))
    if _GSM7.fullmatch(text):
        return _count_gsm7(text)
    return _count_ucs2(text)


def count_many(texts: Sequence[str]) -> NDArray[np.uint16]:
    """Parts of each text (uint16, same order); equal to `count(text).parts` for each, up to 65,535.

    Made for chunks: one check over the joined texts when all of them are plain, one look-up per character
    when some are not, and one by one only those whose number of parts depends on where a pair falls.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    joined = "".join(texts)
    if _all_basic(joined):
        return _parts(lengths, GSM7_SINGLE, GSM7_PART)
    return _count_mixed(texts, joined, lengths)


def foreign_characters(text: str) -> list[str]:
    """The characters of a text that are not in GSM-7, each once and in order: they force UCS-2."""
    return [character for character in dict.fromkeys(text) if character not in _GSM7_CHARACTERS]


def is_gsm7(text: str) -> bool:
    """Whether all characters of a text are in GSM-7."""
    return _GSM7.fullmatch(text) is not None


def _all_basic(joined: str) -> bool:
    """True if all is one-septet characters of Latin-1 (no Greek capitals: they take the slower way)."""
    try:
        return not joined.encode("latin-1").translate(None, _BASIC_LATIN1)
    except UnicodeEncodeError:
        return False


def _parts(units: NDArray[np.int64], single: int, part: int) -> NDArray[np.uint16]:
    if not len(units) or units.max() <= single:
        return np.ones(len(units), np.uint16)
    return np.where(units <= single, 1, -(-units // part)).astype(np.uint16)


def _count_mixed(texts: Sequence[str], joined: str, lengths: NDArray[np.int64]) -> NDArray[np.uint16]:
    if lengths.max() >= _LONGEST:
        return np.array([count(text).parts for text in texts], np.uint16)
    sums = _weights(joined, lengths)
    foreign = (sums >> _FIELD & _MASK) > 0
    gsm = sums & _MASK
    ucs = lengths + (sums >> 2 * _FIELD)
    # A pair that would straddle ends its part one unit early: the count lies between these two.
    least = _parts_mixed(foreign, gsm, ucs, 0)
    most = _parts_mixed(foreign, gsm, ucs, 1)
    for index in np.flatnonzero((least != most) & (foreign | (gsm > lengths))).tolist():
        least[index] = count(texts[index]).parts
    return least


def _parts_mixed(
    foreign: NDArray[np.bool_], gsm: NDArray[np.int64], ucs: NDArray[np.int64], lost: int
) -> NDArray[np.uint16]:
    """Parts of each text when every part loses `lost` units at its end."""
    return np.where(
        foreign,
        _parts(ucs, UCS2_SINGLE, UCS2_PART - lost),
        _parts(gsm, GSM7_SINGLE, GSM7_PART - lost),
    )


def _weights(joined: str, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The packed weights summed over each text; cumulative, because reduceat errs on empty runs."""
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    totals = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(_WEIGHTS[np.minimum(codes, 0x10000)], out=totals[1:])
    ends = np.cumsum(lengths)
    sums: NDArray[np.int64] = totals[ends] - totals[ends - lengths]
    return sums


def _count_gsm7(text: str) -> Segments:
    pairs = [match.start() for match in _EXTENSION.finditer(text)]
    units = len(text) + len(pairs)
    if units <= GSM7_SINGLE:
        return Segments("gsm7", units, 1)
    firsts = {start + before for before, start in enumerate(pairs)}
    return Segments("gsm7", units, _fill(units, GSM7_PART, firsts))


def _count_ucs2(text: str) -> Segments:
    wire = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    units = len(wire)
    if units <= UCS2_SINGLE:
        return Segments("ucs2", units, 1)
    high = (wire >= 0xD800) & (wire < 0xDC00)
    low = (wire >= 0xDC00) & (wire < 0xE000)
    return Segments("ucs2", units, _fill(units, UCS2_PART, set(np.flatnonzero(high[:-1] & low[1:]).tolist())))


def _fill(units: int, part: int, firsts: set[int]) -> int:
    """Number of parts when each is filled as far as possible; `firsts` are units that must not be split from the
    next."""
    parts, end = 1, part
    while end < units:
        end += part - (end - 1 in firsts)
        parts += 1
    return parts
