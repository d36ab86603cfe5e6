"""Rate limits in segments.

Two rules work together:
- `Pace` is GCRA (ITU-T I.371's generic cell rate algorithm, virtual scheduling): it spreads sending evenly and
  decides when the next slice may be picked.
- `Window` is a sliding-window log: it bounds the segments in every window of one second exactly. GCRA alone cannot:
  it admits limit·(1 + tolerance) plus one slice in a second, and the promise is "never above".

Times are seconds on any monotonic clock; the caller gives them.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from itertools import takewhile
from math import ceil

WINDOW = 1.0
"""Seconds over which limits are stated."""
ARRIVAL_SPREAD = 0.25
"""A slice is charged at the time of its answer, but at most this long (s) after it was written: arrival lies in
between. A wider spread costs rate with slow aggregators, a narrower one the limit when either side stalls: 0.015 was
seen to let 115 of 100 segments arrive within a second on a loaded machine."""
GUARD = 0.002
"""Added to the window (s), so that clocks that read a little differently do not turn 1.000 s into 0.999 s."""
TOLERANCE = 0.1
"""Burst (s of rate) that `Pace` lets catch up after a stall."""
SHORTEST_AHEAD, LONGEST_AHEAD = 0.002, 0.1
"""Seconds at least and at most that an INTENT is written before the window has room for its slice."""
SLOW = 1000
"""Segments per second below which a lane is slow."""
SLOW_AHEAD = 0.05
"""Seconds at least that a slow lane writes an INTENT before the window has room for its slice. One that comes back
late costs it a large part of its limit, and so few messages are at stake when its worker dies."""
FIRST_TURN = 0.02
"""Seconds that a lane is taken to need for a slice before that is known."""
LONGEST_QUEUE = 0.5
"""Seconds that a slice waits behind others of its lane at most, the limit's time aside: far less than an INTENT may
be old when it is submitted."""
SHORTEST_WAIT = 0.001
"""The wait (s) that `Window.wait` returns if only an answer, not time, can make room."""


@dataclass(slots=True)
class Pace:
    """GCRA for picking slices: `rate` in segments per second."""

    rate: float
    _tat: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next slice may be picked (0: now)."""
        return max(0.0, self._tat - TOLERANCE - now)

    def spend(self, now: float, segments: int) -> None:
        """Charge a slice that was picked."""
        self._tat = max(self._tat, now) + segments / self.rate


@dataclass(slots=True, eq=False)
class Charge:
    """Segments of one slice. It is open until the answer: the slice may arrive at any time from `since` (s) on.
    Settled, it counts until `since` + its window."""

    since: float
    segments: int
    open: bool = True


@dataclass(slots=True)
class Window:
    """Sliding-window log: at most `limit` segments in any one second, as the aggregator sees them."""

    limit: float
    _open: set[Charge] = field(default_factory=set)
    _settled: list[tuple[float, int]] = field(default_factory=list)
    """(end, segments) of settled charges, earliest end first."""
    _used: int = 0

    def start_full(self, now: float) -> None:
        """Assume that somebody else has just used the whole limit (a new owner starts with no burst credit)."""
        self.settle(self.spend(now, max(1, int(self.limit))), now, now + ARRIVAL_SPREAD)

    def wait(self, now: float, segments: int) -> float:
        """Seconds until a slice of `segments` fits at the earliest (0: now). Ask again after that: slices that have
        no answer yet hold their place for longer. A single message larger than the limit fits into an empty window
        and then keeps it closed for as long as its segments take at the limit."""
        self._forget(now)
        free = max(self.limit, segments) - self._used
        if free >= segments:
            return 0.0
        ends = self._settled
        if self._open:
            ends = sorted(ends + [(max(now, self._end(c.since, c.segments)), c.segments) for c in self._open])
        for end, used in ends:
            free += used
            if free >= segments:
                return max(SHORTEST_WAIT if self._open else 0.0, end - now)
        return SHORTEST_WAIT

    def room_in(self, now: float, ahead: int, segments: int) -> float:
        """Seconds until there is room for `segments` behind the `ahead` segments that wait for the limit already (0:
        now), as far as that is certain: what has no answer yet holds its place. At least a whole window where those
        ahead have to be over first."""
        self._forget(now)
        needed = ahead + segments
        if ahead and needed > self.limit:
            return WINDOW
        free = max(self.limit, needed) - self._used
        if free >= needed:
            return 0.0
        for end, used in self._settled:
            free += used
            if free >= needed:
                return end - now
        return WINDOW

    def room(self, at: float, ahead: int) -> float:
        """Segments for which there is room at `at` (s), behind the `ahead` segments that wait for the limit already,
        as far as that is certain: what has no answer yet holds its place."""
        over = sum(segments for end, segments in takewhile(lambda settled: settled[0] <= at, self._settled))
        return max(0.0, self.limit - self._used - ahead + over)

    def spend(self, now: float, segments: int) -> Charge:
        """A slice is about to be written. It holds its place until `settle`, so settle it whatever happens."""
        charge = Charge(now, segments)
        self._open.add(charge)
        self._used += segments
        return charge

    def settle(self, charge: Charge, sent: float, answered: float) -> None:
        """Settle a charge that had arrived by `answered`: the time of its answer, or before it by as much as the
        aggregator says that it took. It arrived at most `ARRIVAL_SPREAD` after `sent`, a time at which it was
        certainly written. If that is not known, pass the time of the answer."""
        if not charge.open:
            return
        charge.open = False
        charge.since = max(charge.since, min(answered, sent + ARRIVAL_SPREAD))
        self._open.discard(charge)
        insort(self._settled, (self._end(charge.since, charge.segments), charge.segments))

    def cancel(self, charge: Charge) -> None:
        """Free the place of a slice that was certainly not written."""
        if charge.open:
            charge.open = False
            self._open.discard(charge)
            self._used -= charge.segments

    def _end(self, since: float, segments: int) -> float:
        return since + max(WINDOW, segments / self.limit) + GUARD

    def _forget(self, now: float) -> None:
        past = 0
        for end, segments in self._settled:
            if end > now:
                break
            self._used -= segments
            past += 1
        del self._settled[:past]


@dataclass(slots=True)
class ReadBack:
    """How long an INTENT takes from being written to being read back: Jacobson's estimator (RFC 6298), in seconds.

    An INTENT is written so long before the window has room for its slice. Later, the limit would not be used;
    earlier, a crash would leave people unknown who only waited for the limit.
    """

    rate: float
    """Segments per second of the lane."""
    _mean: float = 0.005
    _deviation: float = 0.0025

    def observe(self, seconds: float) -> None:
        """An INTENT was read back. One that took very long says nothing of the next: it was a stall."""
        seconds = min(seconds, LONGEST_AHEAD)
        self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
        self._mean += (seconds - self._mean) / 8

    @property
    def ahead(self) -> float:
        """How long before the window has room an INTENT is to be written."""
        shortest = SLOW_AHEAD if self.rate < SLOW else SHORTEST_AHEAD
        return min(max(self._mean + 4 * self._deviation, shortest), LONGEST_AHEAD)


@dataclass(slots=True)
class Queue:
    """How many slices may stand in line between the writing of their INTENT and their turn to be submitted, by how
    long the lane takes for each (Little's law).

    A lane that is slow because its machine is busy would else let a whole second's worth of small slices wait for so
    long that all of them are stale when their turn comes: it would be busy, and send nothing.
    """

    _mean: float = FIRST_TURN
    _left_at: float | None = None

    def left(self, now: float, waited: float, *, more: bool) -> None:
        """A slice left the line at `now`; `waited` seconds of its turn were the limit's. `more`: others stood behind
        it, so that the time until the next one leaves is what the lane takes for it."""
        if self._left_at is not None:
            seconds = min(max(0.0, now - self._left_at - waited), LONGEST_QUEUE)
            self._mean += (seconds - self._mean) / 8
        self._left_at = now if more else None

    @property
    def most(self) -> int:
        """How many slices may stand in line at a time."""
        return max(2, int(LONGEST_QUEUE / max(self._mean, 1e-6)))


def slice_segments(rate: float, room: float = 0.0) -> int:
    """Segments in one slice at most, where the limit has `room` for so many. Rule L6 allows a tenth of a second's.

    A window that is full but for less than a slice is what the limit loses: slow lanes take a hundredth, so that this
    is at most 1 % however the messages' segments add up; in fast ones the messages are small against a twentieth. A
    tenth would make the other lanes of the worker wait for their answers while so many texts are rendered.

    A slice costs its worker the same whatever it holds. A slow lane that has fallen behind its limit has room for
    more than a hundredth, and catches up with slices of up to a twentieth.
    """
    most = max(1, int(rate / 20))
    return max(1, int(rate / (20 if rate >= SLOW else 100)), int(min(room, most)))


def most_under_way(rate: float, batch: int, in_flight: int) -> int:
    """Messages that may be under way to an aggregator from senders of `rate` (segments/s) together: as many as use it
    with an aggregator that answers within a second, at most `in_flight` batches of `batch` messages."""
    return min(in_flight * batch, max(in_flight, ceil((WINDOW + ARRIVAL_SPREAD) * rate)))


def most_unknown(rate: float, batch: int, in_flight: int) -> int:
    """Messages at most that a lane's owner leaves unknown when it dies: those under way, for which the limit has room
    as long as they have no answer."""
    largest = min(batch, slice_segments(rate, room=rate))
    return min(most_under_way(rate, batch, in_flight), max(ceil(rate), largest))


def lane_share(sender: float, account: float, senders: float, lanes: int) -> float:
    """What a sender may submit in one of its `lanes` while all senders of its account, which may submit `senders`
    together, are busy: its own limit, and the `account`'s split over them by theirs."""
    return min(sender, account * sender / senders) / lanes


def sustained(limit: float, latency: float, under_way: int) -> float:
    """Segments per second that a lane keeps up with `limit`, when the aggregator answers after `latency` (s).

    A slice holds its place in the window from when it is written until a second after it may have arrived: after its
    answer, unless the aggregator says more. No more than `under_way` messages are under way at a time.
    """
    held = WINDOW + GUARD + min(latency, ARRIVAL_SPREAD)
    return min(limit / held, under_way / latency if latency > 0 else limit)
