"""Rate limits in segments.

Two rules work together:
- `Pace` is GCRA (ITU-T I.371's generic cell rate algorithm, virtual scheduling): it spreads sending evenly and
  decides when the next slice may be picked.
- `Window` is a sliding-window log: it bounds the segments in every window of one second exactly. GCRA alone cannot:
  it admits limit·(1 + tolerance) plus one slice in a second, and the promise is "never above".

Times are seconds on any monotonic clock; the caller gives them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 1.0
"""Seconds over which limits are stated."""
ARRIVAL_SPREAD = 0.015
"""A slice is charged at the time of its answer, but at most this long (s) after it was written: arrival lies in
between. A wider spread would cost rate with slow aggregators, a narrower one risks the limit when we are stalled."""
GUARD = 0.002
"""Added to the window (s), so that clocks that read a little differently do not turn 1.000 s into 0.999 s."""
TOLERANCE = 0.1
"""Burst (s of rate) that `Pace` lets catch up after a stall."""


@dataclass(slots=True)
class Pace:
    """GCRA for picking slices: `rate` in segments per second."""

    rate: float
    _tat: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next slice may be picked (0: now)."""
        return max(0.0, self._tat - TOLERANCE - now)

    def spend(self, now: float, segments: int) -> None:
        self._tat = max(self._tat, now) + segments / self.rate

    def refund(self, segments: int) -> None:
        """A picked slice was not submitted."""
        self._tat -= segments / self.rate


@dataclass(slots=True, eq=False)
class Charge:
    """Segments of one slice in a window's log, from `since` (s) until `since` + its window."""

    since: float
    segments: int


@dataclass(slots=True)
class Window:
    """Sliding-window log: at most `limit` segments in any one second, as the aggregator sees them."""

    limit: float
    _log: deque[Charge] = field(default_factory=deque)
    _used: int = 0

    def start_full(self, now: float) -> None:
        """Assume that somebody else has just used the whole limit (a new owner starts with no burst credit)."""
        self._log.append(Charge(now, max(1, int(self.limit))))
        self._used += self._log[-1].segments

    def wait(self, now: float, segments: int) -> float:
        """Seconds until a slice of `segments` fits (0: now). A single message larger than the limit fits into an
        empty window and then keeps it closed for as long as its segments take at the limit."""
        self._forget(now)
        free = max(self.limit, segments) - self._used
        if free >= segments:
            return 0.0
        for charge in self._log:
            free += charge.segments
            if free >= segments:
                return max(0.0, charge.since + self._span(charge) - now)
        return 0.0

    def spend(self, now: float, segments: int) -> Charge:
        charge = Charge(now, segments)
        self._log.append(charge)
        self._used += segments
        return charge

    def settle(self, charge: Charge, sent: float, answered: float) -> None:
        """The answer came: the slice arrived between `sent` and `answered`."""
        charge.since = max(charge.since, min(answered, sent + ARRIVAL_SPREAD))

    def _span(self, charge: Charge) -> float:
        return max(WINDOW, charge.segments / self.limit) + GUARD

    def _forget(self, now: float) -> None:
        while self._log and self._log[0].since + self._span(self._log[0]) <= now:
            self._used -= self._log.popleft().segments


def slice_segments(rate: float) -> int:
    """Segments in one slice at most: a tenth of a second of the rate, at least one (rule L6)."""
    return max(1, int(rate / 10))
