"""Writing checkpoints of a lane and moving its low-water mark (rule L9)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from adapters.clock import now_ms
from adapters.errors import EmitError
from agents.runner import output
from pipeline.lane.checkpoint import Snapshot, snapshot, stream, worth_it
from schemas import metrics, topics

if TYPE_CHECKING:
    from agents.lane.owner import LaneOwner

log = logging.getLogger(__name__)

ORPHANS_KEPT_MS = 3_600_000
"""How long a lost owner's RESULT is still waited for."""

EVERY_SECONDS = 10.0
"""Between the beginnings of two checkpoints at least: at full rate a small minimum alone would mean one a second."""

MoveMark = Callable[[int, int], None]
"""(lane, offset): let the consumer commit up to the offset, and delete the records below it."""


class Checkpointer:
    """One lane's checkpoints."""

    def __init__(self, owner: LaneOwner, minimum: int) -> None:
        self._owner = owner
        self._minimum = minimum
        self._task: asyncio.Task[None] | None = None
        self._begun = -EVERY_SECONDS
        self.log_bytes = 0
        """Bytes of the log since the low-water mark, as far as it has been read, without checkpoints."""
        self.move_mark: MoveMark | None = None

    def begin(self, offset: int) -> None:
        """The log is read from `offset`."""
        self.log_bytes = 0

    async def maybe(self) -> None:
        """Begin a checkpoint if it is worth it and none is under way."""
        busy = self._task is not None and not self._task.done()
        rested = monotonic() - self._begun >= EVERY_SECONDS
        if not busy and rested and worth_it(self.log_bytes, self._owner.state.live_bytes, self._minimum):
            self._begun = monotonic()
            self._task = asyncio.create_task(self._write(), name=f"lane-{self._owner.lane}-checkpoint")

    async def _write(self) -> None:
        owner = self._owner
        epoch, log_bytes = owner.state.epoch, self.log_bytes
        plain = snapshot(owner.state, now_ms() - ORPHANS_KEPT_MS)
        # The statuses that follow from the records below the mark are nowhere else: they must be safe first.
        await owner.told()
        await owner.outbox.drained()
        written = await self._written(plain, epoch)
        if not written:
            return
        if owner.active and owner.state.epoch == epoch and self.move_mark is not None:
            self.move_mark(owner.lane, plain.as_of)
            self.log_bytes -= log_bytes
            metrics.LANE_CHECKPOINTS.labels(owner.lane).inc()
            log.info("lane %s: checkpoint as of %s in %s parts", owner.lane, plain.as_of, written)

    async def _written(self, plain: Snapshot, epoch: int) -> int:
        """Write the parts one after another; how many, 0 where one could not be written."""
        records = stream(plain, epoch)
        written = 0
        while (record := await asyncio.to_thread(next, records, None)) is not None:
            one = output(topics.LANES, record, partition=self._owner.lane)
            try:
                await self._owner.send(one)
            except EmitError as error:
                # Torn: nobody loads it, the mark stays where it is, and the next attempt writes a new one.
                log.warning("lane %s: checkpoint not written: %s", self._owner.lane, error)
                return 0
            written += 1
        return written
