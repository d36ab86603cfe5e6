"""How late a recipient is because of downtime, and which recipients are too late for their campaign.

Lateness is how much later a message goes out than it would have without downtime. It counts from the planned time:
the campaign's time, moved by quiet hours, by a carrier's daily limit, or by a person who resumed the campaign.
Waiting for the sender's own limit is not lateness. Two things are:

- the recipient came into the lane after its planned time (freeze or eligibility was late);
- since then the lane had no owner, or the aggregator of its sender did not work.

The second is read from the lane's log. The owner writes a HEARTBEAT every `HEARTBEAT_MS`, which says which
aggregators do not work. The time between two heartbeats more than `SILENCE_MS` apart was downtime; for an aggregator
so was the time from a HEARTBEAT that reports it down to the next that reports it up, or to the next OWNER.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.lane.delay_table import Span
    from pipeline.lane.state import Chunk, LaneState
    from schemas.lane import Slice, Work

HEARTBEAT_MS: Final = 15_000
SILENCE_MS: Final = 60_000
KEPT_MS: Final = 30 * 24 * 3_600_000
"""How long downtime is remembered; longer than any limit on lateness."""
KEPT: Final = 1000
"""Maximum intervals of downtime that are remembered."""


@dataclass(slots=True)
class Downtime:
    """When nothing could be submitted from a lane, or to one aggregator from there, according to its log. Times in
    ms."""

    heard_at: int = 0
    """When an owner last wrote an OWNER or HEARTBEAT."""
    away_since: int = 0
    """Since when the aggregator does not work, as the owner says; 0: it works."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """(begin, end), ascending, without overlaps."""
    _sum: int = 0

    def take_owner(self, at: int) -> None:
        """A worker took the lane."""
        at = max(at, self.heard_at)
        if self.away_since:
            self._add(self.away_since, at)
        else:
            self._silence(at)
        self.away_since = 0
        self.heard_at = at

    def take_heartbeat(self, at: int, *, able: bool) -> None:
        """The owner is alive; `able`: whether it can submit."""
        at = max(at, self.heard_at)
        if self.away_since:
            if able:
                self._add(self.away_since, at)
                self.away_since = 0
        else:
            self._silence(at)
            self.away_since = 0 if able else at
        self.heard_at = at
        self._forget(at)

    def total(self, now: int) -> int:
        """All downtime up to `now`."""
        return self._sum + (max(0, now - self.away_since) if self.away_since else 0)

    def within(self, since: int, now: int) -> int:
        """Downtime between two times."""
        spans = [*self.spans, (self.away_since, now)] if self.away_since else self.spans
        return sum(max(0, min(end, now) - max(begin, since)) for begin, end in spans)

    def copy(self) -> Downtime:
        """The same downtime, for an aggregator that is down for the first time."""
        return Downtime(self.heard_at, self.away_since, list(self.spans), self._sum)

    def restore(self, heard_at: int, away_since: int, spans: list[tuple[int, int]]) -> None:
        """Load what a checkpoint kept."""
        self.heard_at, self.away_since, self.spans = heard_at, away_since, list(spans)
        self._sum = sum(end - begin for begin, end in spans)

    def _silence(self, at: int) -> None:
        if self.heard_at and at - self.heard_at > SILENCE_MS:
            self._add(self.heard_at, at)

    def _add(self, begin: int, end: int) -> None:
        begin = max(begin, self.spans[-1][1] if self.spans else 0)
        if begin < end:
            self.spans.append((begin, end))
            self._sum += end - begin

    def _forget(self, at: int) -> None:
        while self.spans and (len(self.spans) > KEPT or self.spans[0][1] < at - KEPT_MS):
            begin, end = self.spans.pop(0)
            self._sum -= end - begin


def move(chunk: Chunk, slice_: Slice, due: int) -> None:
    """Record that a rule moved the planned time of a slice of `chunk` to `due` (ms)."""
    _, start, stop = slice_
    kept = [
        (a, b, due_before)
        for low, high, due_before in chunk.moved
        for a, b in ((low, min(high, start)), (max(low, stop), high))
        if a < b
    ]
    chunk.moved = [*kept, (start, stop, due)]


def planned(chunk: Chunk, work: Work, position: int) -> int:
    """The planned time of the message at a position (ms)."""
    for start, stop, due in chunk.moved:
        if start <= position < stop:
            return due
    for count, due in work.dues:
        if position < count:
            return due
        position -= count
    raise IndexError("the chunk has no such position")


def lateness(state: LaneState, chunk: Chunk, position: int, now: int) -> int:
    """How late (ms) the recipient at a position is at `now` (ms) because of downtime."""
    work = state.work(chunk.offset)
    since = max(planned(chunk, work, position), state.resumed.get(chunk.key[0], 0))
    arrived = max(0, min(work.at, now) - since)
    return arrived + _downtime(state, chunk).within(max(since, work.at), now)


def _downtime(state: LaneState, chunk: Chunk) -> Downtime:
    """When nothing could be submitted to the aggregator of a chunk's sender."""
    terms = state.senders.get(chunk.sender)
    return state.downtime if terms is None else state.away.get(terms.aggregator, state.downtime)


def is_too_late(state: LaneState, span: Span, now: int) -> bool:
    """Whether the recipients of a waiting span, which share one planned time, are later than their campaign
    allows."""
    chunk = state.chunks[span.chunk]
    limit = state.campaigns[chunk.key[0]].settings.lateness
    if limit is None:
        return False
    work = state.work(span.chunk)
    if max(0, work.at - work.dues[0][1]) + _downtime(state, chunk).total(now) <= limit:
        return False  # the usual case: nobody in the chunk can be too late
    return lateness(state, chunk, span.start, now) > limit


def late_rule(hours: float) -> str:
    """The rule in words, for a person who launches a campaign; `hours` 0: there is no limit."""
    if not hours:
        return "A message is sent however late it is."
    shown = "1 hour" if hours == 1 else f"{hours:g} hours"
    return (
        f"A message that our machines or the aggregator would make more than {shown} late is not sent anymore: its "
        "recipient expires with reason `too_late`. `longwave campaign retry-failed` makes a draft to them."
    )
