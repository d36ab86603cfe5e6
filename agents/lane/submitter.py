"""From a valid INTENT to its RESULT: the last checks, the texts, the aggregator."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from adapters.clock import boot_seconds, now_ms
from adapters.ports import AggregatorPort, Submission, SubmitOutcome
from agents.context import Context
from agents.lane.breaker import AggregatorBreaker
from agents.runner import output
from pipeline.content.outgoing import Renderer, compile_lane_message
from pipeline.identity.tokens import message_ids
from pipeline.lane.state import Flight
from pipeline.limits.rate import Charge, Queue, Window
from pipeline.sending.submission import away, held_all, held_back, hours_of, is_stale, result_groups
from schemas import metrics, topics
from schemas.lane import LaneMessage, Result, ResultGroup
from schemas.reasons import Reason, written

if TYPE_CHECKING:
    from agents.lane.owner import LaneOwner

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""How often at least a slice that waits in its place looks whether it still may."""
SHORT_HOLD_SECONDS = 1.0
"""Slices wait in their place while the aggregator wants nothing of the account for so long; longer, in the queue."""
CHECK_HOLDS_SECONDS = 0.2
"""A slice that is not written within this of its last check is checked again at the moment of writing."""


class Submitter:
    """Carries out the Submit effects of one lane, several at a time."""

    def __init__(
        self,
        owner: LaneOwner,
        context: Context,
        aggregator: AggregatorPort,
        breaker: AggregatorBreaker,
        sender: str,
        window: Window,
    ) -> None:
        self._owner = owner
        self._context = context
        self._aggregator = aggregator
        self._breaker = breaker
        self._sender = sender
        self._window = window
        self._gate = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, int] = {}
        """Segments of the slices that wait for the limit or for a connection, by the INTENT's offset."""
        self._queue = Queue()
        self._renderers: dict[str, Renderer] = {}

    @property
    def count(self) -> int:
        """Slices under way."""
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """Those of them that the limit has not let through yet, or that wait for a connection."""
        return len(self._waiting)

    @property
    def most_waiting(self) -> int:
        """How many slices come to their turn soon, those included whose INTENT is not read back yet; an INTENT beyond
        that would be stale by then."""
        return self._queue.most

    @property
    def waiting_segments(self) -> int:
        """Segments of those."""
        return sum(self._waiting.values())

    def start(self, flight: Flight) -> None:
        work = self._owner.state.work
        self._waiting[flight.offset] = sum(sum(work(c).segments[start:stop]) for c, start, stop in flight.slices)
        task = asyncio.create_task(self._submit(flight), name=f"lane-{self._owner.lane}-{flight.offset}")
        self._tasks.add(task)
        task.add_done_callback(partial(self._finished, flight.offset))

    def _finished(self, offset: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._waiting.pop(offset, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("lane %s: a submission failed", self._owner.lane, exc_info=task.exception())
        self._owner.wake()

    async def drained(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _submit(self, flight: Flight) -> None:
        try:
            batch, numbers, segments = self._columns(flight)
        except Exception as error:
            # Eligibility rendered the same template with the same columns, so this is a defect, and no retry helps.
            # Whatever it is, the flight needs a RESULT: its neighbours wait for its slot.
            log.exception("lane %s: cannot render %s", self._owner.lane, flight.key)
            self._report(flight, [ResultGroup(outcome="rejected", reason=written(Reason.CANNOT_RENDER, repr(error)))])
            return
        outcomes: list[SubmitOutcome] = []
        async with contextlib.AsyncExitStack() as turn:
            async with self._gate:
                waited = await self._until_it_fits(segments)
                # Before the last check: who waits for a connection is not under way, whatever happens meanwhile.
                await turn.enter_async_context(self._aggregator.connection())
                await self._until_it_can_go(flight)
                self._waiting.pop(flight.offset, None)
                self._queue.left(monotonic(), waited, more=bool(self._waiting or self._owner.proposer.on_the_way))
                self._owner.wake()
                held, checked_at = self._checked(flight, numbers), boot_seconds()
                going = [one for one, why in zip(batch, held, strict=True) if why is None]
                charge = self._window.spend(monotonic(), segments) if going else None
            if charge is not None:
                outcomes = await self._hand_over(
                    going, charge, lambda: self._may_still_go(flight, numbers, held, checked_at)
                )
                metrics.LANE_SEGMENTS.labels(self._owner.lane).inc(segments)
        self._report(flight, result_groups(held, outcomes, flight, now_ms()))

    async def _until_it_fits(self, segments: int) -> float:
        """Wait until the limit has room; for how many seconds it was to be waited."""
        waited = 0.0
        while pause := self._window.wait(monotonic(), segments):
            waited += pause
            await asyncio.sleep(pause)
        return waited

    async def _until_it_can_go(self, flight: Flight) -> None:
        """Wait in place for what is over in a moment: a short hold of the account, opt-outs that come late on a busy
        machine. Slices that were given back for it would be written, read back and given back again, which keeps the
        machine busy. Whoever waited until the slice is stale is given back."""
        while self._owner.active and not is_stale(flight, now_ms()):
            held = self._breaker.held
            if 0 < held <= SHORT_HOLD_SECONDS:
                await asyncio.sleep(min(held, LOOK_SECONDS))
            elif not held and not self._context.knows_consents:
                await self._context.consents(LOOK_SECONDS)
            else:
                return

    def _report(self, flight: Flight, groups: list[ResultGroup]) -> None:
        result = Result(intent=flight.offset, groups=groups, at=now_ms())
        self._owner.outbox.send(output(topics.LANES, result, partition=self._owner.lane))

    async def _hand_over(
        self, batch: list[Submission], charge: Charge, may_go: Callable[[], bool]
    ) -> list[SubmitOutcome]:
        """Submit, and charge the slice to the second in which it arrived. A slice that a failure kept from being
        written is charged too: the retry's back-off is longer than the window."""
        written: list[float] = []
        outcomes = [SubmitOutcome("unknown", Reason.ADAPTER_ERROR)] * len(batch)
        try:
            outcomes = await self._aggregator.submit(self._sender, batch, lambda: written.append(monotonic()), may_go)
            return outcomes
        except Exception:
            # Adapters do not raise; if one does, what it had done by then is not known.
            log.exception("lane %s: the aggregator adapter raised", self._owner.lane)
            return outcomes
        finally:
            self._breaker.told(outcomes)
            answered = monotonic()
            self._window.settle(charge, written[0] if written else answered, answered)

    def _columns(self, flight: Flight) -> tuple[list[Submission], list[int], int]:
        """Submissions, numbers and the sum of segments of a flight."""
        batch: list[Submission] = []
        numbers: list[int] = []
        segments = 0
        campaign, message = flight.key
        renderer = self._renderer(campaign, message)
        settings = self._context.settings
        key, base = settings.token_key.get_secret_value().encode(), settings.ingress.url
        for chunk, start, stop in flight.slices:
            work = self._owner.state.work(chunk)
            ordinals = work.ordinals[start:stop]
            fields = {name: column[start:stop] for name, column in work.fields.items()}
            part = work.numbers[start:stop]
            texts = renderer.render(campaign, message, ordinals, fields, key, base, part)
            ids = message_ids(campaign, message, ordinals)
            batch += [Submission(i, to, text) for i, to, text in zip(ids, part, texts, strict=True)]
            numbers += part
            segments += sum(work.segments[start:stop])
        return batch, numbers, segments

    def _renderer(self, campaign: str, message: int) -> Renderer:
        lane_message: LaneMessage = self._owner.state.campaigns[campaign].settings.messages[message]
        renderer = self._renderers.get(lane_message.text)
        if renderer is None:
            renderer = self._renderers[lane_message.text] = compile_lane_message(lane_message)
        return renderer

    def _checked(self, flight: Flight, numbers: list[int]) -> list[ResultGroup | None]:
        """The last check before submitting: why each recipient is held back, None for those that go now."""
        held = self._held_back(flight, numbers)
        if None in held and not self._breaker.admit():
            return away(held, self._breaker.held, now_ms())
        return held

    def _may_still_go(
        self, flight: Flight, numbers: list[int], held: list[ResultGroup | None], checked_at: float
    ) -> bool:
        """Whether what the last check let through may be written now. A process that stood still in between (SIGSTOP,
        a machine asleep, a connection that was long in coming) would send to who has opted out meanwhile."""
        if boot_seconds() - checked_at < CHECK_HOLDS_SECONDS:
            return True
        again = self._held_back(flight, numbers)
        return all(now is None for before, now in zip(held, again, strict=True) if before is None)

    def _held_back(self, flight: Flight, numbers: list[int]) -> list[ResultGroup | None]:
        """Why the campaign's state, the hours or an opt-out hold each recipient back, None for those that may go."""
        now = now_ms()
        if not (self._owner.active and self._context.knows_consents):
            return held_all(len(numbers), now)
        control = self._owner.state.campaigns[flight.key[0]]
        hours = hours_of(self._owner.state, flight, self._owner.quiet, now)
        return held_back(flight, control, numbers, partial(self._context.blocked, self._owner.account), now, hours)
