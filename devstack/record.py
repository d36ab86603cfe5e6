"""DATA/supervisor.json and its lock: who runs the stack on this data, readable from another terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO, Any

import orjson
import psutil

from adapters.private_files import private_folder
from adapters.terminal import UserError


def path(data: Path) -> Path:
    """The record of the supervisor on `data`."""
    return data / "supervisor.json"


def read(data: Path) -> dict[str, Any] | None:
    """The last record, whether or not its supervisor still runs."""
    try:
        document: dict[str, Any] = orjson.loads(path(data).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return document


def write(data: Path, record: dict[str, Any]) -> None:
    """Replace the record at one stroke."""
    fresh = path(data).with_suffix(".json.new")
    fresh.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    fresh.replace(path(data))


def remove(data: Path) -> None:
    """After a clean stop nothing is recorded."""
    path(data).unlink(missing_ok=True)


class Lock:
    """Held by the supervisor while it lives; the kernel lets go of it however it ends, so it is never stale."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            UserError: another supervisor has it (which one), or the folder cannot be written.
        """
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            held = read(self._data)
            who = f"pid {held['pid']}" if held else "another process"
            raise UserError(
                f"a stack on {self._data} is already run by {who}; see `longwave status`, stop it with "
                "`longwave down`, or use another folder with --data (and other ports)"
            ) from None
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """True while some supervisor lives on this data."""
        if not self._name.is_file():
            return False
        with self._open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def _name(self) -> Path:
        return self._data / "supervisor.lock"

    def _open(self) -> IO[str]:
        try:
            private_folder(self._data)
            return self._name.open("a")
        except OSError as error:
            raise UserError(f"cannot write to {self._data}: {error.strerror}; set `data` (LONGWAVE_DATA)") from error


def alive(entry: dict[str, Any]) -> psutil.Process | None:
    """The recorded process, if that pid is still the same process and not a later one with its number."""
    if not entry.get("pid"):
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(entry["pid"])
        # Linux gives the boot time in whole seconds and may correct it, so the sum moves a little.
        same = abs(process.create_time() - entry["created"]) < 2
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def sweep(data: Path, patience: float = 3.0) -> list[int]:
    """End what an earlier supervisor on `data` left (only while holding the lock); gives the pids killed.

    On Linux the kernel has killed them already and this only waits until they are gone.
    """
    left = [survivor for entry in (read(data) or {}).get("processes", []) if (survivor := alive(entry))]
    _, stubborn = psutil.wait_procs(left, timeout=patience)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=patience)
    return [process.pid for process in stubborn]


def of_this_process() -> dict[str, Any]:
    """pid and creation time, so that nobody mistakes a later process with our pid for us."""
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}
