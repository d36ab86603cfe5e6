"""The host of one lane's driver on the virtual clock. The driver is the one of production, `pipeline.sending.driver`.

A record is read back a few milliseconds after it was written, and the aggregator is a model.

A slow lane sends slices of single messages for hours. To simulate a day in seconds, slices are as large as `grain`
allows; they then pass at the rate that a lane keeps up, and never reach over a quarter of an hour or a deadline, so
that nobody is submitted on the wrong side of the edge of quiet hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Final

from pipeline.lane.effects import InBatches
from pipeline.lane.scheduler import Key
from pipeline.lane.state import Flight, LaneState
from pipeline.limits.rate import Pace, Window, most_under_way, slice_segments, sustained
from pipeline.sending.driver import LaneDriver, Surroundings, Terms
from pipeline.sending.effects import (
    AwaitConsents,
    Connect,
    Effect,
    HandOver,
    Instant,
    Letter,
    Log,
    Lookup,
    Prepared,
    Report,
    Wake,
    WakeLine,
    Write,
)
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.sending.senders.flow import EXACT, Flows
from pipeline.timing.quiet_hours import QuietHours
from schemas.chunk import Move, Release
from schemas.lane import LaneRecord, Work
from schemas.status import StatusChunk
from schemas.wire import encode
from simulation.aggregator import ModelledAggregator
from simulation.breaker import SimulatedBreaker
from simulation.clock import Clock

READ_BACK: Final = 0.003
"""Seconds from writing a record to a lane's log until it is read back."""
EDGE_MS: Final = 900_000
"""Quiet hours begin and end on quarters of an hour in every zone."""
UNLIMITED: Final = 1 << 60
SETTLED_AFTER: Final = 30.0
TERMS: Final = Terms(suspend_after=UNLIMITED, checkpoint_bytes=UNLIMITED)
"""A simulated lane has one owner, which needs no checkpoint, and campaigns without documents to suspend."""

Message = tuple[Key, int, int, int]
"""Campaign and message, ordinal, number and segments."""


@dataclass(frozen=True, slots=True)
class World:
    """The surroundings of a lane. `tell` takes statuses and reservations, `accepted` the (key, ordinals, numbers) of
    accepted messages. Every sender uses the one aggregator, with `batch` messages in a request and `in_flight`
    requests at a time at most; `quiet` gives an account's quiet hours."""

    clock: Clock
    aggregator: ModelledAggregator
    breaker: SimulatedBreaker
    batch: int
    in_flight: int
    quiet: Callable[[str], QuietHours]
    blocked: Callable[[str, list[int]], list[str]]
    """`OptOuts.blocked_many`."""
    tell: Callable[[StatusChunk | Release | Move], None]
    accepted: Callable[[tuple[str, int], list[int], list[int]], None]


class SimulatedLane:
    """A lane with one owner for the whole time. `grain`: segments in a slice at most, 0 for production's own."""

    def __init__(self, lane: int, world: World, grain: int) -> None:
        self._world = world
        self._clock = world.clock
        self._next_turn: int | None = None
        self._line_at: float | None = None
        self._is_idle = False
        self._driver = LaneDriver(lane, "simulation", TERMS, self._around(), self._flows(grain))
        world.breaker.join(lambda: self._turn_at(self._clock.ms))
        self._carry_out(self._driver.on_assigned("simulation", self._now))

    def read(self, record: LaneRecord) -> None:
        """The next record of the log."""
        state = self._driver.state
        if self._is_idle and isinstance(record, Work):
            # Nothing was written while nobody waited: that was no silence of a lost owner.
            state.downtime.heard_at = self._clock.ms
            self._is_idle = False
        raw = encode(record) if isinstance(record, Work) else b""
        self._carry_out(self._driver.on_record(state.next_offset, record, raw, self._now))
        self._turn_at(self._clock.ms)

    @property
    def _now(self) -> Instant:
        return Instant(self._clock.ms, self._clock.seconds, self._clock.seconds)

    def _flows(self, grain: int) -> Flows:
        if not grain:
            return EXACT
        latency = self._world.aggregator.mean_latency()
        batch, in_flight = self._world.batch, self._world.in_flight

        def pace(rate: float) -> Pace:
            if grain <= slice_segments(rate):
                return Pace(rate)
            return Pace(sustained(rate, latency, most_under_way(rate, batch, in_flight)))

        def window(rate: float) -> Window:
            return Window(rate if grain <= slice_segments(rate) else float("inf"))

        return Flows(pace, window, partial(_coarse_size, grain), is_exact=False)

    def _around(self) -> Surroundings[Message]:
        world = self._world
        aggregator = LaneAggregator(
            world.breaker, world.batch, world.in_flight, SETTLED_AFTER, has_connection=lambda: True
        )
        return Surroundings(
            aggregator=lambda name: aggregator,
            blocked=world.blocked,
            quiet=world.quiet,
            knows_consents=lambda: True,
            is_member=lambda: True,
            document=lambda campaign: None,
            prepare=_prepare,
        )

    def _turn_at(self, ms: int) -> None:
        """Call `on_time` at `ms`, or earlier if that was asked for already."""
        if self._next_turn is not None and self._next_turn <= ms:
            return
        self._next_turn = ms

        def turn() -> None:
            if self._next_turn == ms:
                self._next_turn = None
                self._carry_out(self._driver.on_time(self._now))

        self._clock.at_ms(ms, turn)

    def _carry_out(self, effects: Iterable[Effect[Message]]) -> None:
        for effect in effects:
            self._carry_out_one(effect)

    def _carry_out_one(self, effect: Effect[Message]) -> None:
        match effect:
            case StatusChunk() | Release() | Move():
                self._world.tell(effect)
            case InBatches(following):
                for following_effect in following:
                    self._world.tell(following_effect)
            case Write(record):
                self._clock.after(READ_BACK, partial(self._written, effect, record))
            case Report(record):
                self._clock.after(READ_BACK, partial(self.read, record))
            case Connect(intent):
                self._clock.after(0.0, lambda: self._carry_out(self._driver.on_connected(intent, self._now)))
            case HandOver():
                self._hand_over(effect)
            case WakeLine(seconds) | AwaitConsents(seconds):
                self._line_after(seconds)
            case Wake(seconds):
                self._wake(seconds)
            case Lookup():
                self._clock.after(self._world.aggregator.latency(), partial(self._answer_lookup, effect))
            case Letter(_, _, error):
                raise AssertionError(error)
            case Log("error", text, cause):
                raise AssertionError(text) from cause

    def _wake(self, seconds: float) -> None:
        state = self._driver.state
        self._is_idle = self._driver.active and not state.waiting and not state.flights
        if not self._is_idle:
            self._turn_at(self._clock.ms + (max(1, ceil(round(seconds * 1000, 3))) if seconds > 0 else 0))

    def _line_after(self, seconds: float) -> None:
        """Call `on_line` then; what was asked for before does not hold anymore."""
        at = self._line_at = self._clock.seconds + seconds

        def turn() -> None:
            if self._line_at == at:
                self._carry_out(self._driver.on_line(self._now))

        self._clock.after(seconds, turn)

    def _written(self, write: Write, record: LaneRecord) -> None:
        offset = self._driver.state.next_offset
        self.read(record)
        self._carry_out(self._driver.on_written(write, offset, "", self._now))

    def _answer_lookup(self, lookup: Lookup) -> None:
        answers = self._world.aggregator.look_up(len(lookup.ids))
        self._carry_out(self._driver.on_lookup(lookup, answers, self._now))

    def _hand_over(self, slice_: HandOver[Message]) -> None:
        aggregator, sent = self._world.aggregator, self._clock.seconds
        keys, ordinals, numbers, segments = (list(column) for column in zip(*slice_.batch, strict=True))
        answers = aggregator.answers(numbers, segments, self._clock.ms)

        def answered() -> None:
            self._world.breaker.record_result(answers)
            taken = [index for index, answer in enumerate(answers) if answer.outcome == "accepted"]
            for key in dict.fromkeys(keys[index] for index in taken):
                of_key = [index for index in taken if keys[index] == key]
                self._world.accepted(key, [ordinals[i] for i in of_key], [numbers[i] for i in of_key])
            self._carry_out(self._driver.on_answer(slice_.intent, answers, sent, 0.0, self._now))

        self._clock.after(aggregator.latency(), answered)


def _coarse_size(grain: int, state: LaneState, rate: float, now: int, room: float) -> int:
    """Segments of a slice that does not reach over an edge of quiet hours or a deadline; `now` in ms."""
    if grain <= slice_segments(rate):
        return slice_segments(rate, room)
    edges = [
        campaign.settings.deadline for campaign in state.campaigns.values() if campaign.settings.deadline is not None
    ]
    edge = min([now - now % EDGE_MS + EDGE_MS, *(deadline for deadline in edges if deadline > now)])
    return max(1, min(grain, int(rate * (edge - now) / 1000)))


def _prepare(state: LaneState, flight: Flight) -> Prepared[Message]:
    items: list[Message] = []
    numbers: list[int] = []
    segments: list[int] = []
    for chunk, start, stop in flight.slices:
        work = state.work(chunk)
        columns = (work.ordinals[start:stop], work.numbers[start:stop], work.segments[start:stop])
        items += [(flight.key, *message) for message in zip(*columns, strict=True)]
        numbers += work.numbers[start:stop]
        segments += work.segments[start:stop]
    return Prepared(items, numbers, sum(segments))
