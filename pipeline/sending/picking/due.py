"""What becomes due in a lane by time alone."""

from __future__ import annotations

from pipeline.lane.scheduler import Key
from pipeline.lane.state import LaneState
from pipeline.lane.status import Part, status_of
from schemas.status import StatusChunk

RELEASED_AT_ONCE = 10_000
"""Recipients after which an owner looks at its other work: a campaign's millions may be due at one instant."""


def release_due(state: LaneState, now: int, most: int | None = None) -> list[StatusChunk]:
    """Let what is due at `now` (ms) become queued; the statuses that say so (`queued`, of those that waited). With
    `most`, the rest keeps waiting once so many recipients were released, and stays the next that is due."""
    by_key: dict[Key, list[Part]] = {}
    for key, span in state.table.release(now, most):
        if span.attempt or span.due > state.work(span.chunk).at:
            by_key.setdefault(key, []).append(Part((span.chunk, span.start, span.stop), span.attempt, "queued"))
    return [chunk for key, parts in by_key.items() for chunk in status_of(state, key, parts, now)]
