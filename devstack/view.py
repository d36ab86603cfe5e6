"""What the stack looks like: for the live table of `up` and for `status`.

The supervisor records which processes it started and which became ready; whether they still are, they say themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from adapters.clock import now_ms
from adapters.settings import Settings
from devstack import record
from devstack.readiness import ask_all

if TYPE_CHECKING:
    from rich.table import Table

Refresh = Callable[[], None]


def gather(data: Path) -> dict[str, Any] | None:
    """The record with each process's resident memory (bytes) and whether it lives; None when no stack runs."""
    data = data.absolute()
    recorded = record.read(data)
    if recorded is None or not record.Lock(data).is_held() or record.alive(recorded) is None:
        return None
    for entry in recorded["processes"]:
        process = record.alive(entry)
        entry["rss"] = _memory(process) if process else 0
        if process is None and entry["pid"]:
            entry["state"] = "ended"
    return recorded


def look(settings: Settings) -> dict[str, Any] | None:
    """What `gather` gives, with what each process says now: `ready`, `not_ready`, `limited`, and state `not ready`
    where it was ready before. Takes a few seconds if a process hangs."""
    recorded = gather(settings.data)
    if recorded is None:
        return None
    answers = ask_all(settings, [entry["name"] for entry in recorded["processes"] if entry["pid"]])
    for entry in recorded["processes"]:
        now = answers.get(entry["name"])
        entry["ready"] = entry["state"] == "ready" and now is not None and now.ready
        entry["answers"] = now is not None and now.answers
        entry["not_ready"] = [] if now is None else now.not_ready
        entry["limited"] = [] if now is None else now.limited
        if entry["state"] == "ready" and not entry["ready"]:
            entry["state"] = "not ready"
    return recorded


def table(entries: dict[str, Any]) -> Table:
    """One row per process."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table  # a fifth of a second that `down` and `status --json` need not spend

    title = f"Longwave on {entries['data']}: {entries['state']}"
    # 80 columns are enough for it.
    shown = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for name, justify in _COLUMNS.items():
        shown.add_column(name, justify=justify, no_wrap=name == "process", overflow="fold")
    for entry in entries["processes"]:
        shown.add_row(
            entry["name"],
            f"[{'green' if entry['state'] == 'ready' else 'yellow'}]{entry['state']}[/]",
            str(entry["pid"] or "-"),
            ", ".join(map(str, entry["ports"])),
            _span(now_ms() - entry["since"]),
            f"{entry.get('rss', 0) >> 20} MB",
            str(entry["restarts"]),
            _exit(entry["last_exit"]),
        )
    return shown


_COLUMNS: dict[str, Any] = {
    "process": "left",
    "state": "left",
    "pid": "right",
    "ports": "left",
    "for": "right",
    "memory": "right",
    "restarts": "right",
    "exit": "left",
}


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _exit(code: int | None) -> str:
    from devstack.supervisor import exit_text

    return exit_text(code)


def _span(milliseconds: int) -> str:
    seconds = max(0, milliseconds // 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
