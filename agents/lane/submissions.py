"""The connections of one lane to its aggregators: carries out what its driver hands over."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence

from adapters.ports import OUTCOMES, Submission, SubmitOutcome, Trip, count_outcomes
from agents.lane.instant import instant
from agents.lane.route import Route, Routes
from agents.lane.senders import class_of
from pipeline.sending.driver import LaneDriver
from pipeline.sending.effects import Effect, HandOver, Lookup
from schemas import metrics
from schemas.reasons import Reason, label_of

log = logging.getLogger(__name__)


CarryOut = Callable[[Iterable[Effect[Submission]]], None]


class Submissions:
    """One task for each slice that waits for a connection or has one, and for each query."""

    def __init__(
        self,
        lane: int,
        routes: Routes,
        driver: LaneDriver[Submission],
        carry_out: CarryOut,
        note: Callable[[int], None],
    ) -> None:
        self._lane = lane
        self._routes = routes
        self._driver = driver
        self._carry_out = carry_out
        # Kept: looking a label set up costs as much as counting. Removed with the lane (`metrics.forget_lane`).
        self._late = metrics.DUE_TO_AGGREGATOR.labels(lane)
        self._segments = metrics.LANE_SEGMENTS.labels(lane)
        self._messages = {outcome: metrics.LANE_MESSAGES.labels(lane, outcome) for outcome in OUTCOMES}
        self._note = note
        """Writes down that the INTENT at this offset is about to be handed over; no request goes before that."""
        self._decided: dict[int, asyncio.Future[HandOver[Submission] | None]] = {}
        """What becomes of a slice that has a connection, by the offset of its INTENT."""
        self._tasks: set[asyncio.Task[None]] = set()

    def connect(self, intent: int, aggregator: str) -> None:
        """Get a connection to the aggregator for a slice, and submit it when the driver says so."""
        self._start(self._submit(intent, self._route(aggregator)), f"{intent}")

    def decide(self, intent: int, hand_over: HandOver[Submission] | None) -> None:
        """The slice goes now, or None: none of it does."""
        decided = self._decided.pop(intent)
        if not decided.done():
            decided.set_result(hand_over)

    def look_up(self, lookup: Lookup) -> None:
        """Ask the aggregator what became of messages."""
        self._start(self._look_up(lookup, self._route(lookup.aggregator)), f"ask-{lookup.flight}")

    def cancel(self) -> None:
        """End all tasks, whatever they wait for."""
        for task in self._tasks:
            task.cancel()

    def _route(self, aggregator: str) -> Route:
        route = self._routes.get(aggregator)
        assert route is not None, "the driver names aggregators that it was given"
        return route

    async def _submit(self, intent: int, route: Route) -> None:
        async with route.aggregator.connection():
            decided = self._decided[intent] = asyncio.get_running_loop().create_future()
            self._carry_out(self._driver.on_connected(intent, instant()))
            hand_over = await decided
            if hand_over is None:
                return
            for seconds in hand_over.late:
                self._late.observe(seconds)
            outcomes, trip = await self._hand_over(hand_over, route)
        self._count_segments(hand_over, route)
        self._count(outcomes, route)
        self._carry_out(self._driver.on_answer(intent, outcomes, trip.written, trip.took, instant()))

    async def _hand_over(self, slice_: HandOver[Submission], route: Route) -> tuple[list[SubmitOutcome], Trip]:
        """What the aggregator says of each message, and what is known of when they arrived."""
        self._note(slice_.intent)
        trip = Trip(lambda: self._driver.may_still_go(slice_.intent, instant()))
        outcomes = [SubmitOutcome("unknown", Reason.ADAPTER_ERROR)] * len(slice_.batch)
        try:
            outcomes = await route.aggregator.submit(slice_.batch, trip)
        except Exception:
            # Adapters do not raise; if one does, what it had done by then is not known.
            log.exception("lane %s: the aggregator adapter raised", self._lane, extra={"lane": self._lane})
        finally:
            route.breaker.record_result(outcomes)
        return outcomes, trip

    def _count_segments(self, slice_: HandOver[Submission], route: Route) -> None:
        """Count segments, and by the class of their senders."""
        self._segments.inc(slice_.segments)
        by_class: Counter[str] = Counter()
        for sender, segments in slice_.parts:
            by_class[class_of(self._driver.state.senders[sender].number)] += segments
        for class_, segments in by_class.items():
            metrics.SENDER_SEGMENTS.labels(self._lane, class_, route.breaker.name).inc(segments)

    def _count(self, outcomes: Sequence[SubmitOutcome], route: Route) -> None:
        """Count a slice by outcome, and by reason what was not accepted."""
        counts = count_outcomes(outcomes)
        for outcome, count in counts.items():
            self._messages[outcome].inc(count)
        if counts.get("accepted") == len(outcomes):
            return
        reasons = Counter(label_of(outcome.reason) for outcome in outcomes if outcome.outcome != "accepted")
        for reason, count in reasons.items():
            metrics.FAILURES.labels(route.breaker.name, "submission", reason).inc(count)

    async def _look_up(self, lookup: Lookup, route: Route) -> None:
        answers = await route.aggregator.lookup(lookup.ids)
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
