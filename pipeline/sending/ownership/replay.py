"""Reading a lane's log from its low-water mark: what is skipped, what waits for a checkpoint, and what is missing."""

from __future__ import annotations

from typing import Final

from pipeline.lane.checkpoint import Loader, is_checkpoint
from pipeline.lane.state import LaneState
from schemas.lane import LANES, CheckpointPart

STUCK_SECONDS: Final = 5.0
"""How long a lane waits for records that its log has before it has them read again, the first time."""
LONGEST_STUCK_SECONDS: Final = 60.0

Raw = tuple[int, bytes | None]
"""Offset and bytes of a record."""


class Replay:
    """The place in one lane's log. Times are seconds on a steady clock."""

    def __init__(self) -> None:
        self.start: int | None = None
        """The first offset that was given."""
        self.next = 0
        self._read_at = 0.0
        self._patience = STUCK_SECONDS
        """Doubles with each reading again: on a worker that folds another lane's long log meanwhile, each one throws
        away what was fetched."""
        self._in_log = -1
        """Highest offset that the broker gave to a record of ours: the log has at least that many."""
        self._loader: Loader | None = None
        self._buffer: list[Raw] = []

    def assigned(self, now: float) -> None:
        """The lane is assigned to this worker: its log comes from now on."""
        self._read_at = now
        self._patience = STUCK_SECONDS

    def wrote(self, offset: int) -> None:
        """The broker has put a record of ours at `offset`."""
        self._in_log = max(self._in_log, offset)

    @property
    def has_written(self) -> bool:
        """Whether the broker has taken a record of ours."""
        return self._in_log >= 0

    def is_known(self, offset: int, now: float) -> bool:
        """Whether the record at `offset` has been read. After a rebalance all since the mark comes again: that is not
        standing still."""
        known = self.start is not None and self.start <= offset < self.next
        if known:
            self._read_at = now
        return known

    def begins(self, offset: int) -> bool:
        """Whether the log is read from a new beginning at `offset`: it is the first record, or records are missing
        that somebody else's checkpoint replaced, or the log is read again from before our start. Around a rebalance
        Faust may hand out what it had fetched from the middle before it seeks to the beginning."""
        return self.start is None or offset != self.next

    def begin(self, offset: int) -> None:
        """Read from a new beginning. A log that does not begin at 0 needs a checkpoint."""
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
        """Keep a record until a checkpoint as of the start is whole; then its state.

        Raises:
            DecodeError: garbage, or not of a form that we understand. The lane stays without an owner, visibly.
        """
        assert self._loader is not None
        if not is_checkpoint(raw):
            # Kept as bytes: decoded, the hundred thousands that a busy lane has since its mark take gigabytes.
            self._buffer.append((offset, raw))
            return None
        part = LANES.decode(raw)
        state = self._loader.offer(part) if isinstance(part, CheckpointPart) else None
        if state is not None:
            self._loader = None
        return state

    def buffered(self) -> list[Raw]:
        """The records that waited for the checkpoint; they wait no more."""
        taken, self._buffer = self._buffer, []
        return taken

    def missing(self, now: float) -> bool:
        """Whether the log has more than we have been given for too long: whatever a rebalance made the consumer lose
        is to be read again. Ask again later: each time the patience doubles."""
        if self._in_log < self.next or now - self._read_at <= self._patience:
            return False
        self._read_at = now
        self._patience = min(2 * self._patience, LONGEST_STUCK_SECONDS)
        return True

    @property
    def place(self) -> str:
        """For a log line: how far the log goes, and how far it was read."""
        return f"its log has {self._in_log}, read up to {self.next}"
