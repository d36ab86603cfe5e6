"""Codes that aggregators and carriers give for a failure, and the reason of each (carrier_codes.toml)."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Final

from schemas.reasons import Reason, written

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_CODE: Final = 32


def reason_of_code(code: str) -> str:
    """The reason for an aggregator's code: "" for "", `code:CODE` for one that is not in the list."""
    if not code:
        return ""
    known = CODES.get(code.upper())
    return known or written(Reason.CODE, _UNSAFE.sub("_", code[:_LONGEST_CODE]))


def _load() -> dict[str, Reason]:
    data = tomllib.loads(files("schemas").joinpath("carrier_codes.toml").read_text(encoding="utf-8"))
    return {entry["code"]: Reason(entry["reason"]) for entry in data["code"]}


CODES: Final = _load()
"""Code in capitals → reason."""
