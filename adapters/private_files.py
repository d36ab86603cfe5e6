"""Folders and files that only this user may read: local data hold people's numbers, and the local passwords."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER: Final = 0o700
FIRST_KEY: Final = "api-key"
"""File of the data folder with the first key of the API, which may do everything."""
OTHERS: Final = 0o077
"""The umask of processes that write into a data folder."""


def private_folder(path: Path) -> None:
    """Make a folder, and parents that are missing, readable by this user only.

    A folder that is there already is closed too, unless others share it: it belongs to somebody else, everybody may
    write there, or it is the home or working directory.

    Raises:
        OSError: it cannot be made.
    """
    path.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    status = path.stat()
    shared = status.st_mode & (stat.S_ISVTX | stat.S_IWOTH) or path.resolve() in (Path.home(), Path.cwd())
    if status.st_uid == os.getuid() and not shared and status.st_mode & OTHERS:
        path.chmod(FOLDER)


def ensure_password(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
    """The password in a file of mode 0600; one that `make` gives (random text) is put there where there is none. Safe
    for several processes.

    Raises:
        OSError: the file cannot be made or read.
    """
    if not path.exists():
        private_folder(path.parent)
        _make(path, make())
    return read_password(path)


def read_password(path: Path) -> str:
    """The password in a file, "" where there is no such file.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _make(path: Path, password: str) -> None:
    # mkstemp gives 0600; a link into place is atomic, and the first of two processes wins.
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(password + "\n")
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
    finally:
        os.unlink(fresh)
