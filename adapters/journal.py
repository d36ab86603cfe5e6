"""Submission journals: files in which a worker process notes each INTENT before it hands it over.

When a process is killed, the kernel still has all that it wrote, so the process that is started in its place can
prove which INTENTs were never handed over (rule L4, docs/internals/lane.md). A machine that went down may have lost
the last notes: a journal counts only until the next boot.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

log = logging.getLogger(__name__)

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""Changes with each boot (proc_sys_kernel(5))."""
SUFFIX: Final = ".journal"
COMPACT_BYTES: Final = 1 << 16
"""A journal that has grown by this much is written again, with only what is still open: what it says must fit into
one record."""
_VERSION: Final = "longwave submission journal 1"
_OWNER: Final = "owner"
_SUBMITTED: Final = "submitted"


class Proof(NamedTuple):
    """What the journal of a dead process says: of the INTENTs that it wrote to `lane` as the owners `nonces`, only
    those at the offsets `submitted` may have been handed over."""

    path: Path
    lane: int
    nonces: list[str]
    submitted: list[int]


def boot_id() -> str:
    """The id of this boot; "" where the system does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def proof(path: Path) -> Proof | None:
    """Read the journal of a dead process; None where it proves nothing: it is of another boot or version, or torn.

    Raises:
        OSError: it cannot be read.
    """
    header, _, text = path.read_bytes().decode("ascii", "replace").partition("\n")
    *lines, rest = text.split("\n")
    lane = path.name.partition("-")[0]
    notes = [line.partition(" ") for line in lines]
    nonces = [value for kind, _, value in notes if kind == _OWNER]
    submitted = [int(value) for kind, _, value in notes if kind == _SUBMITTED and value.isdecimal()]
    known = len(nonces) + len(submitted) == len(lines) and not rest and lane.isdecimal()
    return Proof(path, int(lane), nonces, submitted) if known and _is_of(header, boot_id()) else None


class Journal:
    """The journal of one lane for as long as this process has it. Nothing may be handed over that `submit` did not
    return for."""

    def __init__(self, path: Path) -> None:
        """A new file at `path`. There is none where the system does not tell one boot from another, or where the file
        cannot be written: then nothing is proved."""
        self._path = path
        self.nonces: list[str] = []
        """As which owners this process has had the lane."""
        self._submitted: list[int] = []
        self._size = 0
        self._file: int | None = None
        self._closed = False
        if boot_id():
            self._guarded(self._open)

    def own(self, nonce: str) -> None:
        """This process is about to claim the lane with the OWNER record `nonce`.

        Raises:
            OSError: the journal can neither be written nor removed.
        """
        self.nonces.append(nonce)
        self._append(f"{_OWNER} {nonce}\n")

    def submit(self, intent: int, is_open: Callable[[int], bool]) -> None:
        """The INTENT at this offset is about to be handed over. `is_open`: whether the RESULT of an INTENT has not
        been read yet; only those are kept when the journal is written again.

        Raises:
            OSError: the journal can neither be written nor removed, so the INTENT may not be handed over.
            ValueError: it was closed, so the INTENT may not be handed over either.
        """
        self._submitted.append(intent)
        self._append(f"{_SUBMITTED} {intent}\n")
        if self._size > COMPACT_BYTES:
            self._submitted = [offset for offset in self._submitted if is_open(offset)]
            self._guarded(self._write_again)

    def remove(self) -> None:
        """There is nothing to prove."""
        self._close_file()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the file for the process that comes after this one."""
        self._closed = True
        self._close_file()

    def _append(self, line: str) -> None:
        if self._closed:
            raise ValueError(f"the submission journal {self._path.name} is closed")
        if self._file is not None:
            self._guarded(lambda: self._write(line))

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            # A journal with a note missing would prove what is not true; none proves nothing.
            log.warning("submission journal %s cannot be written, so there is none: %s", self._path.name, error)
            self.remove()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = _create(self._path)
        self._write(_header(boot_id()))

    def _write_again(self) -> None:
        new = self._path.with_suffix(".new")
        self._close_file()
        self._file = _create(new)
        notes = [f"{_OWNER} {nonce}\n" for nonce in self.nonces]
        notes += [f"{_SUBMITTED} {offset}\n" for offset in self._submitted]
        self._write(_header(boot_id()) + "".join(notes))
        new.replace(self._path)
        self._size = 0

    def _write(self, text: str) -> None:
        assert self._file is not None
        raw = text.encode("ascii")
        if os.write(self._file, raw) != len(raw):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(raw)

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _create(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)


def _header(boot: str) -> str:
    return f"{_VERSION} {boot}\n"


def _is_of(header: str, boot: str) -> bool:
    return bool(boot) and f"{header}\n" == _header(boot)
