"""What every process exports of itself: its build, its clock, its disk, and how late its event loop is."""

from __future__ import annotations

import asyncio
import platform
import shutil
import time
from importlib.metadata import version
from math import nan
from pathlib import Path
from typing import Final, Literal, NoReturn

from schemas import metrics

Process = Literal["worker", "writer", "api", "ingress"]
PERIOD: Final = 0.25
"""Seconds between two looks at the event loop."""


def announce(process: Process) -> None:
    """Export which process this is, of which version, and its clock."""
    metrics.BUILD.labels(process, version("longwave"), platform.python_version()).set(1)
    metrics.CLOCK.set_function(time.time)


def announce_disk(folder: Path) -> None:
    """Export how full the disk of the data folder is; asked for at each scrape."""
    metrics.DISK_FREE.set_function(lambda: _disk(folder)[0])
    metrics.DISK_SIZE.set_function(lambda: _disk(folder)[1])


async def watch_event_loop() -> NoReturn:
    """Measure for as long as this task runs how late the event loop is for a timer."""
    while True:
        due = time.monotonic() + PERIOD
        await asyncio.sleep(PERIOD)
        metrics.EVENT_LOOP_DELAY.observe(max(0.0, time.monotonic() - due))


def _disk(folder: Path) -> tuple[float, float]:
    """(free, all) bytes; not a number where the folder cannot be asked: a scrape must not fail for it."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return nan, nan
    return usage.free, usage.total
