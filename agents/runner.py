"""The one failure policy of all steps.

A step's `handle` is called once per record, in order, and returns what must be written. The runner
1. decodes; what does not decode goes to the dead letters with its origin;
2. calls `handle`; a `Transient` failure is retried in place for as long as it lasts, anything else a few times,
   then the record goes to the dead letters;
3. waits until everything emitted, table changelogs included, was acknowledged by the broker;
4. acknowledges the record.
Steps 1 and 2 run one record after another; 3 and 4 overlap with the next records, up to `IN_FLIGHT` of them.

A dead letter that cannot be written is tried for as long as Kafka is away: the step stops there, visibly, and loses
nothing. One that Kafka refuses (its topic is full, closed or too small for it) ends the process after
`REFUSED_SECONDS`, with nothing acknowledged; whoever starts it again goes on once the cause is gone. A record that
leads to something too large for Kafka goes to the dead letters itself. A record whose partition is revoked while it
is tried is let go: whoever has the partition next reads it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Generic, TypeVar

from adapters.clock import now_ms, now_ns
from adapters.errors import EmitError, EmitRefused, LongwaveError, StoreUnavailable
from adapters.kafka.producer import Producer
from adapters.ports import Delivered
from agents.faust_port import Event, Stream
from agents.guards.table import StaleGeneration, is_current
from schemas import metrics, topics
from schemas.deadletter import DeadLetter, to_text
from schemas.reasons import Reason
from schemas.wire import Codec, DecodeError, Record, encode

log = logging.getLogger(__name__)

IN_FLIGHT = 64
"""Records of one step whose emissions are not acknowledged yet, at most."""
ATTEMPTS = 3
"""How often a record is tried when `handle` raises something that is not transient."""
FIRST_PAUSE, LAST_PAUSE = 0.2, 5.0
"""Seconds between attempts, doubling."""
STOP_SECONDS = 2.0
"""How long a step that ends waits for emissions under way; what is not acknowledged by then comes again."""

REFUSED_SECONDS = 15.0
"""How long dead letters may be refused before the process ends: long enough for the metric to be seen."""

R = TypeVar("R", bound=Record)


class Transient(Exception):
    """It will work later: something outside is away. The text says what is awaited."""


class DeadLettersRefused(LongwaveError):
    """Kafka refuses the dead letters; the text says why and what to do."""


TRANSIENT = (Transient, EmitError, StoreUnavailable)


@dataclass(frozen=True, slots=True)
class Output:
    """One record to write."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None


def output(topic: topics.Topic, record: Record, key: str | None = None, partition: int | None = None) -> Output:
    """The `Output` of a record."""
    return Output(topic.name, encode(record), None if key is None else key.encode(), partition)


@dataclass(slots=True)
class Emissions:
    """What handling one record leads to."""

    outputs: list[Output] = field(default_factory=list)
    settled: Sequence[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Further things to wait for, for instance table changelogs."""
    recipients: int = 0
    traced: Callable[[int, int], None] | None = None
    """Called when all of it is done, with the begin and the end (ns): makes spans (`agents.traces`)."""


class Step(Generic[R]):
    """One step: its name (also the label of its metrics and dead letters), its codec, and what it does."""

    def __init__(
        self,
        name: str,
        codec: Codec[R],
        handle: Callable[[R, Event], Emissions | Awaitable[Emissions]],
        producer: Callable[[], Producer],
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self.name = name
        self._codec = codec
        self._handle = handle
        self._producer = producer
        self._slots = asyncio.Semaphore(in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        count_from_zero(name)

    async def run(self, stream: Stream) -> None:
        """Consume a stream forever (the body of a Faust agent). `handle(record, event)` must not await when it
        writes to tables: Faust finds a table's partition through the event that is being iterated.

        Raises:
            ExceptionGroup: finishing a record failed in a way that trying again does not mend.
        """
        async with asyncio.TaskGroup() as group:
            try:
                async for event in stream.noack().events():
                    await self._take(group, stream, event)
            finally:
                await self._wind_up()

    async def _take(self, group: asyncio.TaskGroup, stream: Stream, event: Event) -> None:
        await self._slots.acquire()
        started = perf_counter()
        metrics.STEP_UNACKED.labels(self.name).inc()
        emissions = None
        try:
            emissions = await self._attempt(event)
        finally:
            if emissions is None:
                self._let_go()
        if emissions is not None:
            task = group.create_task(self._finish(stream, event, emissions, started))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wind_up(self) -> None:
        if not self._tasks:
            return
        ending = asyncio.ensure_future(asyncio.wait(self._tasks, timeout=STOP_SECONDS))
        while not ending.done():
            # Faust cancels an agent that it stops more than once.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(ending)
        for task in self._tasks:
            task.cancel()

    def _let_go(self) -> None:
        metrics.STEP_UNACKED.labels(self.name).dec()
        self._slots.release()

    async def _attempt(self, event: Event) -> Emissions | None:
        """What the event leads to; None when it is not ours anymore."""
        try:
            record = self._codec.decode(event.message.value)
        except DecodeError as error:
            return self._dead(event, error)
        attempt, pause = 0, FIRST_PAUSE
        while is_current(event):
            try:
                result = self._handle(record, event)
                return result if isinstance(result, Emissions) else await result
            except StaleGeneration as error:
                log.info("%s lets go of %s: %s", self.name, _origin(event), error)
                return None
            except TRANSIENT as error:
                metrics.STEP_FAILURES.labels(self.name).inc()
                log.warning("%s waits: %s", self.name, error)
            except Exception as error:
                metrics.STEP_FAILURES.labels(self.name).inc()
                attempt += 1
                if attempt == ATTEMPTS:
                    log.exception("%s gives up on %s", self.name, _origin(event))
                    return self._dead(event, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
        return None

    def _dead(self, event: Event, error: Exception) -> Emissions:
        reason = Reason.UNREADABLE_RECORD if isinstance(error, DecodeError) else Reason.STEP_FAILED
        return Emissions([dead_letter(self.name, event, reason, error)])

    async def _write(self, event: Event, outputs: list[Output]) -> None:
        try:
            await write(self._producer(), outputs, self.name)
        except EmitRefused as error:
            await write(self._producer(), [dead_letter(self.name, event, Reason.OUTPUT_REFUSED, error)], self.name)

    async def _finish(self, stream: Stream, event: Event, emissions: Emissions, started: float) -> None:
        try:
            await self._write(event, emissions.outputs)
            for settled in emissions.settled:
                await settled()
            await stream.ack(event)
            metrics.STEP_RECORDS.labels(self.name).inc()
            metrics.STEP_RECIPIENTS.labels(self.name).inc(emissions.recipients)
            seconds = perf_counter() - started
            metrics.STEP_SECONDS.labels(self.name).observe(seconds)
            if emissions.traced is not None:
                end = now_ns()
                emissions.traced(end - round(seconds * 1e9), end)
        finally:
            self._let_go()


class Refusal:
    """Tracks how long dead letters of one step have been refused."""

    def __init__(self, step: str) -> None:
        self._gauge = metrics.DEAD_LETTERS_REFUSED.labels(step)
        self._since: float | None = None

    def record_success(self) -> None:
        """A dead letter was written."""
        if self._since is not None:
            self._since = None
            self._gauge.set(0)

    def record_refusal(self, error: EmitRefused) -> DeadLettersRefused | None:
        """A dead letter was refused. Returns the error to end this process with if that has gone on for too long."""
        self._gauge.set(1)
        if self._since is None:
            self._since = monotonic()
            log.error("dead letters are refused: %s; nothing is acknowledged", error)
        if monotonic() - self._since < REFUSED_SECONDS:
            return None
        stop = DeadLettersRefused(
            f"topic {topics.DEAD_LETTERS.name} takes no dead letters ({error}): this process ends, and goes on from "
            "where it is when it is started again; give the topic room or rights (`longwave doctor` compares its "
            "settings), or deal with its letters (`longwave dead-letters list`)"
        )
        log.critical("%s", stop)
        return stop


def count_from_zero(step: str) -> None:
    """Export the counters of a step before anything is counted: an alert sees the first failure too."""
    metrics.STEP_RECORDS.labels(step)
    metrics.STEP_FAILURES.labels(step)
    metrics.STEP_DEAD_LETTERS.labels(step)


def _origin(event: Event) -> str:
    return f"{event.message.topic}/{event.message.partition}/{event.message.offset}"


def dead_letter(step: str, event: Event, reason: Reason, error: Exception) -> Output:
    """The dead letter of an event that `step` gives up, with its origin and its bytes as they came."""
    metrics.STEP_DEAD_LETTERS.labels(step).inc()
    message = event.message
    log.warning("%s puts %s to the dead letters: %s", step, _origin(event), error)
    letter = DeadLetter(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        step=step,
        reason=reason,
        error=f"{type(error).__name__}: {error}",
        at=now_ms(),
        key=to_text(message.key),
        value=to_text(message.value),
    )
    return output(topics.DEAD_LETTERS, letter, message.topic)


async def write(producer: Producer, outputs: list[Output], step: str = "") -> None:
    """Write records and wait for the broker; what is not acknowledged is written again until it is.

    Raises:
        EmitRefused: one of them is too large for its topic; all others were written.
        DeadLettersRefused: one is a dead letter, and has been refused for `REFUSED_SECONDS`.
    """
    pending = [
        (record, producer.send(record.topic, record.value, key=record.key, partition=record.partition))
        for record in outputs
    ]
    pause, refusal, oversized = FIRST_PAUSE, Refusal(step), None
    while pending:
        failed = []
        for record, future in pending:
            error = await _failure(record, future)
            letter = record.topic == topics.DEAD_LETTERS.name
            if letter and isinstance(error, EmitRefused) and (stop := refusal.record_refusal(error)) is not None:
                raise stop
            if not letter and isinstance(error, EmitRefused) and error.oversized:
                oversized = error
            elif error is not None:
                failed.append(record)
        if failed:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
        pending = [
            (record, producer.send(record.topic, record.value, key=record.key, partition=record.partition))
            for record in failed
        ]
    refusal.record_success()
    if oversized is not None:
        raise oversized


async def _failure(record: Output, future: asyncio.Future[Delivered]) -> EmitError | None:
    try:
        await future
    except EmitError as error:
        log.warning("writing to %s waits: %s", record.topic, error)
        return error
    return None
