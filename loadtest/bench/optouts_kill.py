"""`longwave bench optouts --kill`: STOPs by text while workers are killed, stopped and ended, alone and together.

The kill harness with its STOPs ten times as frequent: campaigns at full rate over four lanes and two workers, STOPs
of people who still wait texted to the ingress all the time. The figure is how many got a message later than a second
after the ingress had acknowledged their STOP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loadtest.bench.crash.findings import Findings
from loadtest.bench.crash.plan import Blow
from loadtest.bench.crash.run import RATE, Setting, carried_out
from loadtest.bench.report import Result

STOPS_PER_SECOND: Final = 50.0
BLOWS: Final = (
    Blow("worker", 0.1, 3.0),
    Blow("zombie", 0.6, 3.0),
    Blow("rolling", 0.0, 3.0),
    Blow("overlap", 0.1, 3.0, ("kill worker", "kill worker"), 0.0),
    Blow("overlap", 0.6, 3.0, ("stop worker", "kill worker"), 3.0),
    Blow("overlap", 0.1, 3.0, ("kill broker", "kill worker"), 2.0),
    Blow("overlap", 0.6, 3.0, ("stop broker", "kill worker"), 5.0),
    Blow("ingress", 0.0, 3.0),
)
"""Both workers at once is the fourth: the second of an overlap picks the other half."""


def run(rounds: int = 1, recipients: int = 100_000, report: Callable[[str], None] = lambda line: None) -> Result:
    """The blows, `rounds` times."""
    setting = Setting("skip", recipients, stops_per_second=STOPS_PER_SECOND)
    return result(carried_out(setting, [*BLOWS] * rounds, report), rounds, recipients)


def result(findings: Findings, rounds: int, recipients: int) -> Result:
    """Late STOPs make it fail; what else broke is listed too."""
    stopped = findings.stopped
    return Result(
        name="optouts-kill",
        figure=len(stopped.late),
        unit=f"of {stopped.acknowledged} people texted later than 1 s after their STOP was acknowledged",
        limit=None,
        ratio=None,
        required="0",
        ok=not stopped.late and stopped.acknowledged > 0 and not findings.broken(),
        inputs={
            "rounds": rounds,
            "recipients": recipients,
            "stops_per_second": STOPS_PER_SECOND,
            "rate_of_a_lane": RATE,
        },
        details=findings.row(),
    )
