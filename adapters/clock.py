"""The clock: the only place that asks what time it is."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def now_ns() -> int:
    """Nanoseconds since the epoch, UTC, as spans have their times."""
    return time.time_ns()


def boot_seconds() -> float:
    """Seconds on a clock that never goes back and that counts while the machine sleeps, where it has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
