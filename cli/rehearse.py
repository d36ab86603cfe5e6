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
    """Play incidents: the right alert fires in time, no other is told, its runbook's commands mend it.

    The exit code is 1 if one did not go as it should. Needs `prometheus` on PATH.
    """
    from loadtest.rehearsal import incidents, run, verdict

    if listed:
        for one in incidents.ALL:
            say(f"{one.name:22} {one.alert:20} {one.what}")
        return
    if not name:
        raise WrongUse("name an incident of `longwave rehearse --list`, or all")
    # A rehearsal that is ended from outside still stops its stack.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    outcomes = run.rehearse(run.chosen(name), faster, note)
    write_json(json, [{**asdict(one), "ok": one.ok} for one in outcomes])
    tell = note if str(json) == "-" else say
    tell(verdict.summary(outcomes))
    if not all(one.ok for one in outcomes):
        raise typer.Exit(FAILED)
