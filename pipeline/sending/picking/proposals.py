"""What a lane's owner has written into the log and not read back.

A pick is a proposal: the log, read back, decides what becomes of it. Until then its slices are not picked again, and
its segments use the limits of their senders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.lane.state import LaneState
from pipeline.limits.rate import ReadBack
from pipeline.sending.effects import Log, Plain, Wake
from pipeline.sending.picking.picked import Picked
from pipeline.sending.senders.flow import Share
from schemas.lane import Defer, Drop, Intent, LaneRecord, SenderId, Slice, flight_id

Proposal = Intent | Drop | Defer


@dataclass(slots=True)
class OnTheWay:
    """The INTENTs of one channel that are not read back."""

    read_back: ReadBack
    intents: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class _Sent:
    """An INTENT that was written at `at` (s)."""

    way: OnTheWay
    at: float
    shares: Sequence[Share]
    messages: int


class Proposals:
    """Those of one lane. `retry` is called with each sender whose slices are free again."""

    def __init__(self, retry: Callable[[SenderId], None]) -> None:
        self._retry = retry
        self.picked = Picked()
        self._sent: dict[Slice, _Sent] = {}
        """By the INTENT's first slice."""
        self._unread: dict[int, int] = {}
        """Offsets of our INTENTs that the broker has acknowledged and that we have not read back, with how many picks
        each has."""

    def begin(self) -> None:
        """The log is read from a new beginning."""
        self._unread.clear()
        self.clear()

    def clear(self) -> None:
        """The lane has a new owner; what was proposed before is void."""
        self.picked.clear()
        for slice_ in list(self._sent):
            self._forget(slice_)

    def wrote(self, record: Proposal) -> None:
        """A proposal is being written."""
        self.picked.add(record.slices)

    def wrote_intent(self, intent: Intent, way: OnTheWay, now: float, shares: Sequence[Share], messages: int) -> None:
        """An INTENT is being written; its slices are `picked`, and its `shares` ahead, already."""
        way.intents += 1
        way.messages += messages
        self._sent[intent.picks[0].slices[0]] = _Sent(way, now, shares, messages)

    def read(self, offset: int, record: LaneRecord, now: float) -> None:
        """The log has `record` at `offset`."""
        self._unread.pop(offset, None)
        if not isinstance(record, Intent | Drop | Defer):
            return
        slices = record.slices
        self.picked.discard(slices)
        if isinstance(record, Intent) and slices and (sent := self._forget(slices[0])) is not None:
            sent.way.read_back.observe(now - sent.at)

    def never_read(self) -> list[list[int]]:
        """The flights of each of our INTENTs that was not read back; from now on they count as read."""
        flights = [
            [flight_id(offset, pick) for pick in range(picks)] for offset, picks in sorted(self._unread.items())
        ]
        self._unread.clear()
        return flights

    def written(self, record: Proposal, offset: int | None, error: str, state: LaneState) -> list[Plain]:
        """What became of a proposal: the broker put it at `offset`, or None with the `error`."""
        if offset is not None:
            if isinstance(record, Intent) and offset >= state.next_offset:
                self._unread[offset] = len(record.picks)
            return []
        # The log may have it nevertheless. Then it counts when it is read; if not, the slices are free again.
        if record.epoch == state.epoch:
            slices = record.slices
            self.picked.discard(slices)
            if isinstance(record, Intent):
                self._forget(slices[0])
            for sender in {state.chunks[chunk].sender for chunk, _, _ in slices if chunk in state.chunks}:
                self._retry(sender)
        return [Log("warning", error), Wake(0.0)]

    def _forget(self, slice_: Slice) -> _Sent | None:
        sent = self._sent.pop(slice_, None)
        if sent is not None:
            sent.way.intents -= 1
            sent.way.messages -= sent.messages
            for flow, segments in sent.shares:
                flow.ahead -= segments
        return sent
