"""Codes that aggregators and carriers give for a failure, and the reason of each (carrier_codes.toml)."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Final

from schemas.reasons import Reason, written

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_CODE: Final = 32
_LARGEST_CODE: Final = 2**53
"""Up to here a whole number has all its digits, however it was sent."""
_DECIMALS: Final = re.compile(r"([0-9]+)\.0+$")
_AROUND: Final = "".join(chr(code) for code in range(0x21)) + "\u00a0\ufeff"


def reason_of_code(code: str) -> str:
    """The reason for an aggregator's code: "" for "", `code:CODE` for one that is not in the list."""
    code = code_text(code)
    if not code:
        return ""
    known = CODES.get(code.upper())
    return known or written(Reason.CODE, _UNSAFE.sub("_", code[:_LONGEST_CODE]))


def code_text(code: object) -> str:
    """A code as a text that can be stored: without blanks around it, a whole number as its digits ("30006.0" too); ""
    for what is no code."""
    if isinstance(code, bool) or not isinstance(code, str | int | float):
        return ""
    if isinstance(code, float) and not code.is_integer():
        return ""
    text = code if isinstance(code, str) else f"{code:.0f}" if abs(code) < _LARGEST_CODE else ""
    return _DECIMALS.sub(r"\1", text.strip(_AROUND)).encode("utf-8", "replace").decode()


def _load() -> dict[str, Reason]:
    data = tomllib.loads(files("schemas").joinpath("carrier_codes.toml").read_text(encoding="utf-8"))
    return {entry["code"]: Reason(entry["reason"]) for entry in data["code"]}


CODES: Final = _load()
"""Code in capitals → reason."""
