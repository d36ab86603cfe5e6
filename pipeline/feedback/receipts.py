"""Delivery receipts become states of recipients. The order in which they come does not matter: states have ranks."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Final

from schemas.feedback import ReceiptBatch
from schemas.status import StatusChunk, StatusGroup

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_CODE: Final = 32


def statuses(batch: ReceiptBatch) -> StatusChunk | None:
    """The status chunk of a batch, None for an empty one; one group per state and reason.

    `at` is when the batch was received, by our clock: that of an aggregator may be wrong.
    """
    groups: dict[tuple[str, str], StatusGroup] = {}
    for ordinal, state, code in zip(batch.ordinals, batch.states, batch.codes, strict=True):
        key = (state, code)
        group = groups.get(key)
        if group is None:
            groups[key] = group = StatusGroup(state=state, ordinals=[], reason=reason_of(code))
        group.ordinals.append(ordinal)
    if not groups:
        return None
    return StatusChunk(
        campaign=batch.campaign,
        message=batch.message,
        at=batch.received,
        groups=list(groups.values()),
        receipts=True,
    )


def reason_of(code: str) -> str:
    """The reason that is shown for an aggregator's error code: "" for "", "code:CODE" for one that is not known."""
    if not code:
        return ""
    known = CODES.get(code.upper())
    return known or f"code:{_UNSAFE.sub('_', code[:_LONGEST_CODE])}"


def _load() -> dict[str, str]:
    data = tomllib.loads(files("pipeline.rules").joinpath("receipt_codes.toml").read_text(encoding="utf-8"))
    return {entry["code"]: entry["reason"] for entry in data["code"]}


CODES: Final = _load()
"""Code in capitals → the reason that is shown."""
