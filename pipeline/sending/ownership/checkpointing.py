"""When a lane's owner writes a checkpoint, and when its low-water mark moves (rule L9)."""

from __future__ import annotations

from typing import Final

from pipeline.lane.checkpoint import snapshot, worth_it
from pipeline.lane.state import LaneState
from pipeline.sending.effects import Checkpoint, Instant, Log, MoveMark, Plain

ORPHANS_KEPT_MS: Final = 3_600_000
"""How long a checkpoint keeps the flights of a lost owner, whose RESULT may still come."""
EVERY_SECONDS: Final = 10.0
"""Least time between the starts of two checkpoints: at full rate a small minimum alone would mean one a second."""


class Checkpointing:
    """One lane's checkpoints. `minimum`: log size (bytes) above which one may be worthwhile."""

    def __init__(self, minimum: int) -> None:
        self._minimum = minimum
        self._is_busy = False
        self._begun = -EVERY_SECONDS
        self.log_bytes = 0
        """Bytes of the log since the low-water mark that have been read, without checkpoints."""

    def begin(self) -> None:
        """The log is read from a new beginning."""
        self.log_bytes = 0

    def on_time(self, state: LaneState, now: Instant) -> list[Plain]:
        """Begin a checkpoint if it is worth it and none is under way."""
        rested = now.seconds - self._begun >= EVERY_SECONDS
        if self._is_busy or not rested or not worth_it(self.log_bytes, state.live_bytes, self._minimum):
            return []
        self._is_busy, self._begun = True, now.seconds
        return [Checkpoint(snapshot(state, now.ms - ORPHANS_KEPT_MS), state.epoch, self.log_bytes)]

    def on_written(self, checkpoint: Checkpoint, parts: int, error: str, is_ours: bool) -> list[Plain]:
        """Process the end of a checkpoint: it was written in that many `parts`, or not (0) because of `error`.
        `is_ours`: whether the lane is still ours, by the same OWNER."""
        self._is_busy = False
        if not parts:
            # It is incomplete: nobody loads it, the mark stays where it is, and the next attempt writes a new one.
            return [Log("warning", f"checkpoint not written: {error}")]
        if not is_ours:
            return []
        self.log_bytes -= checkpoint.log_bytes
        as_of = checkpoint.snapshot.as_of
        return [MoveMark(as_of), Log("info", f"checkpoint as of {as_of} in {parts} parts")]
