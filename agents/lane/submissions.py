"""The connections of one lane to its aggregator: carries out what its driver hands over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from time import monotonic

from adapters.ports import AggregatorPort, Submission, SubmitOutcome
from agents.lane.breaker import AggregatorBreaker
from agents.lane.instant import instant
from pipeline.sending.driver import LaneDriver
from pipeline.sending.effects import Effect, HandOver, Lookup
from schemas import metrics
from schemas.reasons import Reason

log = logging.getLogger(__name__)

CarryOut = Callable[[Iterable[Effect[Submission]]], None]


class Submissions:
    """One task for each slice that waits for a connection or has one, and for each query."""

    def __init__(
        self,
        lane: int,
        sender: str,
        aggregator: AggregatorPort,
        breaker: AggregatorBreaker,
        driver: LaneDriver[Submission],
        carry_out: CarryOut,
    ) -> None:
        self._lane = lane
        self._sender = sender
        self._aggregator = aggregator
        self._breaker = breaker
        self._driver = driver
        self._carry_out = carry_out
        self._decided: dict[int, asyncio.Future[HandOver[Submission] | None]] = {}
        """What becomes of a slice that has a connection, by the offset of its INTENT."""
        self._tasks: set[asyncio.Task[None]] = set()

    def connect(self, intent: int) -> None:
        """Get a connection for a slice, and submit it when the driver says so."""
        self._start(self._submit(intent), f"{intent}")

    def decide(self, intent: int, hand_over: HandOver[Submission] | None) -> None:
        """The slice goes now, or None: nobody of it does."""
        decided = self._decided.pop(intent)
        if not decided.done():
            decided.set_result(hand_over)

    def look_up(self, lookup: Lookup) -> None:
        """Ask the aggregator what became of messages."""
        self._start(self._look_up(lookup), f"ask-{lookup.intent}")

    def cancel(self) -> None:
        """End all tasks, whatever they wait for."""
        for task in self._tasks:
            task.cancel()

    async def _submit(self, intent: int) -> None:
        async with self._aggregator.connection():
            decided = self._decided[intent] = asyncio.get_running_loop().create_future()
            self._carry_out(self._driver.on_connected(instant()))
            hand_over = await decided
            if hand_over is None:
                return
            outcomes, written = await self._hand_over(hand_over)
        metrics.LANE_SEGMENTS.labels(self._lane).inc(hand_over.segments)
        self._carry_out(self._driver.on_answer(intent, outcomes, written, instant()))

    async def _hand_over(self, slice_: HandOver[Submission]) -> tuple[list[SubmitOutcome], float | None]:
        """What the aggregator says of each message, and when (s) they were written, None where that is not known."""
        written: list[float] = []
        outcomes = [SubmitOutcome("unknown", Reason.ADAPTER_ERROR)] * len(slice_.batch)
        try:
            outcomes = await self._aggregator.submit(
                self._sender,
                slice_.batch,
                lambda: written.append(monotonic()),
                lambda: self._driver.may_still_go(slice_.intent, instant()),
            )
        except Exception:
            # Adapters do not raise; if one does, what it had done by then is not known.
            log.exception("lane %s: the aggregator adapter raised", self._lane, extra={"lane": self._lane})
        finally:
            self._breaker.record_result(outcomes)
        return outcomes, written[0] if written else None

    async def _look_up(self, lookup: Lookup) -> None:
        answers = await self._aggregator.lookup(lookup.ids)
        self._carry_out(self._driver.on_lookup(lookup, answers, instant()))

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"lane-{self._lane}-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "lane %s: a submission failed", self._lane, exc_info=task.exception(), extra={"lane": self._lane}
            )
