"""Submission journals: files in which a worker process notes each INTENT before it hands it over.

When a process is killed, the kernel still has all that it wrote, so the process that is started in its place can
prove which INTENTs were never handed over (rule L4, docs/internals/lane.md). A machine that went down may have lost
the last notes: a journal counts only until the next boot.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

log = logging.getLogger(__name__)

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""Changes with each boot (proc_sys_kernel(5))."""
SUFFIX: Final = ".journal"
COMPACT_BYTES: Final = 1 << 20
"""A journal that has grown by this much is written again, with only what is still open."""
_VERSION: Final = "longwave submission journal 1"
_ENTRY: Final = struct.Struct("<cQ")
_EPOCH: Final = b"E"
_SUBMITTED: Final = b"S"


class Proof(NamedTuple):
    """What the journal of a dead process says: of the INTENTs of `epochs` in `lane`, only those at the offsets
    `submitted` may have been handed over."""

    path: Path
    lane: int
    epochs: list[int]
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
    header, _, entries = path.read_bytes().partition(b"\n")
    here = boot_id()
    lane = path.name.partition("-")[0]
    if not here or header != _header(here) or len(entries) % _ENTRY.size or not lane.isdecimal():
        return None
    noted = [*_ENTRY.iter_unpack(entries)]
    return Proof(
        path,
        int(lane),
        sorted({value for kind, value in noted if kind == _EPOCH}),
        sorted({value for kind, value in noted if kind == _SUBMITTED}),
    )


@dataclass(slots=True)
class _Noted:
    epochs: list[int]
    submitted: list[int]


class Journal:
    """The journal of one lane for as long as this process has it. Nothing may be handed over that `submit` did not
    return for."""

    def __init__(self, path: Path) -> None:
        """A new file at `path`. There is none where the system does not tell one boot from another, or where the file
        cannot be written: then nothing is proved."""
        self._path = path
        self._noted = _Noted([], [])
        self._size = 0
        self._file: int | None = None
        if boot_id():
            self._guarded_open()

    @property
    def epochs(self) -> list[int]:
        """The epochs as which this process has owned the lane."""
        return self._noted.epochs

    def _guarded_open(self) -> None:
        try:
            self._file = self._create(self._path)
        except OSError as error:
            log.warning("there is no submission journal %s: %s", self._path.name, error)
            self._path.unlink(missing_ok=True)

    def own(self, epoch: int) -> None:
        """From here on this process owns the lane as `epoch`.

        Raises:
            OSError: the journal can neither be written nor removed.
        """
        self._noted.epochs.append(epoch)
        self._append(_EPOCH, epoch)

    def submit(self, intent: int, is_open: Callable[[int], bool]) -> None:
        """The INTENT at this offset is about to be handed over. `is_open`: whether the RESULT of an INTENT has not
        been read yet; only those are kept when the journal is written again.

        Raises:
            OSError: the journal can neither be written nor removed, so the INTENT may not be handed over.
        """
        self._noted.submitted.append(intent)
        self._append(_SUBMITTED, intent)
        if self._size > COMPACT_BYTES:
            self._noted.submitted = [offset for offset in self._noted.submitted if is_open(offset)]
            self._guarded(self._write_again)

    def remove(self) -> None:
        """There is nothing left to prove."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the file for the process that comes after this one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, kind: bytes, value: int) -> None:
        self._guarded(lambda: self._write(_ENTRY.pack(kind, value)))

    def _guarded(self, write: Callable[[], None]) -> None:
        if self._file is None:
            return
        try:
            write()
        except OSError as error:
            # A journal with a note missing would prove what is not true; none proves nothing.
            log.warning("submission journal %s cannot be written and is removed: %s", self._path.name, error)
            self.remove()

    def _write(self, raw: bytes) -> None:
        assert self._file is not None
        if os.write(self._file, raw) != len(raw):
            raise OSError("the disk is full")
        self._size += len(raw)

    def _write_again(self) -> None:
        new = self._path.with_suffix(".new")
        old, self._file = self._file, self._create(new)
        assert old is not None
        os.close(old)
        entries = [(_EPOCH, epoch) for epoch in self._noted.epochs]
        entries += [(_SUBMITTED, offset) for offset in self._noted.submitted]
        self._write(b"".join(_ENTRY.pack(*entry) for entry in entries))
        new.replace(self._path)
        self._size = 0

    def _create(self, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)
        header = _header(boot_id()) + b"\n"
        if os.write(file, header) != len(header):
            os.close(file)
            raise OSError("the disk is full")
        return file


def _header(boot: str) -> bytes:
    return f"{_VERSION} {boot}".encode("ascii")
