"""The ClickHouse writer: takes records in batches bounded by number, bytes and time, inserts, then acknowledges.

What ClickHouse holds are sets and replacing rows, so a batch that is inserted twice changes nothing. ClickHouse away,
or set up otherwise than we need (no such table, no right): the batch waits and nothing is acknowledged, because none
of its records is to blame. A batch that is refused is tried in halves, and what is refused alone goes to the dead
letters.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic, perf_counter
from typing import Generic, TypeVar

from adapters.clock import now_ns
from adapters.errors import StoreMisfit, StoreRefused, StoreUnavailable
from adapters.kafka.producer import Producer
from agents.faust_port import Event, Message, Stream
from agents.runner import FIRST_PAUSE, LAST_PAUSE, count_from_zero, dead_letter, write
from schemas import metrics
from schemas.reasons import Reason
from schemas.wire import DecodeError

log = logging.getLogger(__name__)

RECORDS = 2000
"""Records of one insert at most; a status record has up to 500 recipients."""
BYTES = 8_000_000
"""Of one batch, and of what waits for the next: decoded they take several times as much memory."""
SECONDS = 0.4
"""How long the first record of a batch waits for company."""

SLOW_SECONDS = 1.0
"""From when on an insert counts as waiting."""

R = TypeVar("R")


class BatchStep(Generic[R]):
    """One topic's way into ClickHouse. `decode(message)` and `insert(records)` say what it is; after an insert,
    `traced(records, begin, end)` is called, in ns."""

    def __init__(
        self,
        name: str,
        decode: Callable[[Message], R],
        insert: Callable[[Sequence[R]], object],
        producer: Callable[[], Producer],
        traced: Callable[[Sequence[R], int, int], None] | None = None,
    ) -> None:
        self.name = name
        self._decode = decode
        self._insert = insert
        self._producer = producer
        self._traced = traced
        self._queue: asyncio.Queue[Event] = asyncio.Queue(RECORDS)
        self._queued_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        count_from_zero(name)

    async def run(self, stream: Stream) -> None:
        """The body of the Faust agent.

        Raises:
            ExceptionGroup: inserting failed in a way that trying again does not mend; the stream ends with it.
        """
        async with asyncio.TaskGroup() as group:
            inserting = group.create_task(self._insert_for_ever(stream), name=f"writer-{self.name}")
            try:
                async for event in stream.noack().events():
                    await self._take(event)
            finally:
                inserting.cancel()

    async def _take(self, event: Event) -> None:
        await self._room.wait()
        self._count(len(event.message.value or b""))
        await self._queue.put(event)

    def _count(self, size: int) -> None:
        self._queued_bytes += size
        if self._queued_bytes < BYTES:
            self._room.set()
        else:
            self._room.clear()

    async def _insert_for_ever(self, stream: Stream) -> None:
        while True:
            batch = await self._decoded(stream, await self._batch())
            if batch:
                await self._insert_all(stream, batch)

    async def _batch(self) -> list[Event]:
        batch = [await self._queue.get()]
        until, size = monotonic() + SECONDS, len(batch[0].message.value or b"")
        while len(batch) < RECORDS and size < BYTES:
            try:
                async with asyncio.timeout(max(0.0, until - monotonic())):
                    batch.append(await self._queue.get())
            except TimeoutError:
                break
            size += len(batch[-1].message.value or b"")
        self._count(-size)
        return batch

    async def _decoded(self, stream: Stream, events: list[Event]) -> list[tuple[Event, R]]:
        batch: list[tuple[Event, R]] = []
        for event in events:
            try:
                batch.append((event, self._decode(event.message)))
            except DecodeError as error:
                await self._dead_letter(stream, event, error)
        return batch

    async def _insert_all(self, stream: Stream, batch: list[tuple[Event, R]]) -> None:
        records, began = [record for _, record in batch], now_ns()
        try:
            await self._persist(records)
        except Exception as error:
            metrics.STEP_FAILURES.labels(self.name).inc()
            if not isinstance(error, StoreRefused):
                log.exception("%s cannot insert %s records", self.name, len(batch))
            await self._split(stream, batch, error)
            return
        for event, _ in batch:
            await stream.ack(event)
        metrics.STEP_RECORDS.labels(self.name).inc(len(batch))
        if self._traced is not None:
            self._traced(records, began, now_ns())

    async def _split(self, stream: Stream, batch: list[tuple[Event, R]], error: Exception) -> None:
        # In halves: what is refused is found in a few inserts, and its neighbours go in together.
        if len(batch) == 1:
            await self._dead_letter(stream, batch[0][0], error)
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            await self._insert_all(stream, half)

    async def _persist(self, records: Sequence[R]) -> None:
        """Insert, and wait for as long as ClickHouse is away or does not fit."""
        pause, since = FIRST_PAUSE, monotonic()
        while True:
            started = perf_counter()
            try:
                await self._visibly(records, since)
            except (StoreUnavailable, StoreMisfit) as error:
                metrics.STEP_FAILURES.labels(self.name).inc()
                todo = "; `longwave run migrate` makes its tables" if isinstance(error, StoreMisfit) else ""
                log.warning("%s waits for ClickHouse: %s%s", self.name, error, todo)
                await asyncio.sleep(pause)
                metrics.WRITER_WAITING.labels(self.name).set(monotonic() - since)
                pause = min(2 * pause, LAST_PAUSE)
                continue
            metrics.WRITER_SECONDS.observe(perf_counter() - started)
            metrics.WRITER_WAITING.labels(self.name).set(0)
            return

    async def _visibly(self, records: Sequence[R], since: float) -> None:
        """One insert; the gauge rises while ClickHouse takes its time, for it may hang for minutes."""
        inserting = asyncio.ensure_future(asyncio.to_thread(self._insert, records))
        try:
            while not (await asyncio.wait({inserting}, timeout=SLOW_SECONDS))[0]:
                metrics.WRITER_WAITING.labels(self.name).set(monotonic() - since)
            inserting.result()
        finally:
            inserting.cancel()

    async def _dead_letter(self, stream: Stream, event: Event, error: Exception) -> None:
        reason = Reason.UNREADABLE_RECORD if isinstance(error, DecodeError) else Reason.OUTPUT_REFUSED
        await write(self._producer(), [dead_letter(self.name, event, reason, error)], self.name)
        await stream.ack(event)
