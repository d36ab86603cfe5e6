"""`longwave rehearse NAME`: play an incident on a private stack that a real Prometheus watches."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from adapters.terminal import FAILED, WrongUse, note, say, write_json


def rehearse(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An incident of --list, or all.")] = "",
    faster: Annotated[
        float,
        typer.Option(min=1, max=60, help="Divide every duration of the rules (for, ranges, intervals) by this."),
    ] = 1.0,
    listed: Annotated[bool, typer.Option("--list", help="List the incidents, each with its alert.")] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Write the outcomes to this file (- = here).")] = None,
) -> None:
    """Play incidents: the right alert fires in time, nobody is notified of another, its runbook's commands mend it.

    The exit code is 1 if one did not go as it should. Needs `prometheus` on PATH.
    """
    from loadtest.rehearsal import incidents, run, verdict

    if listed:
        for incident in incidents.ALL:
            say(f"{incident.name:22} {incident.alert:20} {incident.what}")
        return
    if not name:
        raise WrongUse("name an incident of `longwave rehearse --list`, or all")
    # A rehearsal that is ended from outside still stops its stack.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    outcomes = run.rehearse(run.chosen(name), faster, note)
    write_json(json, [{**asdict(outcome), "ok": outcome.ok} for outcome in outcomes])
    print_line = note if str(json) == "-" else say
    print_line(verdict.summary(outcomes))
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(FAILED)
