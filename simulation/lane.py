"""One lane on the virtual clock: the fold, the pick, the pace and the last check are production's own functions.

What `agents.lane.owner` does with a log, a clock and a network, this does in memory: a record is read back a few
milliseconds after it was written, and the aggregator is a model.

A slow lane sends slices of single messages for hours. To simulate a day in seconds, slices are as large as `grain`
allows; they then pass at the rate that a lane keeps up, and never reach over a quarter of an hour or a deadline, so
that nobody is submitted on the wrong side of the edge of quiet hours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pipeline.lane.effects import Malformed
from pipeline.lane.fold import InBatches, Submit, apply
from pipeline.lane.lateness import HEARTBEAT_MS
from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import Flight, LaneState
from pipeline.limits.rate import Pace, Window, slice_segments, sustained
from pipeline.sending.due import release_due
from pipeline.sending.picker import Picked, expired, pick
from pipeline.sending.submission import away, held_back, hours_of, result_groups
from pipeline.timing.quiet_hours import QuietHours
from schemas.chunk import Move, Release
from schemas.lane import Defer, Drop, Heartbeat, Intent, LaneRecord, Owner, Result, Work
from schemas.status import StatusChunk
from schemas.wire import encode
from simulation.aggregator import ModelledAggregator
from simulation.breaker import SimulatedBreaker
from simulation.clock import Clock

READ_BACK: Final = 0.003
"""Seconds from writing a record to a lane's log until it is read back."""
EDGE_MS: Final = 900_000
"""Quiet hours begin and end on quarters of an hour in every zone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one lane: `rate` in segments per second, `batch` messages in a slice, `slots` slices under way,
    `carrier_daily` segments per carrier and day."""

    rate: float
    batch: int
    slots: int
    carrier_daily: Mapping[str, int]
    account: str = ""
    quiet: QuietHours = field(default_factory=QuietHours)
    """Of the lane's account."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a lane speaks to. `tell` takes what the accounting and the reservations must know, `accepted` the
    (key, ordinals, numbers) of what the aggregator took."""

    clock: Clock
    aggregator: ModelledAggregator
    breaker: SimulatedBreaker
    blocked: Callable[[str, list[int]], list[str]]
    """`OptOuts.blocked_many`."""
    tell: Callable[[StatusChunk | Release | Move], None]
    accepted: Callable[[tuple[str, int], list[int], list[int]], None]


class SimulatedLane:
    """A lane with one owner for the whole time. `grain`: segments in a slice at most, 0 for production's own."""

    def __init__(self, limits: Limits, around: Surroundings, grain: int) -> None:
        self.state = LaneState()
        self._limits = limits
        self._around = around
        self._clock = around.clock
        own = slice_segments(limits.rate)
        self._coarse = grain > own
        self._grain = max(grain, own)
        latency = around.aggregator.mean_latency()
        kept_up = sustained(limits.rate, latency, limits.slots, limits.batch)
        self._pace = Pace(kept_up if self._coarse else limits.rate)
        self._window = Window(limits.rate)
        self._share = FairShare()
        self._picked = Picked()
        self._blocked = partial(around.blocked, limits.account)
        self._out = 0
        """INTENTs written and not read back."""
        self._out_segments = 0
        self._under_way = 0
        self._gate: deque[Flight] = deque()
        self._gate_asked = False
        self._next_turn: int | None = None
        around.breaker.join(lambda: self._turn_at(self._clock.ms))
        self._beating = False
        self.read(Owner(worker="simulation", nonce="simulation", at=self._clock.ms))

    def read(self, record: LaneRecord) -> None:
        """The next record of the log."""
        raw = encode(record) if isinstance(record, Work) else b""
        if isinstance(record, Work):
            self._beat_on()
        if isinstance(record, Intent | Drop | Defer):
            self._picked.discard(record.slices)
        for effect in apply(self.state, self.state.next_offset, record, raw):
            match effect:
                case StatusChunk() | Release() | Move():
                    self._around.tell(effect)
                case InBatches(effects):
                    for one in effects:
                        self._around.tell(one)
                case Submit(flight):
                    self._submit(flight)
                case Malformed(_, why):
                    raise AssertionError(why)
        self._turn_at(self._clock.ms)

    def _beat_on(self) -> None:
        """Signs of life from here on, for as long as anybody waits."""
        if not self._beating:
            self._beating = True
            # Nothing was written while nobody waited: that was no silence of a lost owner.
            self.state.downtime.heard_at = self._clock.ms
            self._clock.after(HEARTBEAT_MS / 1000, self._beat)

    def _beat(self) -> None:
        self.read(Heartbeat(epoch=self.state.epoch, able=self._around.breaker.able, at=self._clock.ms))
        self._beating = bool(self.state.waiting or self.state.flights)
        if self._beating:
            self._clock.after(HEARTBEAT_MS / 1000, self._beat)

    def _turn_at(self, ms: int) -> None:
        """Take a turn at `ms`, or earlier if that was asked for already."""
        if self._next_turn is not None and self._next_turn <= ms:
            return
        self._next_turn = ms

        def turn() -> None:
            if self._next_turn == ms:
                self._next_turn = None
                self._turn()

        self._clock.at_ms(ms, turn)

    def _turn(self) -> None:
        now = self._clock.ms
        for chunk in release_due(self.state, now):
            self._around.tell(chunk)
        while self._coarse or self._has_a_slot():
            pause = max(self._pace.wait(self._clock.seconds), self._until_room())
            if pause > 0:
                self._turn_at(now + max(1, -int(-pause * 1000 // 1)))
                return
            messages = self._around.breaker.allowance(self._out + self._under_way)
            if not messages:
                self._expire(now)
                break
            if not self._pick(now, messages):
                break
        due = self.state.table.next_due()
        if due is not None:
            self._turn_at(max(due, now))

    def _has_a_slot(self) -> bool:
        return self._out + self._under_way < self._limits.slots

    def _until_room(self) -> float:
        """As `agents.lane.proposer` does, with a log whose delay never differs."""
        if self._coarse:
            return 0.0
        size = max(1, min(self._grain, self._limits.batch, self.state.table.ready_count))
        ahead = self._out_segments + sum(map(self._segments, self._gate))
        return self._window.room_in(self._clock.seconds, ahead, size) - READ_BACK

    def _segments(self, flight: Flight) -> int:
        return sum(sum(self.state.work(chunk).segments[start:stop]) for chunk, start, stop in flight.slices)

    def _pick(self, now: int, messages: int) -> bool:
        chosen = pick(
            self.state,
            self._picked,
            self._share,
            self._blocked,
            now,
            messages=min(self._limits.batch, messages),
            segments=self._size(now),
            carrier_daily=self._limits.carrier_daily,
            quiet=self._limits.quiet,
        )
        if chosen is None:
            return False
        for drop in chosen.drops:
            self._propose(drop)
        if chosen.intent is not None:
            weight = self.state.campaigns[chosen.intent.campaign].settings.weight
            self._pace.spend(self._clock.seconds, chosen.segments)
            self._share.spend(chosen.intent.campaign, chosen.segments, weight)
            self._around.breaker.proposed()
            self._write(chosen.intent, chosen.segments)
        return True

    def _write(self, intent: Intent, segments: int) -> None:
        self._picked.add(intent.slices)
        self._out += 1
        self._out_segments += segments

        def comes_back() -> None:
            self._out -= 1
            self._out_segments -= segments
            self.read(intent)

        self._clock.after(READ_BACK, comes_back)

    def _expire(self, now: int) -> None:
        """Deadlines and lateness hold while nothing may be submitted, too."""
        if (drop := expired(self.state, self._picked, now)) is not None:
            self._propose(drop)

    def _size(self, now: int) -> int:
        if not self._coarse:
            return self._grain
        edges = [one.settings.deadline for one in self.state.campaigns.values() if one.settings.deadline is not None]
        edge = min([now - now % EDGE_MS + EDGE_MS, *(deadline for deadline in edges if deadline > now)])
        return max(1, min(self._grain, int(self._pace.rate * (edge - now) / 1000)))

    def _propose(self, record: Drop | Defer) -> None:
        self._picked.add(record.slices)
        self._clock.after(READ_BACK, lambda: self.read(record))

    def _submit(self, flight: Flight) -> None:
        self._under_way += 1
        if self._coarse:
            self._hand_over(flight)
            return
        self._gate.append(flight)
        if not self._gate_asked:
            self._through_the_gate()

    def _through_the_gate(self) -> None:
        """Slices wait in order until the window has room, as they do in `agents.lane.submitter`."""
        self._gate_asked = False
        while self._gate:
            pause = self._window.wait(self._clock.seconds, self._segments(self._gate[0]))
            if pause:
                self._gate_asked = True
                self._clock.after(pause, self._through_the_gate)
                return
            self._hand_over(self._gate.popleft())
            self._turn_at(self._clock.ms)

    def _hand_over(self, flight: Flight) -> None:
        now, sent = self._clock.ms, self._clock.seconds
        ordinals, numbers, segments = self._columns(flight)
        control = self.state.campaigns[flight.key[0]]
        hours = hours_of(self.state, flight, self._limits.quiet, now)
        held = held_back(flight, control, numbers, self._blocked, now, hours)
        if None in held and not self._around.breaker.admit():
            held = away(held, self._around.breaker.held, now)
        going = [index for index, why in enumerate(held) if why is None]
        if len(going) < len(held):
            numbers, segments = ([column[index] for index in going] for column in (numbers, segments))
            ordinals = [ordinals[index] for index in going]
        answers = self._around.aggregator.answers(numbers, segments, now) if going else []
        latency = self._around.aggregator.latency() if going else 0.0
        charge = self._window.spend(sent, sum(segments)) if going and not self._coarse else None

        def answered() -> None:
            if going:
                self._around.breaker.told(answers)
            if charge is not None:
                self._window.settle(charge, sent, self._clock.seconds)
            taken = [index for index, one in enumerate(answers) if one.outcome == "accepted"]
            if taken:
                self._around.accepted(flight.key, [ordinals[i] for i in taken], [numbers[i] for i in taken])
            at = self._clock.ms
            result = Result(intent=flight.offset, groups=result_groups(held, answers, flight, at), at=at)
            self._under_way -= 1
            self._clock.after(READ_BACK, lambda: self.read(result))

        self._clock.after(latency, answered)

    def _columns(self, flight: Flight) -> tuple[list[int], list[int], list[int]]:
        """Ordinals, numbers and segments of a flight."""
        ordinals: list[int] = []
        numbers: list[int] = []
        segments: list[int] = []
        for chunk, start, stop in flight.slices:
            work = self.state.work(chunk)
            ordinals += work.ordinals[start:stop]
            numbers += work.numbers[start:stop]
            segments += work.segments[start:stop]
        return ordinals, numbers, segments
