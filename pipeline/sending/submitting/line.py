"""The line of slices whose INTENT was read back and that are not handed over yet. In order, each waits for its
limits, then for a connection, then for the last check. What one INTENT names stands in line, and goes, together."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.lane.state import Flight
from pipeline.limits.rate import Queue
from pipeline.sending.effects import Prepared
from pipeline.sending.senders.flow import Flow, Share


@dataclass(frozen=True, slots=True)
class QueuedFlight:
    """A flight in the line."""

    flight: Flight
    prepared: Prepared[Any]
    shares: Sequence[Share]
    """The limits that it uses, of its sender and account."""
    due: int
    """When its first recipient was to go (ms)."""


@dataclass(frozen=True, slots=True)
class QueuedSlice:
    """The flights of one INTENT."""

    intent: int
    flights: Sequence[QueuedFlight]
    messages: int
    shares: Sequence[Share]
    """What they use of each limit together."""


def slice_of(intent: int, flights: Sequence[QueuedFlight]) -> QueuedSlice:
    """The flights of an INTENT as they stand in line."""
    used: dict[Flow, int] = {}
    for flight in flights:
        for flow, segments in flight.shares:
            used[flow] = used.get(flow, 0) + segments
    messages = sum(len(flight.prepared.numbers) for flight in flights)
    return QueuedSlice(intent, flights, messages, list(used.items()))


class Line:
    """One channel's line. Only its head waits for anything; times are seconds on a steady clock."""

    def __init__(self) -> None:
        self._queue = Queue()
        self._slices: deque[QueuedSlice] = deque()
        self._until: float | None = None
        """When to check whether the limits have room for the head; None: not checked yet."""
        self._waited = 0.0
        """Seconds that the head has waited for the limits."""
        self.connecting = False
        """Whether a connection was asked for, for the head."""
        self.connected = False
        """Whether the head has one."""
        self.messages = 0
        """Messages of all slices in line."""

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

    def join(self, slice_: QueuedSlice) -> None:
        """Add a slice at the end of the line."""
        self._slices.append(slice_)
        self.messages += slice_.messages
        for flow, segments in slice_.shares:
            flow.ahead += segments

    def pause(self, now: float) -> float:
        """Seconds until the limits have room for the head at the earliest (0: now); ask again after that. While it
        gets a connection it is not asked; once it has one, another line may have used up a limit that they share."""
        if self.connecting and not self.connected:
            return 0.0
        if self._until is not None and now < self._until:
            return self._until - now
        pause = max(flow.window.wait(now, segments) for flow, segments in self._slices[0].shares)
        self._until = now + pause
        self._waited += pause
        return pause

    def leave(self, now: float, on_the_way: int) -> None:
        """Remove the head. `on_the_way`: INTENTs that are written and not read back."""
        head = self._slices.popleft()
        self.messages -= head.messages
        for flow, segments in head.shares:
            flow.ahead -= segments
        self._queue.left(now, self._waited, more=bool(self._slices or on_the_way))
        self._until, self._waited = None, 0.0
        self.connecting = self.connected = False
