"""`longwave up`, `down`, `status`, `doctor`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters import settings as configuration
from adapters import terminal as console
from adapters.settings import Settings
from adapters.terminal import FAILED, note, say, to_json
from cli.stack import findings, processes
from cli.stack.accounts import accounts
from cli.stack.findings import Finding, show_passed, show_problems
from devstack import background, in_force, plan, view
from devstack.children import follow_parent
from devstack.readiness import Readiness
from devstack.supervisor import Supervisor

Data = Annotated[
    Path | None, typer.Option("--data", help="Where the stack keeps its data and logs (setting `data`).")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


def up(  # noqa: PLR0913 - each is an option of the command
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
        _say_if_empty(settings, names)
        return
    _foreground(settings, processes)


def _say_if_empty(settings: Settings, names: Sequence[str]) -> None:
    """Say how to add an account, where there is none."""
    finding = accounts(settings) if "api" in names else None
    if finding is not None and not finding.ok:
        note(f"{finding.detail}: {finding.fix}")


def down(data: Data = None) -> None:
    """Stop the local stack; its data stays."""
    settings = _settings(data)
    begin = time.monotonic()
    if background.stop(settings.data):
        say(f"stopped after {time.monotonic() - begin:.1f} s")
    else:
        say(f"no stack runs on {settings.data.absolute()}")


def status(data: Data = None, json: Json = False) -> None:
    """Show each problem first, with what to do, then what runs. Exit code 1 if there is a problem."""
    settings = _settings(data)
    entries = view.look(settings)
    problems = _not_running(settings) if entries is None else _problems(settings, entries)
    if json:
        down = {"state": "down", "data": str(settings.data.absolute()), "processes": []}
        say(to_json({"ok": not problems, "problems": problems, **(entries or down)}))
    else:
        if problems:
            show_problems(problems)
        if entries is not None:
            from rich.console import Console

            say()
            Console().print(view.table(entries))
    if problems:
        raise typer.Exit(FAILED)


def _not_running(settings: Settings) -> list[Finding]:
    return [Finding("stack", False, f"no stack runs on {settings.data.absolute()}", "start one with `longwave up`")]


def _problems(settings: Settings, stack: dict[str, Any]) -> list[Finding]:
    said = {
        entry["name"]: Readiness(entry["ready"], entry["answers"], entry["not_ready"], entry["limited"])
        for entry in stack["processes"]
    }
    finding = accounts(settings)
    checked = [*processes.examine(stack["processes"], said, settings.data), *([finding] if finding else [])]
    return findings.problems(checked)


def doctor(
    data: Data = None,
    json: Json = False,
    show_settings: Annotated[
        bool, typer.Option("--settings", help="Show the settings in force too, secrets masked.")
    ] = False,
) -> None:
    """Check this installation: each problem first, with what to do. Exit code 1 if there is one."""
    from cli.stack import doctor as checks

    settings = _settings(data)
    checked = checks.examine(settings)
    problems = findings.problems(checked)
    if json:
        shown = {"settings": in_force.masked(settings)} if show_settings else {}
        say(to_json({"ok": not problems, "problems": problems, "checks": checked, **shown}))
    else:
        _show_checks(checked, problems)
        if show_settings:
            say(f"\nsettings ({configuration.config_file()} and LONGWAVE_* variables)")
            say(checks.effective_text(settings))
    if problems:
        raise typer.Exit(FAILED)


def _show_checks(checked: list[Finding], problems: list[Finding]) -> None:
    if problems:
        show_problems(problems)
        say()
    passed = [finding for finding in checked if finding.ok]
    say(f"{len(passed)} check{'s' * (len(passed) != 1)} passed")
    show_passed(passed)


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
                _say_if_empty(settings, [process.name for process in processes])
            _keep(supervisor, asked)
        finally:
            supervisor.stop()


def _keep(supervisor: Supervisor, asked: _Stop) -> None:
    with _live(supervisor.settings) as refresh:
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
def _live(settings: Settings) -> Iterator[view.Refresh]:
    if not sys.stdout.isatty():
        yield lambda: None
        return
    from rich.live import Live

    looking = _Looking(settings)
    with Live(auto_refresh=False) as live:
        yield lambda: live.update(view.table(looking.seen), refresh=True) if looking.seen else None


class _Looking:
    """Looks at the stack again and again in a thread of its own: a process that hangs must not hold up the
    supervisor, which restarts the others."""

    def __init__(self, settings: Settings) -> None:
        self.seen: dict[str, Any] | None = None
        self._settings = settings
        threading.Thread(target=self._run, name="looking", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.seen = view.look(self._settings)
            time.sleep(1.0)
