"""JSON as careless programs write it, for lists of which one odd item must not spoil its neighbors.

What spoils one text only is let pass: bytes that are not UTF-8, half a surrogate pair, raw control characters, NaN, a
whole number of thousands of digits. So is what stands around the whole: byte order marks, NULs.
"""

from __future__ import annotations

import json
from typing import Final

from schemas.json import Json

_LONGEST_WHOLE: Final = 400
"""Digits of a whole number that is read as one; Python refuses more than 4,300."""
_AROUND: Final = "\ufeff\0 \t\r\n"


def decode_leniently(content: bytes) -> Json:
    """The value in `content`.

    Raises:
        ValueError: it is no JSON even so, or nested too deep.
    """
    text = content.decode(json.detect_encoding(content), "replace").strip(_AROUND)
    try:
        value: Json = json.loads(text, strict=False, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    return value


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_WHOLE else digits
