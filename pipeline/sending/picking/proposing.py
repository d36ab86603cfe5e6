"""What a live owner writes into its lane next, within its slots and limits, and which of it is still in transit.

A pick is a proposal: the log, read back, decides what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.eligibility.optouts import Blocked
from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import LaneState, unpack
from pipeline.limits.rate import Pace, ReadBack, Window, slice_segments
from pipeline.sending.effects import Instant, Letter, Log, Plain, Wake, Write
from pipeline.sending.outage.breaker import Breaker
from pipeline.sending.picking.picker import Pick, Picked, Room, expired, pick
from pipeline.sending.picking.poison import find_poison
from pipeline.sending.submitting.line import Line
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import Defer, Drop, Intent, LaneRecord, Slice
from schemas.reasons import Reason

Proposal = Intent | Drop | Defer


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one lane: `rate` in segments per second, `batch` messages in a slice, `slots` slices under way,
    `carrier_daily` segments per carrier and day."""

    rate: float
    batch: int
    slots: int
    carrier_daily: Mapping[str, int]
    account: str = ""
    quiet: QuietHours = field(default_factory=QuietHours)
    """Of the lane's account."""


@dataclass(slots=True)
class Flow:
    """How fast slices leave: at most `slots` under way, each of at most `size(state, now in ms, room)` segments when
    the limit has `room` for that many."""

    pace: Pace
    window: Window
    slots: int
    size: Callable[[LaneState, int, float], int]


def flow_of(limits: Limits) -> Flow:
    """The flow that keeps a lane's limits exactly."""
    pace, window = Pace(limits.rate), Window(limits.rate)
    return Flow(pace, window, limits.slots, lambda state, now, room: slice_segments(limits.rate, room))


class Proposer:
    """Picks for one lane. `has_connection`: whether a connection to the aggregator is free."""

    def __init__(
        self,
        limits: Limits,
        flow: Flow,
        breaker: Breaker,
        blocked: Blocked,
        has_connection: Callable[[], bool],
    ) -> None:
        self._limits = limits
        self._flow = flow
        self._breaker = breaker
        self._blocked = blocked
        self._has_connection = has_connection
        self._read_back = ReadBack(flow.window.limit)
        self._share = FairShare()
        self.picked = Picked()
        self.out = 0
        """INTENTs that are not read back yet."""
        self._sent: dict[Slice, tuple[float, int]] = {}
        """When each of them was written (s), and its segments, by its first slice."""
        self._unread: set[int] = set()
        """Offsets of our INTENTs that the broker has acknowledged and that we have not read back."""

    def begin(self) -> None:
        """The log is read from a new beginning."""
        self._unread.clear()
        self.picked.clear()
        self._sent.clear()

    def owned(self) -> None:
        """The lane has a new owner; what was proposed before is void."""
        self.picked.clear()
        self._sent.clear()
        self.out = 0

    def read(self, offset: int, record: LaneRecord, now: float) -> None:
        """The log has `record` at `offset`."""
        self._unread.discard(offset)
        if isinstance(record, Intent | Drop | Defer):
            self.picked.discard(record.slices)
        if isinstance(record, Intent):
            self.out = max(0, self.out - 1)
            if record.slices and (sent := self._sent.pop(record.slices[0], None)) is not None:
                self._read_back.observe(now - sent[0])

    def never_read(self) -> list[int]:
        """Offsets of our INTENTs that were not read back; from now on they count as read."""
        offsets = sorted(self._unread)
        self._unread.clear()
        return offsets

    def written(self, record: Proposal, offset: int | None, error: str, state: LaneState) -> list[Plain]:
        """What became of a proposal: the broker put it at `offset`, or None with the `error`."""
        if offset is not None:
            if isinstance(record, Intent) and offset >= state.next_offset:
                self._unread.add(offset)
            return []
        # The log may have it nevertheless. Then it counts when it is read; if not, the slices are free again.
        if record.epoch == state.epoch:
            self.picked.discard(record.slices)
            self._sent.pop(record.slices[0], None)
            self.out = max(0, self.out - isinstance(record, Intent))
        return [Log("warning", error), Wake(0.0)]

    def propose(self, state: LaneState, line: Line, under_way: int, now: Instant) -> tuple[list[Plain], float | None]:
        """Write what the limits allow now, with `under_way` slices that have no outcome. Also returns the seconds
        until the limits allow more; None if time alone does not change that."""
        effects: list[Plain] = []
        while self._has_a_slot(line, under_way):
            pause = max(self._flow.pace.wait(now.seconds), self._until_room(state, line, now))
            if pause > 0:
                return effects, pause
            messages = self._breaker.allowance(now.seconds, self.out + under_way)
            if not messages:
                # Deadlines apply even while nothing may be submitted.
                drop = expired(state, self.picked, now.ms)
                return effects + ([] if drop is None else [self._write(drop)]), None
            picked = self._pick(state, now, self._room(state, line, now, messages))
            effects += picked
            if not any(isinstance(effect, Write) for effect in picked):
                break
        return effects, None

    def _has_a_slot(self, line: Line, under_way: int) -> bool:
        waiting = self.out + line.count
        if waiting >= line.most or (waiting and not self._has_connection()):
            return False
        return self.out + under_way < self._flow.slots

    def _until_room(self, state: LaneState, line: Line, now: Instant) -> float:
        """Seconds to wait so that an INTENT is read back just when the limit has room for it."""
        size = max(1, min(self._flow.size(state, now.ms, 0.0), self._limits.batch, state.table.ready_count))
        return self._flow.window.room_in(now.seconds, self._ahead_of(line), size) - self._read_back.ahead

    def _ahead_of(self, line: Line) -> int:
        """Segments of ours that wait for the limit already."""
        return line.segments + sum(segments for _, segments in self._sent.values())

    def _room(self, state: LaneState, line: Line, now: Instant, messages: int) -> Room:
        """Of the next slice, with at most that many messages."""
        room = self._flow.window.room(now.seconds + self._read_back.ahead, self._ahead_of(line))
        return Room(
            messages=min(self._limits.batch, messages),
            segments=self._flow.size(state, now.ms, room),
            carrier_daily=self._limits.carrier_daily,
            quiet=self._limits.quiet,
        )

    def _pick(self, state: LaneState, now: Instant, room: Room) -> list[Plain]:
        try:
            chosen = self._chosen(state, now.ms, room, self.picked, self._share)
        except Exception as error:  # noqa: BLE001 - a defective chunk must not stop the others
            looking = Log("error", "cannot pick: looking for the chunk that causes it", error)
            return [looking, *self._skip_unreadable(state, now.ms, room)]
        if chosen is None:
            return []
        effects: list[Plain] = [self._write(drop) for drop in chosen.drops]
        if chosen.intent is not None:
            campaign = chosen.intent.campaign
            self._flow.pace.spend(now.seconds, chosen.segments)
            self._share.spend(campaign, chosen.segments, state.campaigns[campaign].settings.weight)
            self.out += 1
            self._sent[chosen.intent.slices[0]] = (now.seconds, chosen.segments)
            self._breaker.proposed(now.seconds)
            effects.append(self._write(chosen.intent))
        return effects

    def _skip_unreadable(self, state: LaneState, now: int, room: Room) -> list[Plain]:
        """Skip a chunk that decodes but cannot be picked from: a dead letter, and its recipients leave the queue."""
        poison = find_poison(state, self.picked, lambda only: self._chosen(state, now, room, only, FairShare()))
        if poison is None:
            return []
        slices, error = poison
        chunk = slices[0][0]
        drop = Drop(epoch=state.epoch, slices=slices, state="skipped", reason=Reason.UNREADABLE, at=now)
        return [Letter(chunk, unpack(state.chunks[chunk].packed), error), self._write(drop)]

    def _chosen(self, state: LaneState, now: int, room: Room, picked: Picked, share: FairShare) -> Pick | None:
        return pick(state, picked, share, self._blocked, now, room)

    def _write(self, record: Proposal) -> Write:
        self.picked.add(record.slices)
        return Write(record)
