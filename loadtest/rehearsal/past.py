"""A good past for a young Prometheus: without one, the first late second would be all of a month's allowance.

The burn-rate alerts look back up to three days. A server that has just started holds the minutes since then against
the objectives, as if nothing had ever gone well before. So it begins with blocks of the same traffic, in time, that
`promtool` makes.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adapters.terminal import UserError

LATENESS: Final = "longwave_due_to_aggregator_seconds"
SECONDS: Final = 3 * 86_400.0
"""The longest range of the burn-rate rules."""
STEP: Final = 15.0
"""Between two samples, as recording rules have it."""
PER_SECOND: Final = 2.0
"""Slices, about those of the traffic."""


def make(tsdb: Path, now: float, faster: float) -> None:
    """Put the past up to `now` (s since 1970), as long as the rules look back, into an empty storage.

    Raises:
        UserError: promtool, a part of Prometheus, is missing or refuses.
    """
    program = shutil.which("promtool")
    if program is None:
        raise UserError("promtool is not on PATH; it comes with Prometheus")
    tsdb.mkdir()
    source = tsdb.with_suffix(".openmetrics")
    source.write_text("".join(_lines(now, faster)), encoding="utf-8")
    words = [program, "tsdb", "create-blocks-from", "openmetrics", str(source), str(tsdb)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise UserError(f"promtool could not make the past: {(done.stdout + done.stderr)[-1000:]}")


def _lines(now: float, faster: float) -> Iterator[str]:
    length, step = SECONDS / faster, STEP / faster
    times = [now - length + step * index for index in range(int(length / step))]
    yield f"# TYPE {LATENESS} histogram\n"
    for at in times:
        count = PER_SECOND * (at - times[0])
        for le in ("5.0", "+Inf"):
            yield f'{LATENESS}_bucket{{job="past",lane="past",le="{le}"}} {count:.0f} {at:.3f}\n'
        yield f'{LATENESS}_count{{job="past",lane="past"}} {count:.0f} {at:.3f}\n'
        yield f'{LATENESS}_sum{{job="past",lane="past"}} 0 {at:.3f}\n'
    yield "# TYPE longwave:figures_stale gauge\n"
    for at in times:
        yield f"longwave:figures_stale 0 {at:.3f}\n"
    yield "# EOF\n"
