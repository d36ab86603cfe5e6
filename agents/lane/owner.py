"""The host of one lane's driver on a worker: its clock, its log, its outbox and its aggregator.

What a lane decides is in `pipeline.sending.driver`; here its effects are carried out.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

from adapters.clock import now_ms
from adapters.errors import EmitError
from adapters.journal import Journal
from adapters.ports import Delivered, Submission
from agents.context import Context
from agents.lane.instant import instant
from agents.lane.route import Routes
from agents.lane.senders import show_senders
from agents.lane.submissions import Submissions
from agents.lane.texts import Texts
from agents.lane.traces import LaneTraces
from agents.outbox import Outbox
from agents.runner import output
from pipeline.lane.checkpoint import stream
from pipeline.lane.effects import InBatches, Void
from pipeline.limits.reservations import routed
from pipeline.sending.domains.reporting import least_left
from pipeline.sending.driver import LaneDriver, Surroundings, Terms
from pipeline.sending.effects import (
    Announce,
    AwaitConsents,
    Checkpoint,
    Claimed,
    Connect,
    Disconnect,
    Effect,
    HandOver,
    Letter,
    Log,
    Lookup,
    MoveMark,
    Report,
    ReportUse,
    Rewind,
    Wake,
    WakeLine,
    Write,
)
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.timing.quiet_hours import QuietHours
from schemas import metrics, topics
from schemas.chunk import Move, Release
from schemas.deadletter import DeadLetter, to_text
from schemas.domains import KINDS
from schemas.lane import Defer, Drop, Intent
from schemas.reasons import Reason
from schemas.status import StatusChunk
from schemas.wire import encode

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 0.5
"""How long a lane sleeps at most: the period of its gauges, and of its look at what changes elsewhere."""
CAUTIOUS: Final = QuietHours("cautious")
LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@dataclass(frozen=True, slots=True)
class LogReader:
    """What reads the lanes' logs, as far as a lane has a say in it."""

    rewind: Callable[[int, int | None], None]
    """(lane, offset): have the log read from there, or from its beginning."""
    move_mark: Callable[[int, int], None]
    """(lane, offset): let the consumer commit up to the offset, and delete the records below it."""
    is_member: Callable[[], bool]
    """Whether the consumer group knows this worker."""


class LaneOwner:
    """One lane on this worker, from assignment to revocation."""

    def __init__(self, lane: int, context: Context, routes: Routes, reader: LogReader, journal: Journal) -> None:
        self.lane = lane
        self._about = {"lane": lane, "by": context.worker}
        self._journal = journal
        self._reader = reader
        self._context = context
        self._routes = routes
        self._joined: set[str] = set()
        """Aggregators whose breakers wake this lane."""
        self._gauges_at = -IDLE_SECONDS
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        """As `_wake`, for whoever waits until nothing is under way."""
        self._wake_in = IDLE_SECONDS
        self._pump_task: asyncio.Task[None] | None = None
        self._line_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._following_up: set[asyncio.Task[None]] = set()
        self._writing: set[asyncio.Future[Delivered]] = set()
        """Proposals that the broker has not acknowledged."""
        self.outbox = Outbox(context.producer, context.fail)
        self.driver = self._driver()
        self._submissions = Submissions(lane, routes, self.driver, self._carry_out, self._note_submission)
        traces = context.traces
        self._traces = None if traces is None else LaneTraces(lane, traces, self.driver)

    def _driver(self) -> LaneDriver[Submission]:
        context, worker = self._context, self._context.settings.worker
        around = Surroundings(
            aggregator=self._aggregator,
            blocked=context.blocked,
            quiet=self._quiet,
            knows_consents=lambda: context.knows_consents,
            is_member=self._reader.is_member,
            document=context.campaigns.get,
            prepare=Texts(context.settings).prepare,
        )
        return LaneDriver(self.lane, context.worker, Terms(worker.suspend_after, worker.checkpoint_bytes), around)

    def _aggregator(self, name: str) -> LaneAggregator | None:
        route = self._routes.get(name)
        if route is None:
            return None
        if name not in self._joined:
            self._joined.add(name)
            route.breaker.join(self.wake)
        return route.seen

    def _quiet(self, account: str) -> QuietHours:
        """An account's quiet hours; the strictest reading where this worker does not know the account yet."""
        known = self._context.accounts.account(account) is not None
        return self._context.quiet(account) if known else CAUTIOUS

    @property
    def active(self) -> bool:
        """Whether this worker owns the lane."""
        return self.driver.active

    async def assign(self) -> None:
        """The consumer group gave this worker the lane."""
        nonce = uuid.uuid4().hex
        self._journaled(lambda: self._journal.own(nonce))
        self._carry_out(self.driver.on_assigned(nonce, instant()))
        if self._pump_task is None:
            self._pump_task = asyncio.create_task(self._pump(), name=f"lane-{self.lane}")

    async def release(self, seconds: float) -> None:
        """Stop picking, and wait for what is in flight, at most `seconds`."""
        self.driver.on_released()
        try:
            async with asyncio.timeout(seconds):
                if self._writing:
                    await asyncio.wait(set(self._writing))
                self._carry_out(self.driver.give_back(instant()))
                await self.drained()
                await self.followed_up()
                await self.outbox.drained()
        except TimeoutError:
            log.warning(
                "lane %s handed over with submissions under way: the next owner counts them",
                self.lane,
                extra=self._about,
            )

    async def drained(self) -> None:
        """Wait until no slice is under way."""
        while self.driver.under_way:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """End all that this lane does."""
        for route in self._routes.all():
            route.breaker.leave(self.wake)
        self._submissions.cancel()
        if self._line_timer is not None:
            self._line_timer.cancel()
        for task in (self._pump_task, *self._tasks, *self._following_up):
            if task is not None:
                task.cancel()
        metrics.forget_lane(self.lane)
        if any(flight.nonce in self._journal.nonces for flight in self.driver.state.flights.values()):
            self._journal.close()
        else:
            self._journal.remove()

    async def read(self, offset: int, raw: bytes | None) -> None:
        """Take the next record of the log."""
        await self.outbox.room()
        records, effects = self.driver.read(offset, raw, instant())
        self._carry_out(effects)
        for record in records:
            await self.outbox.room()
            now = instant()
            self._carry_out(self.driver.on_raw(*record, now))
            if self._traces is not None:
                self._traces.read(record[0], now.ms)
        self.wake()

    async def followed_up(self) -> None:
        """Wait until all that follows from the records read so far is in the outbox."""
        if self._following_up:
            await asyncio.wait(set(self._following_up))

    def wake(self) -> None:
        """Something has changed."""
        self._wake.set()
        self._changed.set()

    async def _pump(self) -> None:
        while True:
            self._wake.clear()
            self._wake_in = IDLE_SECONDS
            self._carry_out(self.driver.on_time(instant()))
            self._gauges()
            try:
                async with asyncio.timeout(self._wake_in):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _carry_out(self, effects: Iterable[Effect[Submission]]) -> None:
        for effect in effects:
            self._carry_out_one(effect)

    def _carry_out_one(self, effect: Effect[Submission]) -> None:  # noqa: PLR0912 - one line for each effect
        match effect:
            case StatusChunk():
                effect.lane = self.lane
                self.outbox.send(output(topics.STATUSES, effect, effect.campaign))
            case Write():
                self._write(effect)
            case Report(record):
                if self._traces is not None:
                    self._traces.reported(record)
                self.outbox.send(output(topics.LANES, record, partition=self.lane))
            case Connect(intent, aggregator):
                self._submissions.connect(intent, aggregator)
            case HandOver(intent):
                if self._traces is not None:
                    self._traces.handed_over(intent)
                self._submissions.decide(intent, effect)
            case Disconnect(intent):
                self._submissions.decide(intent, None)
            case Wake(seconds):
                self._sleep(seconds)
            case WakeLine(seconds):
                if self._line_timer is not None:
                    self._line_timer.cancel()
                self._line_timer = asyncio.get_running_loop().call_later(seconds, self._line)
            case AwaitConsents(seconds):
                self._start(self._await_consents(seconds), "consents")
            case Release() | Move():
                for partition, release in routed(effect, self._context.settings.kafka.partitions):
                    self.outbox.send(output(topics.RECIPIENTS, release, partition=partition))
            case InBatches(following):
                task = asyncio.create_task(self._follow_up(following), name=f"lane-{self.lane}-follow-up")
                self._following_up.add(task)
                task.add_done_callback(self._following_up.discard)
            case _:
                self._carry_out_rare(effect)

    def _carry_out_rare(self, effect: Effect[Submission]) -> None:
        match effect:
            case Announce(record):
                self.outbox.send(output(topics.COMMANDS, record, record.campaign))
            case ReportUse(record):
                self.outbox.send(output(topics.ACCOUNT_COMMANDS, record, record.account))
            case Lookup():
                self._submissions.look_up(effect)
            case Letter():
                self._send_letter(effect)
            case Checkpoint():
                self._start(self._write_checkpoint(effect), "checkpoint")
            case MoveMark(offset):
                metrics.LANE_CHECKPOINTS.labels(self.lane).inc()
                self._reader.move_mark(self.lane, offset)
            case Rewind(offset):
                self._reader.rewind(self.lane, offset)
            case Void(_, picks):
                metrics.LANE_VOID_PICKS.labels(self.lane).inc(picks)
            case Claimed(epoch, seconds):
                metrics.LANE_REBUILD_SECONDS.labels(self.lane).set(seconds)
                about = {**self._about, "epoch": epoch}
                log.info("lane %s is ours, epoch %s, after %.1f s", self.lane, epoch, seconds, extra=about)
            case Log(level, text, cause):
                log.log(LEVELS[level], "lane %s: %s", self.lane, text, exc_info=cause, extra=self._about)

    def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            self.wake()
        self._wake_in = min(self._wake_in, seconds)

    def _line(self) -> None:
        self._carry_out(self.driver.on_line(instant()))

    async def _await_consents(self, seconds: float) -> None:
        await self._context.consents(seconds)
        self._line()

    def _write(self, effect: Write) -> None:
        record = effect.record
        if isinstance(record, Drop) and record.reason == Reason.TOO_LATE:
            metrics.LANE_TOO_LATE.labels(self.lane).inc(sum(stop - start for _, start, stop in record.slices))
        if self._traces is not None and isinstance(record, Drop | Defer):
            self._traces.withheld(record)
        future = self._context.producer.send(topics.LANES.name, encode(record), partition=self.lane)
        if isinstance(record, Intent | Drop | Defer):
            self._writing.add(future)
        future.add_done_callback(partial(self._written, effect))

    def _written(self, effect: Write, done: asyncio.Future[Delivered]) -> None:
        self._writing.discard(done)
        if done.cancelled():
            return
        error = done.exception()
        offset = None if error is not None else done.result().offset
        self._carry_out(self.driver.on_written(effect, offset, str(error or ""), instant()))

    async def _follow_up(self, effects: Iterator[StatusChunk | Release]) -> None:
        try:
            for effect in effects:
                await self.outbox.room()
                self._carry_out_one(effect)
                await asyncio.sleep(0)
        except Exception:
            # A defect, as a record that cannot be folded; the campaign's residual shows whose status was not written.
            log.exception("lane %s cannot write all that follows from a record", self.lane, extra=self._about)

    async def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        # The statuses that follow from the records below the mark exist nowhere else: they must be safe first.
        await self.followed_up()
        await self.outbox.drained()
        records = stream(checkpoint.snapshot, checkpoint.epoch)
        parts, error = 0, ""
        try:
            while (record := await asyncio.to_thread(next, records, None)) is not None:
                await self._context.producer.send(topics.LANES.name, encode(record), partition=self.lane)
                parts += 1
        except EmitError as failed:
            parts, error = 0, str(failed)
        self._carry_out(self.driver.on_checkpoint(checkpoint, parts, error))

    def _send_letter(self, letter: Letter) -> None:
        metrics.STEP_DEAD_LETTERS.labels("lanes").inc()
        record = DeadLetter(
            topic=topics.LANES.name,
            partition=self.lane,
            offset=letter.offset,
            step="lanes",
            error=letter.error,
            reason=Reason.UNREADABLE_RECORD,
            at=now_ms(),
            key=None,
            value=to_text(letter.raw),
        )
        self.outbox.send(output(topics.DEAD_LETTERS, record, topics.LANES.name))

    def _note_submission(self, intent: int) -> None:
        self._journaled(lambda: self._journal.submit(intent, self._is_open))

    def _is_open(self, intent: int) -> bool:
        """Whether the RESULT of any flight of the INTENT has not been read."""
        return any(flight.intent == intent for flight in self.driver.state.flights.values())

    def _journaled(self, note: Callable[[], None]) -> None:
        try:
            note()
        except OSError as error:
            # What the disk says would be wrong from here on: better to stop than to submit unrecorded.
            self._context.fail(error)
            raise

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"lane-{self.lane}-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("lane %s: %s failed", self.lane, task.get_name(), exc_info=task.exception(), extra=self._about)

    def _gauges(self) -> None:
        """Costs a look at each sender that has somebody due, so not at each turn."""
        seconds = monotonic()
        if seconds - self._gauges_at < IDLE_SECONDS:
            return
        self._gauges_at = seconds
        driver, now = self.driver, now_ms()
        state = driver.state
        oldest = state.table.oldest_due()
        ready = state.table.ready_count
        metrics.LANE_QUEUED.labels(self.lane).set(ready)
        metrics.LANE_DELAYED.labels(self.lane).set(state.waiting - ready)
        metrics.LANE_IN_FLIGHT.labels(self.lane).set(state.in_flight())
        metrics.LANE_OLDEST_DUE.labels(self.lane).set(0 if oldest is None else max(0, now - oldest) / 1000)
        metrics.LANE_SENDABLE.labels(self.lane).set(state.sendable())
        metrics.LANE_EPOCH.labels(self.lane).set(state.epoch if self.active else 0)
        metrics.LANE_LOG_BYTES.labels(self.lane).set(driver.checkpointing.log_bytes)
        metrics.LANE_SUSPENDED.labels(self.lane).set(driver.suspended)
        metrics.LANE_WITHOUT_DOMAIN.labels(self.lane).set(driver.shortage.suspended)
        least = least_left(state)
        for kind in KINDS:
            metrics.LANE_DOMAINS_LEFT.labels(self.lane, kind).set(least.get(kind, 1.0))
        metrics.LANE_LIMIT.labels(self.lane).set(driver.rate)
        backlog = driver.backlog(now)
        metrics.LANE_LATE.labels(self.lane).set(backlog.late)
        metrics.LANE_USABLE.labels(self.lane).set(backlog.usable)
        metrics.LANE_DRAIN.labels(self.lane).set(backlog.drain)
        show_senders(self.lane, driver.channels.roster.all())
