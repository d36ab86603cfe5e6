"""Callbacks: receipts, texts and clicks, posted to the ingress when they are due, until it answers 2xx.

The record of submissions is the queue. The pump reads it from its mark on, holds at most `HELD_LIMIT` events in
memory, and moves the mark to the oldest entry that still has an event to send; the mark is kept in
`callbacks.mark`. So nothing is lost when the ingress is away or the simulator is killed (at least once, with the
same contents the second time), and memory stays bounded: while too much is held, reading pauses and events come late.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.aggregator.fates import Event, fates
from loadtest.aggregator.record import entries
from loadtest.aggregator.script import Script

HELD_LIMIT: Final = 200_000
TICK_SECONDS: Final = 0.02
MARK_NAME: Final = "callbacks.mark"
READ_PER_TICK: Final = 5

Send = Callable[[list[Event]], Awaitable[None]]
"""Delivers events for good: returns only when the other side has taken them."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How one kind of event travels: so many in a request, so many requests at once."""

    kind: str
    batch: int
    parallel: int
    send: Send


class Queue:
    """Events of one channel by due time, and the requests under way."""

    def __init__(self, channel: Channel, done: Callable[[list[Event]], None]) -> None:
        self.channel = channel
        self.waiting: list[Event] = []
        self._done = done
        self._running: set[asyncio.Task[None]] = set()

    def start_due(self, now: int, most: int) -> int:
        """Begin requests with events due at `now` (ns), `most` at most; returns how many events."""
        started = 0
        while started < most and len(self._running) < self.channel.parallel:
            room = min(self.channel.batch, most - started)
            events: list[Event] = []
            while self.waiting and self.waiting[0].due <= now and len(events) < room:
                events.append(heapq.heappop(self.waiting))
            if not events:
                break
            task = asyncio.create_task(self._send(events))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            started += len(events)
        return started

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _send(self, events: list[Event]) -> None:
        await self.channel.send(events)
        self._done(events)


class Pump:
    """Moves events from the record to the channels. `run` until cancelled, then `close`."""

    def __init__(self, data: Path, script: Script, channels: list[Channel]) -> None:
        self._data = data
        self._script = script
        self._queues = {channel.kind: Queue(channel, self._finish) for channel in channels}
        self._mark = data / MARK_NAME
        self._position = self._read_mark()
        self._open: dict[int, int] = {}
        """Events not yet sent by the entry (its start) that they come from, in order of the record."""
        self.sent: dict[str, int] = dict.fromkeys(self._queues, 0)

    @property
    def held(self) -> int:
        """Events read from the record and not yet taken by the ingress."""
        return sum(self._open.values())

    async def run(self) -> None:
        allowance, last, saved = 0.0, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            rate = self._script.callbacks_per_second
            allowance = min(rate * 0.1 + 1, allowance + (now - last) * rate)
            last = now
            self._read()
            for queue in self._queues.values():
                allowance -= queue.start_due(time.time_ns(), int(allowance))
            if now - saved > 1.0:
                saved = now
                self._save_mark()
            await asyncio.sleep(TICK_SECONDS)

    async def close(self) -> None:
        for queue in self._queues.values():
            await queue.stop()
        self._save_mark()

    def _read(self) -> None:
        held = self.held
        for count, entry in enumerate(entries(self._data, self._position)):
            if count == READ_PER_TICK or held >= HELD_LIMIT:
                return
            self._position = entry.end
            events = fates(self._script, entry)
            if events:
                self._open[entry.start] = len(events)
                held += len(events)
            for event in events:
                heapq.heappush(self._queues[event.kind].waiting, event)

    def _finish(self, events: list[Event]) -> None:
        for event in events:
            self.sent[event.kind] += 1
            left = self._open[event.origin] - 1
            if left:
                self._open[event.origin] = left
            else:
                del self._open[event.origin]

    def _read_mark(self) -> int:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._mark.read_text())
        return 0

    def _save_mark(self) -> None:
        fresh = self._mark.with_suffix(".new")
        fresh.write_text(str(next(iter(self._open), self._position)))
        fresh.replace(self._mark)
