"""Releases the recipients of a lane that have become due."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.lane.scheduler import Key
from pipeline.lane.state import LaneState
from pipeline.lane.status import Part, status_of
from schemas.lane import SenderId
from schemas.status import StatusChunk

RELEASED_AT_ONCE = 10_000
"""Recipients that are released in one go; then an owner does its other work. Millions may be due at one instant."""


def release_due(
    state: LaneState, now: int, released: Callable[[SenderId], None], most: int | None = None
) -> list[StatusChunk]:
    """Release the recipients that are due at `now` (ms), telling `released` their senders; returns the `queued`
    statuses of those that waited. With `most` it stops once that many recipients were released; the others stay
    due."""
    by_key: dict[Key, list[Part]] = {}
    for queue, span in state.table.release(now, most):
        released(queue[0])
        if span.attempt or span.due > state.work(span.chunk).at:
            by_key.setdefault(queue[1], []).append(Part((span.chunk, span.start, span.stop), span.attempt, "queued"))
    return [chunk for key, parts in by_key.items() for chunk in status_of(state, key, parts, now)]
