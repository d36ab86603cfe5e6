"""The submission journals of a worker process: what it leaves, and what it reports of the process before it."""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters.clock import now_ms
from adapters.errors import EmitError, LongwaveError
from adapters.journal import SUFFIX, Journal, Proof, proof
from adapters.kafka.producer import Producer
from schemas import topics
from schemas.lane import SubmissionJournal
from schemas.wire import encode

log = logging.getLogger(__name__)

LOCK: Final = "lock"


class Journals:
    """The journals in `folder`, which belongs to this worker alone. Whoever holds the lock is the only process that
    writes them: the one before is dead."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._worker = worker
        self._lock: int | None = None

    def begin(self) -> list[Proof]:
        """Take the folder over; what the process before this one left.

        Raises:
            LongwaveError: another process has the folder.
            OSError: it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.end()
            raise LongwaveError(
                f"another process works in {self._folder.parent}: end it, or give {self._worker} a data folder of "
                "its own"
            ) from error
        proofs: list[Proof] = []
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            left = proof(path)
            if left is None:
                log.info("submission journal %s is torn, or of another boot or version: it proves nothing", path.name)
                path.unlink()
            else:
                proofs.append(left)
        for path in self._folder.glob("*.new"):
            path.unlink()
        return proofs

    async def report(self, proofs: Sequence[Proof], producer: Producer) -> None:
        """Write to the lanes what the process before did not hand over, and forget it. What the broker does not take
        is reported at the next start."""
        for left in proofs:
            record = SubmissionJournal(worker=self._worker, nonces=left.nonces, submitted=left.submitted, at=now_ms())
            try:
                await producer.send(topics.LANES.name, encode(record), partition=left.lane)
            except EmitError as error:
                log.warning("lane %s does not learn what the process before submitted: %s", left.lane, error)
                continue
            left.path.unlink(missing_ok=True)

    def open(self, lane: int) -> Journal:
        """A journal for a lane that this process was given."""
        return Journal(self._folder / f"{lane}-{uuid.uuid4().hex}{SUFFIX}")

    def end(self) -> None:
        """This process no longer hands anything over."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
