"""The line of slices whose INTENT was read back and that are not handed over yet. In order, each waits for the limit,
then for a connection, then for the last check."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from pipeline.lane.state import Flight
from pipeline.limits.rate import Queue, Window
from pipeline.sending.effects import Prepared


@dataclass(frozen=True, slots=True)
class QueuedSlice:
    """A slice in the line."""

    flight: Flight
    prepared: Prepared[Any]
    due: int
    """When its first recipient was to go (ms)."""


class Line:
    """One lane's line. Only its head waits for anything; times are seconds on a steady clock."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._queue = Queue()
        self._slices: deque[QueuedSlice] = deque()
        self._until: float | None = None
        """When to check whether the limit has room for the head; None: not checked yet."""
        self._waited = 0.0
        """Seconds that the head has waited for the limit."""
        self.connecting = False
        """Whether a connection was asked for, for the head."""
        self.connected = False
        """Whether the head has one."""
        self.segments = 0
        """Segments of all slices in line."""

    @property
    def count(self) -> int:
        """Slices in line."""
        return len(self._slices)

    @property
    def head(self) -> QueuedSlice | None:
        """The slice that goes next."""
        return self._slices[0] if self._slices else None

    @property
    def most(self) -> int:
        """Maximum slices that can go before their INTENT is stale, with those whose INTENT is not read back yet."""
        return self._queue.most

    def join(self, flight: Flight, prepared: Prepared[Any], due: int) -> None:
        """Add a slice at the end of the line; its first recipient was to go at `due` (ms)."""
        self._slices.append(QueuedSlice(flight, prepared, due))
        self.segments += prepared.segments

    def pause(self, now: float) -> float:
        """Seconds until the limit has room for the head at the earliest (0: now); ask again after that."""
        if self.connecting:
            return 0.0
        if self._until is not None and now < self._until:
            return self._until - now
        pause = self._window.wait(now, self._slices[0].prepared.segments)
        self._until = now + pause
        self._waited += pause
        return pause

    def leave(self, now: float, on_the_way: int) -> None:
        """Remove the head. `on_the_way`: INTENTs that are written and not read back."""
        head = self._slices.popleft()
        self.segments -= head.prepared.segments
        self._queue.left(now, self._waited, more=bool(self._slices or on_the_way))
        self._until, self._waited = None, 0.0
        self.connecting = self.connected = False
