"""The delay table of a lane: waiting spans by due time.

Finding what is due costs the same however many wait: spans of one due time share a bucket, and a heap holds only
the distinct due times. A span that leaves early (canceled, taken, deferred) is marked dead and dropped when its
turn comes, so that removal costs nothing either.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Span:
    """Positions [start, stop) of the WORK at offset `chunk` that wait until `due` (ms). `turn` counts how often
    they came back to wait."""

    chunk: int
    start: int
    stop: int
    due: int
    turn: int
    alive: bool = True
    released: bool = False

    @property
    def count(self) -> int:
        return self.stop - self.start


class DelayTable:
    """Spans that are not due yet, and per key (campaign and message) a queue of those that are."""

    def __init__(self) -> None:
        self._by_due: dict[int, list[tuple[tuple[str, int], Span]]] = {}
        self._dues: list[int] = []
        self._ready: dict[tuple[str, int], deque[Span]] = {}

    def add(self, key: tuple[str, int], span: Span) -> None:
        """Let a span wait."""
        bucket = self._by_due.get(span.due)
        if bucket is None:
            self._by_due[span.due] = bucket = []
            heapq.heappush(self._dues, span.due)
        bucket.append((key, span))

    def replace(self, key: tuple[str, int], old: Span, rest: Span) -> None:
        """Put `rest`, what is left of `old` after a part of it was taken, in the place of `old`."""
        if not old.released:
            self.add(key, rest)
            return
        rest.released = True
        self._ready.setdefault(key, deque()).appendleft(rest)

    def release(self, now: int) -> list[tuple[tuple[str, int], Span]]:
        """Move what is due at `now` (ms) to the ready queues; returns the spans moved, earliest first."""
        released = []
        while self._dues and self._dues[0] <= now:
            for key, span in self._by_due.pop(heapq.heappop(self._dues)):
                if span.alive:
                    span.released = True
                    self._ready.setdefault(key, deque()).append(span)
                    released.append((key, span))
        return released

    def next_due(self) -> int | None:
        """When the next span that is not released becomes due (ms); None when there is none."""
        while self._dues:
            bucket = self._by_due[self._dues[0]]
            if any(span.alive for _, span in bucket):
                return self._dues[0]
            del self._by_due[heapq.heappop(self._dues)]
        return None

    def ready(self, key: tuple[str, int]) -> Iterator[Span]:
        """The released spans of a key, oldest due first, dead ones left out."""
        return (span for span in self._ready.get(key, ()) if span.alive)

    def ready_keys(self) -> list[tuple[str, int]]:
        """Keys with something released."""
        for key in [key for key, spans in self._ready.items() if not self._trim(spans)]:
            del self._ready[key]
        return list(self._ready)

    def oldest_due(self) -> int | None:
        """Due time of the span that has been ready the longest (ms)."""
        dues = [spans[0].due for spans in self._ready.values() if self._trim(spans)]
        return min(dues, default=None)

    @staticmethod
    def _trim(spans: deque[Span]) -> bool:
        while spans and not spans[0].alive:
            spans.popleft()
        return bool(spans)
