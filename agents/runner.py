"""The one failure policy of all steps.

A step's `handle` is called once per record, in order, and returns what must be written. The runner
1. decodes; what does not decode goes to the dead letters with its origin;
2. calls `handle`; a `Transient` failure is retried in place for as long as it lasts, anything else a few times,
   then the record goes to the dead letters;
3. waits until everything emitted, table changelogs included, was acknowledged by the broker;
4. acknowledges the record.
Steps 1 and 2 run one record after another; 3 and 4 overlap with the next records, up to `IN_FLIGHT` of them.

A dead letter that cannot be written is tried for ever: the step stops there, visibly, and loses nothing. A record
whose partition is revoked while it is tried is let go: whoever has the partition next reads it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

from adapters.clock import now_ms
from adapters.errors import EmitError, StoreUnavailable
from adapters.ports import Delivered
from adapters.producer import Producer
from agents.table import Outlived, is_current
from schemas import metrics, topics
from schemas.deadletter import DeadLetter, to_text
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

R = TypeVar("R", bound=Record)


class Transient(Exception):
    """It will work later: something outside is away. The text says what is awaited."""


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


class Step(Generic[R]):
    """One step: its name (also the label of its metrics and dead letters), its codec, and what it does."""

    def __init__(
        self,
        name: str,
        codec: Codec[R],
        handle: Callable[[R, Any], Emissions | Awaitable[Emissions]],
        producer: Callable[[], Producer],
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self.name = name
        self._codec = codec
        self._handle = handle
        self._producer = producer
        self._slots = asyncio.Semaphore(in_flight)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stream: Any) -> None:
        """Consume a stream for ever (the body of a Faust agent). `handle(record, event)` must not await when it
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

    async def _take(self, group: asyncio.TaskGroup, stream: Any, event: Any) -> None:
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

    async def _attempt(self, event: Any) -> Emissions | None:
        """What the event leads to; None when it is not ours any more."""
        try:
            record = self._codec.decode(event.message.value)
        except DecodeError as error:
            return self._dead(event, error)
        attempt, pause = 0, FIRST_PAUSE
        while is_current(event):
            try:
                result = self._handle(record, event)
                return result if isinstance(result, Emissions) else await result
            except Outlived as error:
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

    def _dead(self, event: Any, error: Exception) -> Emissions:
        return Emissions([dead_letter(self.name, event, error)])

    async def _finish(self, stream: Any, event: Any, emissions: Emissions, started: float) -> None:
        try:
            await write(self._producer(), emissions.outputs)
            for settled in emissions.settled:
                await settled()
            await stream.ack(event)
            metrics.STEP_RECORDS.labels(self.name).inc()
            metrics.STEP_RECIPIENTS.labels(self.name).inc(emissions.recipients)
            metrics.STEP_SECONDS.labels(self.name).observe(perf_counter() - started)
        finally:
            self._let_go()


def _origin(event: Any) -> str:
    return f"{event.message.topic}/{event.message.partition}/{event.message.offset}"


def dead_letter(step: str, event: Any, error: Exception) -> Output:
    """The dead letter of an event that `step` gives up, with its origin and its bytes as they came."""
    metrics.STEP_DEAD_LETTERS.labels(step).inc()
    message = event.message
    log.warning("%s puts %s to the dead letters: %s", step, _origin(event), error)
    letter = DeadLetter(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        step=step,
        error=f"{type(error).__name__}: {error}",
        at=now_ms(),
        key=to_text(message.key),
        value=to_text(message.value),
    )
    return output(topics.DEAD_LETTERS, letter, message.topic)


async def write(producer: Producer, outputs: list[Output]) -> None:
    """Write records and wait for the broker; what is not acknowledged is written again until it is."""
    pending = [(one, producer.send(one.topic, one.value, key=one.key, partition=one.partition)) for one in outputs]
    pause = FIRST_PAUSE
    while pending:
        failed = [one for one, future in pending if await _failed(one, future)]
        if failed:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
        pending = [(one, producer.send(one.topic, one.value, key=one.key, partition=one.partition)) for one in failed]


async def _failed(one: Output, future: asyncio.Future[Delivered]) -> bool:
    try:
        await future
    except EmitError as error:
        log.warning("writing to %s waits: %s", one.topic, error)
        return True
    return False
