"""The virtual clock: time jumps to the next event; events of one instant happen in the order they were asked for."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Do = Callable[[], None]


class Clock:
    """Time in whole microseconds since the epoch, so that it is the same on every machine."""

    def __init__(self, start_ms: int) -> None:
        self.micros = start_ms * 1000
        self._events: list[tuple[int, int, Do]] = []
        self._asked = 0

    @property
    def ms(self) -> int:
        return self.micros // 1000

    @property
    def seconds(self) -> float:
        """Seconds, like a monotonic clock."""
        return self.micros / 1e6

    def after(self, seconds: float, do: Do) -> None:
        """Call `do` in so many seconds, rounded up to a microsecond."""
        self._push(self.micros + max(0, -int(-seconds * 1e6 // 1)), do)

    def at_ms(self, ms: int, do: Do) -> None:
        """Call `do` at `ms`, or at once if that is past."""
        self._push(max(self.micros, ms * 1000), do)

    def next_ms(self) -> int | None:
        """When the next event happens, None if there is none."""
        return self._events[0][0] // 1000 if self._events else None

    def step(self) -> None:
        """Jump to the next event."""
        at, _, do = heapq.heappop(self._events)
        self.micros = at
        do()

    def _push(self, micros: int, do: Do) -> None:
        self._asked += 1
        heapq.heappush(self._events, (micros, self._asked, do))
