"""The delay table of a lane: waiting spans by due time.

Its cost is independent of how many wait: spans of one due time share a bucket, a heap holds only the distinct due
times, and a span is removed from its bucket or queue by its identity.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator, KeysView
from dataclasses import dataclass

from pipeline.lane.scheduler import Key
from schemas.lane import SenderId

QueueId = tuple[SenderId, Key]
"""A sender, and a message of a campaign that it sends."""


@dataclass(slots=True, eq=False)
class Span:
    """Positions [start, stop) of the WORK at offset `chunk` that wait until `due` (ms). `attempt` is how often they
    have waited before. `start` and `stop` move when a part of the span is taken."""

    chunk: int
    start: int
    stop: int
    due: int
    attempt: int

    @property
    def count(self) -> int:
        return self.stop - self.start


# Not a dict: looking for the first entry of one whose head was deleted again and again is quadratic.
_Queue = OrderedDict[Span, None]


class DelayTable:
    """Spans that are not due yet, and per sender and message a queue of those that are."""

    def __init__(self) -> None:
        self._by_due: dict[int, dict[Span, QueueId]] = {}
        self._dues: list[int] = []
        self._opened: dict[int, deque[Span]] = {}
        """Spans that an interrupted release has yet to move, by due time; some may have been removed since."""
        self._ready: dict[SenderId, dict[Key, _Queue]] = {}
        self._counts: dict[SenderId, int] = {}
        """Recipients in a sender's released spans."""
        self.ready_count = 0
        """Recipients in released spans."""

    def add(self, queue: QueueId, span: Span) -> None:
        """Add a span that waits until its due time."""
        bucket = self._by_due.get(span.due)
        if bucket is None:
            bucket = self._by_due[span.due] = {}
            heapq.heappush(self._dues, span.due)
        bucket[span] = queue

    def remove(self, queue: QueueId, span: Span) -> None:
        """Remove a waiting span, released or not."""
        bucket = self._by_due.get(span.due)
        if bucket is not None and bucket.pop(span, None) is not None:
            if not bucket:
                bucket.clear()  # an emptied dict keeps the memory of all that it held
            return
        sender, key = queue
        spans = self._ready[sender][key]
        del spans[span]
        self._count(sender, -span.count)
        if not spans:
            del self._ready[sender][key]
            if not self._ready[sender]:
                del self._ready[sender], self._counts[sender]

    def shrink(self, queue: QueueId, span: Span, start: int, stop: int) -> None:
        """Leave only [start, stop) of a span; it keeps its place in its queue."""
        if span in (self._queue(queue) or ()):
            self._count(queue[0], stop - start - span.count)
        span.start, span.stop = start, stop

    def split(self, queue: QueueId, span: Span, at: int) -> Span:
        """Cut a span in two at a position; returns the new span, from that position on."""
        rest = Span(span.chunk, at, span.stop, span.due, span.attempt)
        span.stop = at
        spans = self._queue(queue)
        if spans is None or span not in spans:
            self.add(queue, rest)
            return rest
        spans[rest] = None
        spans.move_to_end(rest, last=False)
        spans.move_to_end(span, last=False)
        return rest

    def release(self, now: int, most: int | None = None) -> list[tuple[QueueId, Span]]:
        """Move the spans that are due at `now` (ms) to the ready queues; returns them, earliest first. With `most` it
        stops once that many recipients were moved; the others stay due."""
        released: list[tuple[QueueId, Span]] = []
        moved = 0
        while (due := self.next_due()) is not None and due <= now and (most is None or moved < most):
            order = self._opened.setdefault(due, deque())
            if not order:
                order.extend(self._by_due[due])
            span = order.popleft()
            queue = self._by_due[due].pop(span, None)
            if queue is not None:
                self._make_ready(queue, span)
                moved += span.count
                released.append((queue, span))
        return released

    def _make_ready(self, queue: QueueId, span: Span) -> None:
        sender, key = queue
        spans = self._ready.setdefault(sender, {}).setdefault(key, OrderedDict())
        spans[span] = None
        self._count(sender, span.count)

    def next_due(self) -> int | None:
        """When the next span that is not released becomes due (ms); None when there is none."""
        while self._dues and not self._by_due[self._dues[0]]:
            due = heapq.heappop(self._dues)
            del self._by_due[due]
            self._opened.pop(due, None)
        return self._dues[0] if self._dues else None

    def ready(self, queue: QueueId) -> Iterator[Span]:
        """The released spans of a queue, in order of release."""
        return iter(self._queue(queue) or ())

    def ready_count_of(self, sender: SenderId) -> int:
        """Recipients in a sender's released spans."""
        return self._counts.get(sender, 0)

    def ready_senders(self) -> KeysView[SenderId]:
        """Senders that have released spans."""
        return self._ready.keys()

    def ready_keys(self, sender: SenderId) -> list[Key]:
        """Messages that have released spans of this sender."""
        return list(self._ready.get(sender, ()))

    def ready_queues(self) -> list[QueueId]:
        """All queues that have released spans."""
        return [(sender, key) for sender, queues in self._ready.items() for key in queues]

    def oldest_due(self) -> int | None:
        """Due time of the span that has been ready the longest (ms)."""
        queues = (queue for by_key in self._ready.values() for queue in by_key.values())
        return min((next(iter(queue)).due for queue in queues), default=None)

    def _count(self, sender: SenderId, more: int) -> None:
        self._counts[sender] = self._counts.get(sender, 0) + more
        self.ready_count += more

    def _queue(self, queue: QueueId) -> _Queue | None:
        return self._ready.get(queue[0], {}).get(queue[1])
