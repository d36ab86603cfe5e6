"""The clocks of a lane's driver."""

from __future__ import annotations

from time import monotonic

from adapters.clock import boot_seconds, now_ms
from pipeline.sending.effects import Instant


def instant() -> Instant:
    """The current moment on the three clocks."""
    return Instant(now_ms(), monotonic(), boot_seconds())
