"""What becomes due in a lane by time alone."""

from __future__ import annotations

from pipeline.lane_state import LaneState
from pipeline.lane_status import Part, status_of
from pipeline.scheduler import Key
from schemas.status import StatusChunk


def release_due(state: LaneState, now: int) -> list[StatusChunk]:
    """Let what is due at `now` (ms) take its turn; the statuses that say so (`queued`, of those that waited)."""
    by_key: dict[Key, list[Part]] = {}
    for key, span in state.table.release(now):
        if span.turn or span.due > state.work(span.chunk).at:
            by_key.setdefault(key, []).append(Part((span.chunk, span.start, span.stop), span.turn, "queued"))
    return [chunk for key, parts in by_key.items() for chunk in status_of(state, key, parts, now)]
