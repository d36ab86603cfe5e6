"""What the stack looks like: for the live table of `up` and for `status`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from adapters.clock import now_ms
from devstack import record

if TYPE_CHECKING:
    from rich.table import Table

Refresh = Callable[[], None]


def gather(data: Path) -> dict[str, Any] | None:
    """The record with each process's resident memory (bytes) and whether it lives; None when no stack runs."""
    data = data.absolute()
    found = record.read(data)
    if found is None or not record.Lock(data).is_held() or record.alive(found) is None:
        return None
    for entry in found["processes"]:
        process = record.alive(entry)
        entry["rss"] = _memory(process) if process else 0
        if process is None and entry["pid"]:
            entry["state"] = "ended"
    return found


def table(found: dict[str, Any]) -> Table:
    """One row per process."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table  # a fifth of a second that `down` and `status --json` need not spend

    title = f"Longwave on {found['data']}: {found['state']}"
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, justify in _COLUMNS.items():
        shown.add_column(name, justify=justify, no_wrap=name == "process", overflow="fold")
    for entry in found["processes"]:
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
    "last exit": "left",
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
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
