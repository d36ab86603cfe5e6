"""The data directory: one process at a time, and a place for large bodies."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from adapters.private_files import ensure_password, private_folder
from adapters.settings import LOCAL_PASSWORDS


class DataDirectoryTaken(Exception):
    """Another process serves the directory."""


class DataDirectory:
    """`root`/LOCK (flock, so it ends with the process), `root`/engine (ClickHouse's files), `root`/spool, passwords.

    `keep_free` bytes of the disk are never used: chDB 26.9 takes no notice when write(2) fails, and would
    acknowledge a cut-off part, so the disk must not fill up. A tenth of the disk, at most 256 MiB, if not given.
    """

    def __init__(self, root: Path, keep_free: int | None = None) -> None:
        private_folder(root)
        self.keep_free = min(256 << 20, shutil.disk_usage(root).total // 10) if keep_free is None else keep_free
        self.root = root
        self.engine = root / "engine"
        self.spool = root / "spool"
        self.empty = root / "empty"
        self._lock = _lock(root / "LOCK")
        self.spool.mkdir(exist_ok=True)
        for left in self.spool.iterdir():
            left.unlink()

    def passwords(self) -> dict[str, str]:
        """Of the users; made with the folder."""
        return {user: ensure_password(self.root / name) for user, name in LOCAL_PASSWORDS.items()}

    def nearly_full(self) -> bool:
        """Whether something else has eaten into the space kept free, so that writes may have failed."""
        return shutil.disk_usage(self.root).free < self.keep_free // 2

    def named(self) -> IO[bytes]:
        """A new spool file; whoever takes it removes it (`remove`)."""
        return tempfile.NamedTemporaryFile(dir=self.spool, prefix="body-", delete=False, buffering=0)

    def nameless(self) -> IO[bytes]:
        """A spool file that goes with its last handle."""
        return tempfile.TemporaryFile(dir=self.spool, buffering=0)

    def close(self) -> None:
        """Let the next process have the directory."""
        os.close(self._lock)


def remove(path: str) -> None:
    """Remove a spool file that may be gone already."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise DataDirectoryTaken(
            f"the data directory {path.parent} is served by another process (pid {holder}): "
            "stop that one (longwave down) or choose another directory"
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle
