"""Reading a lane's log from its low-water mark: what is skipped, what waits for a checkpoint, and what is missing."""

from __future__ import annotations

from typing import Final

from pipeline.lane.checkpoint import Loader, is_checkpoint
from pipeline.lane.state import LaneState
from schemas.lane import LANES, CheckpointPart

STUCK_SECONDS: Final = 5.0
"""How long a lane waits for records that its log has before it reads them again, the first time."""
LONGEST_STUCK_SECONDS: Final = 60.0

Raw = tuple[int, bytes | None]
"""Offset and bytes of a record."""


class Replay:
    """The position in one lane's log. Times are seconds on a steady clock."""

    def __init__(self) -> None:
        self.start: int | None = None
        """The first offset that was read."""
        self.next = 0
        self._read_at = 0.0
        self._patience = STUCK_SECONDS
        """Doubles each time: on a worker that is busy folding another lane's long log, reading again throws away what
        was fetched."""
        self._in_log = -1
        """Highest offset of a record of ours: the log has at least that many."""
        self._loader: Loader | None = None
        self._buffer: list[Raw] = []

    def assigned(self, now: float) -> None:
        """The lane is assigned to this worker, which reads its log from now on."""
        self._read_at = now
        self._patience = STUCK_SECONDS

    def wrote(self, offset: int, now: float) -> None:
        """The broker has put a record of ours at `offset`."""
        if self._in_log < self.next <= offset:
            # All was read until now: an idle lane has not waited for this record since the one before it.
            self._read_at = now
        self._in_log = max(self._in_log, offset)

    @property
    def has_written(self) -> bool:
        """Whether the broker has acknowledged a record of ours."""
        return self._in_log >= 0

    def is_known(self, offset: int, now: float) -> bool:
        """Whether the record at `offset` has been read before. After a rebalance everything since the mark comes
        again; that counts as progress."""
        is_read = self.start is not None and self.start <= offset < self.next
        if is_read:
            self._read_at = now
        return is_read

    def begins(self, offset: int) -> bool:
        """Whether reading starts anew at `offset`: it is the first record, or records are missing that another
        owner's checkpoint replaced, or the log is read again from before our start. Around a rebalance Faust may
        return records that it had fetched from the middle before it seeks to the start."""
        return self.start is None or offset != self.next

    def begin(self, offset: int) -> None:
        """Start anew at `offset`. A log that does not begin at 0 needs a checkpoint."""
        self.start = offset
        self._buffer = []
        self._loader = Loader(offset) if offset else None

    def advance(self, offset: int, now: float) -> None:
        """The record at `offset` was read."""
        self.next = offset + 1
        self._read_at = now
        self._patience = STUCK_SECONDS

    @property
    def is_loading(self) -> bool:
        """Whether records wait for a checkpoint."""
        return self._loader is not None

    def load(self, offset: int, raw: bytes) -> LaneState | None:
        """Keep a record until a checkpoint as of the start is complete; then return its state.

        Raises:
            DecodeError: garbage, or of an unknown form. The lane stays without an owner, and monitoring shows that.
        """
        assert self._loader is not None
        if not is_checkpoint(raw):
            # Kept as bytes: the hundreds of thousands of records that a busy lane has take gigabytes once decoded.
            self._buffer.append((offset, raw))
            return None
        part = LANES.decode(raw)
        state = self._loader.offer(part) if isinstance(part, CheckpointPart) else None
        if state is not None:
            self._loader = None
        return state

    def buffered(self) -> list[Raw]:
        """The records that waited for the checkpoint. The buffer is empty afterwards."""
        taken, self._buffer = self._buffer, []
        return taken

    def missing(self, now: float) -> bool:
        """Whether the log has had more records than we read for too long: what the consumer lost in a rebalance must
        be read again. The patience doubles each time."""
        if self._in_log < self.next or now - self._read_at <= self._patience:
            return False
        self._read_at = now
        self._patience = min(2 * self._patience, LONGEST_STUCK_SECONDS)
        return True

    @property
    def place(self) -> str:
        """For a log line: what is missing."""
        return f"the log goes to offset {self._in_log}, and what was read ends before {self.next}"
