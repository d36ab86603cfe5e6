"""`longwave up`, `down`, `status`, `doctor`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from adapters import settings as configuration
from adapters import terminal as console
from adapters.settings import Settings
from adapters.terminal import FAILED, note, say, to_json
from devstack import background, in_force, plan, view
from devstack.children import follow_parent
from devstack.supervisor import Supervisor

Data = Annotated[
    Path | None, typer.Option("--data", help="Where the stack keeps its data and logs (setting `data`).")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


def up(
    workers: Annotated[int, typer.Option(min=0, max=64, help="Faust workers.")] = 1,
    data: Data = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything is ready; `longwave down` stops it.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Only these of {', '.join(plan.NAMES)}.")] = None,
    no_kafka: Annotated[bool, typer.Option("--no-kafka", help="Kafka runs elsewhere (kafka.bootstrap).")] = False,
    no_clickhouse: Annotated[bool, typer.Option("--no-clickhouse", help="ClickHouse runs elsewhere.")] = False,
    no_aggregator: Annotated[bool, typer.Option("--no-aggregator", help="No simulated aggregator.")] = False,
    script: Annotated[Path | None, typer.Option(help="How the simulated aggregator behaves (TOML).")] = None,
) -> None:
    """Start the local stack and keep it running. Ctrl-C stops it.

    Kafka, ClickHouse and aggregators on other machines (see the settings) are waited for, not started.
    """
    follow_parent()
    settings = _settings(data)
    without = {"kafka": no_kafka, "clickhouse": no_clickhouse, "aggregator": no_aggregator}
    names = [name for name in only or plan.NAMES if not without.get(name)]
    processes = plan.make(settings, workers, names, script)
    if detach:
        seconds = background.start(settings.data, *background.options(workers, names, script))
        say(
            f"{len(processes)} processes ready after {seconds:.1f} s; `longwave status` shows them, `down` stops them"
        )
        return
    _foreground(settings, processes)


def down(data: Data = None) -> None:
    """Stop the local stack; its data stays."""
    settings = _settings(data)
    begin = time.monotonic()
    if background.stop(settings.data):
        say(f"stopped after {time.monotonic() - begin:.1f} s")
    else:
        say(f"no stack runs on {settings.data.absolute()}")


def status(data: Data = None, json: Json = False) -> None:
    """Show what runs, since when, and how often it was restarted. The exit code is 1 unless everything is ready."""
    settings = _settings(data)
    found = view.gather(settings.data)
    if json:
        say(to_json(found or {"state": "down", "data": str(settings.data.absolute()), "processes": []}))
    elif found is None:
        say(f"no stack runs on {settings.data.absolute()}; start one with `longwave up`")
    else:
        from rich.console import Console

        Console().print(view.table(found))
    if found is None or any(entry["state"] != "ready" for entry in found["processes"]):
        raise typer.Exit(FAILED)


def doctor(data: Data = None, json: Json = False) -> None:
    """Show the effective settings (secrets masked), and each problem with its fix. Exit code 1 if there is one."""
    from cli.stack import doctor as checks

    settings = _settings(data)
    findings = checks.examine(settings)
    if json:
        say(to_json({"settings": in_force.masked(settings), "checks": findings}))
    else:
        say(
            f"settings ({configuration.config_file()} and LONGWAVE_* variables):\n{checks.effective_text(settings)}\n"
        )
        for finding in findings:
            say(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}: {finding.found}")
            if finding.fix:
                say(f"       fix: {finding.fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAILED)


def _settings(data: Path | None) -> Settings:
    if data is not None:
        os.environ["LONGWAVE_DATA"] = str(data)
    return configuration.load()


def _count(processes: list[plan.Process]) -> str:
    return f"{len(processes)} process{'es' * (len(processes) != 1)}"


def _foreground(settings: Settings, processes: list[plan.Process]) -> None:
    if not sys.stderr.isatty():
        console.with_times()  # the output is DATA/logs/supervisor.log, or goes to a log collector
    asked = _Stop()
    supervisor = Supervisor(settings, processes, note)
    with asked.on_signals():
        seconds = supervisor.start(lambda: asked.stop)
        try:
            if not asked.stop:
                note(f"{_count(processes)} ready after {seconds:.1f} s; Ctrl-C stops them")
            _keep(supervisor, asked)
        finally:
            supervisor.stop()


def _keep(supervisor: Supervisor, asked: _Stop) -> None:
    with _live(supervisor.data) as refresh:
        beat = 0.0
        while not asked.stop:
            supervisor.tick()
            if time.monotonic() - beat > 1:
                refresh()
                beat = time.monotonic()
            time.sleep(0.1)


class _Stop:
    """Turns signals into a flag that the loops check, so that no work is interrupted halfway."""

    def __init__(self) -> None:
        self.stop = False

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._set) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _set(self, *_: object) -> None:
        self.stop = True


@contextlib.contextmanager
def _live(data: Path) -> Iterator[view.Refresh]:
    if not sys.stdout.isatty():
        yield lambda: None
        return
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        yield lambda: live.update(view.table(found), refresh=True) if (found := view.gather(data)) else None
