"""The record of everything that arrived: `submissions.log`, append-only, read by tests and by the callbacks.

One entry per request: a header line "NANOSECONDS OUTCOMES LENGTH", then the request's body as it came, then a line
end. OUTCOMES has one letter per message, in the order of the body (see `ACCEPTED` and the others).

`append` makes one write to the operating system and returns after it: what was answered outlives `kill -9` of the
simulator (not a power cut; no fsync, because the disk is not what is being measured).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from loadtest.aggregator.batch import Batch, decode

LOG_NAME: Final = "submissions.log"

ACCEPTED: Final = ord("a")
HIT: Final = ord("h")
"""Processed before: the idempotency key caught it."""
THROTTLED: Final = ord("t")
LOST: Final = ord("x")
"""Arrived and was dropped unprocessed: an outage, a 500, a reset."""
REJECTED: Final = ord("0")
"""`REJECTED + i` stands for `script.REJECT_CODES[i]`."""


class Entry(NamedTuple):
    """One request of the record: bytes [start, end) of the file, when it arrived, and what became of it."""

    start: int
    end: int
    at: int
    """Nanoseconds since the epoch."""
    outcomes: bytes
    body: bytes

    def batch(self) -> Batch:
        return decode(self.body)


class Recorder:
    """Writes the record. One per data directory.

    Raises:
        BlockingIOError: another simulator has this data directory.
        OSError: it cannot be written.
    """

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._file = os.open(data / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._size = whole_entries(data)
        os.ftruncate(self._file, self._size)  # what a kill cut off was never answered

    def append(self, at: int, outcomes: bytes, body: bytes) -> None:
        """Record one request; returns when the operating system has all of it.

        Raises:
            OSError: the disk is full or broken; nothing of this request is left in the record.
        """
        entry = b"%d %b %d\n%b\n" % (at, outcomes, len(body), body)
        try:
            written = os.write(self._file, entry)
            while written < len(entry):
                written += os.write(self._file, entry[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(entry)

    def close(self) -> None:
        os.close(self._file)


def entries(data: Path, start: int = 0) -> Iterator[Entry]:
    """Whole entries from byte `start` (an entry's start or end) to the end of the record as it is now."""
    try:
        file = (data / LOG_NAME).open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        while header := file.readline():
            if not header.endswith(b"\n"):
                return
            at, outcomes, length = header.split(b" ")
            body = file.read(int(length) + 1)
            if len(body) <= int(length):
                return
            end = start + len(header) + len(body)
            yield Entry(start, end, int(at), outcomes, body[:-1])
            start = end


def whole_entries(data: Path) -> int:
    """Bytes of the record up to the end of its last whole entry."""
    end = 0
    for entry in entries(data):
        end = entry.end
    return end
