"""Records that must reach Kafka, but that nobody waits for one by one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from adapters.errors import EmitError, EmitRefused
from adapters.kafka.producer import Producer
from adapters.ports import Delivered
from agents.runner import Output, Refusal
from schemas import topics

log = logging.getLogger(__name__)

ROOM = 512
"""Unacknowledged records from which on the outbox is full."""
RESEND_SECONDS = 0.5
WARN_SECONDS = 10.0
"""At most one warning in this time: an outage fails records by the hundred."""


class Outbox:
    """Sends at once and keeps each record until it is acknowledged; what fails is sent again.

    Order is not kept between a record that failed and later ones: only for records whose order means nothing
    (statuses are sets). `on_failure` is called when dead letters have been refused for too long.
    """

    def __init__(self, producer: Producer, on_failure: Callable[[Exception], None] | None = None) -> None:
        self._producer = producer
        self._on_failure = on_failure
        self._has_failed = False
        self._refusal = Refusal("lanes")
        self._pending: set[asyncio.Future[Delivered] | asyncio.TimerHandle] = set()
        self._drained: list[asyncio.Future[None]] = []
        self._room = asyncio.Event()
        self._room.set()
        self._warned = -WARN_SECONDS

    def send(self, record: Output) -> None:
        """Hand over a record; returns at once."""
        future = self._producer.send(record.topic, record.value, key=record.key, partition=record.partition)
        self._pending.add(future)
        if len(self._pending) >= ROOM:
            self._room.clear()
        future.add_done_callback(lambda done: self._done(record, done))

    async def room(self) -> None:
        """Wait while the outbox is full: the back-pressure of whoever fills it."""
        await self._room.wait()

    async def drained(self) -> None:
        """Wait until nothing is pending."""
        if not self._pending:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drained.append(future)
        await future

    def _done(self, record: Output, future: asyncio.Future[Delivered]) -> None:
        error = None if future.cancelled() else future.exception()
        if record.topic == topics.DEAD_LETTERS.name:
            self._watch_letters(error)
        if isinstance(error, EmitError):
            self._warn(record.topic, error)
            handle: asyncio.TimerHandle = asyncio.get_running_loop().call_later(
                RESEND_SECONDS, lambda: self._resend(record, handle)
            )
            self._pending.add(handle)
        self._pending.discard(future)
        self._wake()

    def _watch_letters(self, error: BaseException | None) -> None:
        if error is None:
            self._refusal.record_success()
        elif isinstance(error, EmitRefused) and not self._has_failed:
            stop = self._refusal.record_refusal(error)
            if stop is not None and self._on_failure is not None:
                self._has_failed = True
                self._on_failure(stop)

    def _warn(self, topic: str, error: EmitError) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned >= WARN_SECONDS:
            self._warned = now
            log.warning("writing to %s waits, %d records pending: %s", topic, len(self._pending), error)

    def _resend(self, record: Output, handle: asyncio.TimerHandle) -> None:
        self.send(record)
        self._pending.discard(handle)

    def _wake(self) -> None:
        if len(self._pending) < ROOM:
            self._room.set()
        if not self._pending:
            for waiter in self._drained:
                if not waiter.done():
                    waiter.set_result(None)
            self._drained.clear()
