"""Asking what became of messages, the aggregator (policy `query`) or their lost owner: carries out the Ask effects of
one lane."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from adapters.clock import now_ms
from adapters.ports import AggregatorPort
from agents.runner import output
from pipeline.lane.outcomes import open_indices
from pipeline.lane.state import Flight
from pipeline.sending.ask import ASKED_FOR_MS, HEARD_BY_MS, answered, ask_after, given_up, open_ids, pause_before
from schemas import topics
from schemas.lane import Result
from schemas.reasons import Reason

if TYPE_CHECKING:
    from agents.lane.owner import LaneOwner

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Queries under way at once: after a crash there may be an in-flight window of them."""


class Asker:
    """One task for each flight that is asked for, until its RESULT is written or the lane is lost.

    What an owner leaves unanswered the next one asks for, because its OWNER record gives the same effects again.
    """

    def __init__(self, owner: LaneOwner, aggregator: AggregatorPort) -> None:
        self._owner = owner
        self._aggregator = aggregator
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)

    def start(self, flight: Flight) -> None:
        """Ask for a flight; nothing if it is asked for already."""
        if flight.offset in self._tasks:
            return
        task = asyncio.create_task(self._ask(flight.offset), name=f"lane-{self._owner.lane}-ask-{flight.offset}")
        self._tasks[flight.offset] = task
        task.add_done_callback(lambda done: self._finished(flight.offset, done))

    def cancel(self) -> None:
        """The lane is lost: its next owner asks."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()

    def _finished(self, offset: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(offset) is task:
            del self._tasks[offset]
        if not task.cancelled() and task.exception() is not None:
            log.error("lane %s: asking failed", self._owner.lane, exc_info=task.exception())

    async def _ask(self, offset: int) -> None:
        if self._owner.state.asks(self._owner.state.flights[offset].key[0]):
            await self._ask_aggregator(offset)
        else:
            await self._wait_for_owner(offset)

    async def _wait_for_owner(self, offset: int) -> None:
        await asyncio.sleep(HEARD_BY_MS / 1000)
        if (flight := self._still_asked(offset)) is not None:
            self._report(given_up(flight, now_ms(), Reason.OWNER_LOST))

    async def _ask_aggregator(self, offset: int) -> None:
        await asyncio.sleep(ask_after(self._aggregator.settled_after) / 1000)
        attempt = 0
        while (flight := self._still_asked(offset)) is not None:
            if now_ms() - flight.at > ASKED_FOR_MS:
                self._report(given_up(flight, now_ms()))
                return
            ids, indices = open_ids(self._owner.state, flight), open_indices(flight)
            async with self._gate:
                found = await self._aggregator.lookup(ids)
            if not isinstance(found, str):
                self._report(answered(offset, indices, found, now_ms()))
                log.info("lane %s: told what became of %d messages of INTENT %s", self._owner.lane, len(ids), offset)
                return
            attempt += 1
            if attempt == 1:
                log.warning("lane %s: no answer about %d messages: %s", self._owner.lane, len(ids), found)
            await asyncio.sleep(pause_before(attempt) / 1000)

    def _still_asked(self, offset: int) -> Flight | None:
        flight = self._owner.state.flights.get(offset)
        return flight if flight is not None and flight.asking and self._owner.active else None

    def _report(self, result: Result) -> None:
        self._owner.outbox.send(output(topics.LANES, result, partition=self._owner.lane))
