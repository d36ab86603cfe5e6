"""When a text was sent, as the clocks of others say it: for people to read, never for the order of things."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

Odd = Literal["", "implausible_time"]
EARLIEST: Final = 1_262_304_000_000
"""2010: nothing that still comes was sent before."""
AHEAD: Final = 5 * 60_000
"""How far a clock may be ahead of ours."""
OLDEST: Final = 30 * 24 * 3_600_000
"""How long a text may have been under way."""


def read_time(value: object, received: int) -> tuple[int, Odd]:
    """(milliseconds since the epoch, what is odd) of a time in seconds, milliseconds, microseconds or nanoseconds, as
    number or digits, or in ISO 8601 with an offset. What is no plausible time gives `received`; absent is not odd."""
    if value is None or value == "":
        return received, ""
    moment = _milliseconds(value)
    if moment is None or not max(EARLIEST, received - OLDEST) <= moment <= received + AHEAD:
        return received, "implausible_time"
    return min(moment, received), ""


def _milliseconds(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _from_iso(str(value))
    if not isinstance(value, int | float) or not 0 < value < 1e19:
        return None
    for unit in (1000.0, 1.0, 1e-3, 1e-6):
        moment = int(value * unit)
        if EARLIEST <= moment < 10 * EARLIEST:
            return moment
    return None


def _from_iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return None if moment.tzinfo is None else int(moment.timestamp() * 1000)
