"""The supervisor as a process of its own: started and awaited, found again, stopped."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.terminal import UserError
from devstack import children, record, view
from devstack.plan import log_of

_STOP_TIMEOUT = 60.0


def start(data: Path, *options: str, follow: bool = False) -> float:
    """Start `longwave up OPTIONS` on `data` in the background and wait until all is ready; gives the seconds.

    With `follow` the stack goes when this process goes, however it goes; without, it stays.

    Raises:
        UserError: it did not come up; the text is its own message.
    """
    begin = time.monotonic()
    log = log_of(data.absolute(), "supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        before = out.tell()
        supervisor = subprocess.Popen(
            children.command("up", "--data", str(data), *options),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=children.environment() if follow else None,
            start_new_session=True,
        )
    while supervisor.poll() is None:
        recorded = record.read(data)
        if recorded and recorded["pid"] == supervisor.pid and recorded["state"] == "ready":
            return time.monotonic() - begin
        time.sleep(0.1)
    said = log.read_bytes()[before:].decode(errors="replace") if log.exists() else ""
    raise UserError(said.rpartition("error: ")[2].strip() or f"the supervisor ended; see {log}")


def stop(data: Path) -> bool:
    """Stop the stack on `data` and wait until all of it has ended; False when none ran.

    Raises:
        UserError: a supervisor runs but is not recorded, so its pid is not known to be ours.
    """
    data = data.absolute()
    lock = record.Lock(data)
    if not lock.is_held():
        return False
    recorded = record.read(data)
    process = record.alive(recorded) if recorded else None
    if recorded is None or process is None:
        raise UserError(
            f"{data} is in use, but {record.path(data)} does not name a process that is ours; wait or look"
        )
    process.terminate()
    if not _ended(recorded, _STOP_TIMEOUT):
        process.kill()
        _ended(recorded, 5.0)
        record.sweep(data)
        record.remove(data)
    return True


def _ended(recorded: dict[str, Any], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while record.alive(recorded) is not None:  # a zombie counts as ended: reaping it is its parent's affair
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_up(data: Path) -> bool:
    """True when a supervisor on `data` says that all is ready."""
    entries = view.gather(data)
    return entries is not None and entries["state"] == "ready"


def has_ended(data: Path) -> bool:
    """True when no supervisor runs on `data`, however it ended."""
    recorded = record.read(data)
    return recorded is None or record.alive(recorded) is None


def options(workers: int, only: Sequence[str] = (), script: Path | None = None) -> list[str]:
    """The options of `up` that carry these choices to the background."""
    words = ["--workers", str(workers), *(word for name in only for word in ("--only", name))]
    return [*words, "--script", str(script)] if script else words
