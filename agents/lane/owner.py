"""The owner of one lane: folds the lane's log and carries out what follows, and while it owns it has it go on.

What is pure is in `pipeline.lane.fold` and `pipeline.sending.picker`; here are the log, the clock and the aggregator.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic

from adapters.clock import now_ms
from adapters.errors import EmitError
from adapters.ports import AggregatorPort, Delivered
from agents.context import Context
from agents.lane.asker import Asker
from agents.lane.breaker import AggregatorBreaker
from agents.lane.checkpointer import Checkpointer
from agents.lane.outage import Outage
from agents.lane.proposer import IDLE_SECONDS, Proposer
from agents.lane.submitter import Submitter
from agents.outbox import Outbox
from agents.runner import Output, output
from pipeline.lane.checkpoint import Loader, is_checkpoint
from pipeline.lane.fold import Ask, Effect, InBatches, Malformed, Owned, Submit, Void, apply
from pipeline.lane.lateness import HEARTBEAT_MS
from pipeline.lane.state import Flight, LaneState
from pipeline.limits.rate import Window
from pipeline.limits.reservations import routed
from pipeline.sending.due import RELEASED_AT_ONCE, release_due
from pipeline.sending.submission import starts_full
from pipeline.timing.quiet_hours import QuietHours
from schemas import metrics, topics
from schemas.chunk import Move, Release
from schemas.deadletter import DeadLetter, to_text
from schemas.lane import (
    LANES,
    CheckpointPart,
    Heartbeat,
    LaneRecord,
    Owner,
    Result,
    ResultGroup,
)
from schemas.reasons import Reason
from schemas.status import StatusChunk
from schemas.wire import DecodeError, encode

log = logging.getLogger(__name__)

CLAIM_SECONDS = 2.0
"""Pause before a lane is claimed again."""
STUCK_SECONDS = 5.0
"""How long a lane waits for records that its log has before it has them read again, the first time."""
LONGEST_STUCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Way:
    """Where a lane leads: the aggregator, the sender number, and the lane's share of the limits (segments/s)."""

    aggregator: AggregatorPort
    account: str
    sender: str
    rate: float
    batch: int
    carrier_daily: Mapping[str, int]
    """Segments per carrier and day, the lane's share."""
    quiet: QuietHours
    """Of the lane's account."""
    breaker: AggregatorBreaker
    """The worker's for this aggregator, shared by its lanes."""


class LaneOwner:
    """One lane on this worker, from assignment to revocation."""

    def __init__(self, lane: int, context: Context, way: Way) -> None:
        self.lane = lane
        self.state = LaneState()
        self._context = context
        self.quiet = way.quiet
        self.account = way.account
        self._nonce = ""
        self._assigned_at = 0.0
        self._active = False
        self._epoch = 0
        """Of our last ownership since the log was read from its beginning: in between each INTENT is read once, so
        that one of this epoch which we did not start was certainly not submitted."""
        self._before = 0
        """The lane's epoch before the record that is read."""
        self._start: int | None = None
        self._next = 0
        self._read_at = monotonic()
        self._patience = STUCK_SECONDS
        """Doubles with each reading again: on a worker that folds another lane's long log meanwhile, each one throws
        away what was fetched."""
        self._in_log = -1
        """Highest offset that the broker gave to a record of ours: the log has at least that many."""
        self.rewind: Callable[[int, int | None], None] | None = None
        """(lane, offset): have the log read from there, or from its beginning."""
        self.is_member: Callable[[], bool] = lambda: True
        """Whether the consumer group knows this worker; else others have its lanes, which it must not claim back."""
        self._loader: Loader | None = None
        self._buffer: list[tuple[int, bytes]] = []
        self._window = Window(way.rate)
        self._telling: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._pump_task: asyncio.Task[None] | None = None
        self._claiming: asyncio.Task[None] | None = None
        self._beaten = 0.0
        """When this owner last wrote a sign of life."""
        self.outbox = Outbox(context.producer, context.give_up)
        self._breaker = way.breaker
        self._breaker.join(self.wake)
        self._outage = Outage(lane, context, way.breaker, self.outbox)
        self.submitter = Submitter(self, context, way.aggregator, way.breaker, way.sender, self._window)
        self.proposer = Proposer(self, context, way, self._window)
        self.asker = Asker(self, way.aggregator)
        self.checkpointer = Checkpointer(self, context.settings.worker.checkpoint_bytes)
        metrics.LANE_LIMIT.labels(lane).set(way.rate)

    @property
    def active(self) -> bool:
        """Whether this worker has read its own OWNER back and no later one."""
        return self._active

    async def assign(self) -> None:
        """Rule L1: claim the lane; it becomes active when the record is read back."""
        self._nonce = uuid.uuid4().hex
        self._active = False
        self._read_at = self._assigned_at = monotonic()
        self._patience = STUCK_SECONDS
        if self._pump_task is None:
            self._pump_task = asyncio.create_task(self._pump(), name=f"lane-{self.lane}")
        self._claiming = asyncio.create_task(self._claim(self._nonce), name=f"lane-{self.lane}-claim")

    async def _claim(self, nonce: str, pause: float = 0.0) -> None:
        """Write our OWNER, again where the broker does not answer, for as long as the lane is assigned to us."""
        await asyncio.sleep(pause)
        while nonce == self._nonce:
            if not self.is_member():
                await asyncio.sleep(CLAIM_SECONDS)
                continue
            try:
                record = Owner(worker=self._context.worker, nonce=nonce, at=now_ms())
                delivered = await self.send(output(topics.LANES, record, partition=self.lane))
                self.wrote(delivered.offset)
                return
            except EmitError as error:
                log.warning("lane %s: claiming it waits: %s", self.lane, error)
                await asyncio.sleep(CLAIM_SECONDS)

    async def release(self, seconds: float) -> None:
        """Stop picking, and wait for what is in flight, at most `seconds`.

        INTENTs that we wrote and have not read back are not submitted any more, and nobody but us knows that: their
        RESULT says so, else the next owner would have to count them as unknown.
        """
        self._active = False
        self._nonce = ""
        try:
            async with asyncio.timeout(seconds):
                await self.proposer.written()
                for offset in self.proposer.never_read():
                    self._give_back(offset)
                await self.submitter.drained()
                await self.told()
                await self.outbox.drained()
        except TimeoutError:
            log.warning("lane %s handed over with submissions under way: the next owner counts them", self.lane)

    def _give_back(self, intent: int) -> None:
        now = now_ms()
        groups = [ResultGroup(outcome="retry", reason=Reason.HANDED_OVER, due=now)]
        self.outbox.send(output(topics.LANES, Result(intent=intent, groups=groups, at=now), partition=self.lane))

    async def close(self) -> None:
        self._breaker.leave(self.wake)
        for task in (self._pump_task, self._claiming, *self._telling):
            if task is not None:
                task.cancel()
        self.submitter.cancel()
        self.asker.cancel()
        metrics.forget_lane(self.lane)

    async def read(self, offset: int, raw: bytes | None) -> None:
        """Take the next record of the log."""
        await self.outbox.room()
        if self._start is not None and self._start <= offset < self._next:
            # After a rebalance all since the mark comes again: that is not standing still.
            self._read_at = monotonic()
            return
        if self._start is None or offset != self._next:
            self._begin(offset)
        self._next = offset + 1
        self._read_at = monotonic()
        self._patience = STUCK_SECONDS
        if self._loader is not None:
            await self._load(self._loader, offset, raw or b"")
        else:
            self._take(offset, raw)
        self._wake.set()

    def _take(self, offset: int, raw: bytes | None) -> None:
        try:
            record = LANES.decode(raw)
        except DecodeError as error:
            self.dead(offset, raw, str(error))
            self.state.next_offset = offset + 1
        else:
            # A checkpoint's own parts do not count: they would call for the next one.
            self.checkpointer.log_bytes += 0 if isinstance(record, CheckpointPart) else len(raw or b"")
            self._fold(offset, record, raw or b"")

    def _begin(self, offset: int) -> None:
        # Either the first record, or records are missing that somebody else's checkpoint replaced, or the log is
        # read again from before our start: around a rebalance Faust may hand out what it had fetched from the middle
        # before it seeks to the beginning.
        self._start = offset
        self._active = False
        self._epoch = 0
        self._buffer = []
        self.proposer.begin()
        self.state = LaneState()
        self.state.next_offset = offset
        self._loader = Loader(offset) if offset else None
        self.checkpointer.begin(offset)

    async def _load(self, loader: Loader, offset: int, raw: bytes) -> None:
        if not is_checkpoint(raw):
            # Kept as bytes: decoded, the hundred thousands that a busy lane has since its mark take gigabytes.
            self._buffer.append((offset, raw))
            return
        try:
            part = LANES.decode(raw)
            state = loader.offer(part) if isinstance(part, CheckpointPart) else None
        except DecodeError as error:
            # Garbage, or not of a form that we understand: then the lane stays without an owner, visibly.
            self.dead(offset, raw, str(error))
            log.error("lane %s: %s", self.lane, error)
            return
        if state is None:
            return
        self._loader = None
        self.state = state
        buffered, self._buffer = self._buffer, []
        log.info(
            "lane %s loaded its checkpoint as of %s, %s records after it", self.lane, loader.start, len(buffered)
        )
        for one in buffered:
            await self.outbox.room()
            self._take(*one)
        self.state.next_offset = offset + 1

    def _fold(self, offset: int, record: LaneRecord, raw: bytes) -> None:
        self.proposer.read(offset, record)
        self._before = self.state.epoch
        try:
            effects = apply(self.state, offset, record, raw)
        except Exception as error:
            # A defect. Whoever folds the log meets it at the same place and in the same way, so passing over it keeps
            # all readers alike; standing still would stop everybody's campaigns in this lane for one record.
            log.exception("lane %s cannot fold record %s", self.lane, offset)
            self.dead(offset, raw, f"{type(error).__name__}: {error}")
            return
        for effect in effects:
            if isinstance(effect, Malformed):
                self.dead(effect.offset, raw, effect.why)
            else:
                self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case StatusChunk():
                effect.lane = self.lane
                self.outbox.send(output(topics.STATUSES, effect, effect.campaign))
            case Release() | Move():
                for partition, release in routed(effect, self._context.settings.kafka.partitions):
                    self.outbox.send(output(topics.RECIPIENTS, release, partition=partition))
            case Submit(flight):
                self._submit(flight)
            case Ask(flight):
                if self._active:
                    self.asker.start(flight)
            case InBatches(effects):
                task = asyncio.create_task(self._tell(effects), name=f"lane-{self.lane}-tell")
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)
            case Void():
                metrics.LANE_VOID_INTENTS.labels(self.lane).inc()
            case Owned(nonce, _):
                self._owned(nonce)

    async def _tell(self, effects: Iterator[StatusChunk | Release]) -> None:
        try:
            for effect in effects:
                await self.outbox.room()
                self._carry_out(effect)
                await asyncio.sleep(0)
        except Exception:
            # A defect, as in `_fold`; the campaign's residual shows who was not told of.
            log.exception("lane %s cannot tell all that follows from a record", self.lane)

    async def told(self) -> None:
        """Wait until all that follows from the records read so far is in the outbox."""
        if self._telling:
            await asyncio.wait(set(self._telling))

    def _submit(self, flight: Flight) -> None:
        if flight.epoch != self._epoch:
            return
        if self._active:
            self.submitter.start(flight)
        else:
            self._give_back(flight.offset)

    def _owned(self, nonce: str) -> None:
        self.asker.cancel()
        lost = self._active and nonce != self._nonce
        self._active = bool(nonce) and nonce == self._nonce
        if lost and self._nonce:
            # Kafka says that the lane is ours: a record of its former owner came late.
            log.warning("lane %s was claimed by a late record; claiming it again", self.lane)
            self._claiming = asyncio.create_task(self._claim(self._nonce, CLAIM_SECONDS))
        self.proposer.owned()
        if self._active:
            # A lane that only a rebalance took and gave back: our own window knows its last second exactly.
            kept = bool(self._epoch) and self._before == self._epoch
            self._epoch = self.state.epoch
            self._beaten = monotonic()
            seconds = monotonic() - self._assigned_at
            metrics.LANE_REBUILD_SECONDS.labels(self.lane).set(seconds)
            log.info("lane %s is ours, epoch %s, after %.1f s", self.lane, self.state.epoch, seconds)
            if not kept and starts_full(self.state.last_intent_at, self.state.owned_at):
                self._window.start_full(monotonic())

    async def _pump(self) -> None:
        while True:
            self._wake.clear()
            pause = IDLE_SECONDS
            if self._active:
                pause = min(pause, self._turn())
                self._outage.look(self.state)
                self._beat()
                await self.checkpointer.maybe()
            self._gauges()
            self._watch()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _beat(self) -> None:
        """Say that this owner lives and whether its aggregator works (`pipeline.lane.lateness`). Not by the outbox:
        one that Kafka does not take now must not come later."""
        if monotonic() - self._beaten < HEARTBEAT_MS / 1000:
            return
        self._beaten = monotonic()
        able = self._breaker.rule.state == "closed"
        record = Heartbeat(epoch=self.state.epoch, able=able, at=now_ms())
        sent = self._context.producer.send(topics.LANES.name, encode(record), partition=self.lane)
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _watch(self) -> None:
        """Whatever a rebalance made the consumer lose: a log that has more than we are given is read again."""
        stuck = self._nonce and self._in_log >= self._next and monotonic() - self._read_at > self._patience
        if stuck and self.rewind is not None:
            self._read_at = monotonic()
            self._patience = min(2 * self._patience, LONGEST_STUCK_SECONDS)
            log.warning("lane %s: its log has %s, read up to %s; reading on", self.lane, self._in_log, self._next)
            self.rewind(self.lane, None if self._start is None else self._next)

    def wake(self) -> None:
        self._wake.set()

    def wrote(self, offset: int) -> None:
        """The broker has put a record of ours at `offset`."""
        self._in_log = max(self._in_log, offset)

    async def send(self, one: Output) -> Delivered:
        """Write one record and wait for the broker (`EmitError` where it does not answer)."""
        return await self._context.producer.send(one.topic, one.value, key=one.key, partition=one.partition)

    def _turn(self) -> float:
        """Release what is due and pick what the limits allow; seconds until there is more to do by time alone."""
        now = now_ms()
        for chunk in release_due(self.state, now, RELEASED_AT_ONCE):
            self._carry_out(chunk)
        pause = self.proposer.spend(now)
        due = self.state.table.next_due()
        return pause if due is None else min(pause, max(0.0, (due - now) / 1000))

    def dead(self, offset: int, raw: bytes | None, error: str) -> None:
        """A dead letter for what the log has at `offset`."""
        metrics.STEP_DEAD_LETTERS.labels("lanes").inc()
        letter = DeadLetter(
            topic=topics.LANES.name,
            partition=self.lane,
            offset=offset,
            step="lanes",
            reason=Reason.UNREADABLE_RECORD,
            error=error,
            at=now_ms(),
            key=None,
            value=to_text(raw),
        )
        self.outbox.send(output(topics.DEAD_LETTERS, letter, topics.LANES.name))

    def _gauges(self) -> None:
        state, now = self.state, now_ms()
        oldest = state.table.oldest_due()
        ready = state.table.ready_count
        metrics.LANE_QUEUED.labels(self.lane).set(ready)
        metrics.LANE_DELAYED.labels(self.lane).set(state.waiting - ready)
        metrics.LANE_IN_FLIGHT.labels(self.lane).set(state.in_flight())
        metrics.LANE_OLDEST_DUE.labels(self.lane).set(0 if oldest is None else max(0, now - oldest) / 1000)
        metrics.LANE_EPOCH.labels(self.lane).set(state.epoch if self._active else 0)
        metrics.LANE_LOG_BYTES.labels(self.lane).set(self.checkpointer.log_bytes)
