"""The lanes of this worker: one `LaneOwner` for each partition of `lanes` that Kafka assigned to it, whether it
carries senders yet or not."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

from faust.types import TP

from adapters.kafka.admin import delete_records
from agents.context import Context
from agents.guards.assignor import LaneAssignor
from agents.lane.journals import Journals
from agents.lane.owner import LaneOwner, LogReader
from agents.lane.route import Routes
from agents.runner import count_from_zero
from pipeline.accounts.book import Accounts
from schemas import metrics, topics
from schemas.accounts import MICRO

log = logging.getLogger(__name__)

DRAIN_SECONDS = 3.0
"""How long a revocation waits for submissions under way at most; never more than half of the session time-out, after
which somebody else owns the lane."""


class Lanes:
    """Owners by lane, and their life with the consumer group's assignments."""

    def __init__(self, context: Context, journals: Journals) -> None:
        self._context = context
        self._journals = journals
        self._owners: dict[int, LaneOwner] = {}
        self._routes = Routes(context.settings)
        self._consumer: Any = None
        self._reader = LogReader(self._rewind, self._move_mark, lambda: self._consumer.is_member)
        self._tasks: set[asyncio.Task[None]] = set()
        count_from_zero("lanes")

    async def run(self, stream: Any) -> None:
        """The body of the Faust agent. Every record is acknowledged at once: what may be committed is the lane's
        low-water mark, which its checkpoints move.

        Raises:
            ExceptionGroup: a lane gave up; the worker ends with it.
        """
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._context.until_broken(), name="lanes-broken")
            following = group.create_task(self._follow_accounts(), name="lanes-accounts")
            try:
                async for event in stream.noack().events():
                    await self._take(stream, event)
            finally:
                watching.cancel()
                following.cancel()

    async def _take(self, stream: Any, event: Any) -> None:
        owner = self._owners.get(event.message.partition)
        if owner is not None:
            await owner.read(event.message.offset, event.message.value)
            metrics.STEP_RECORDS.labels("lanes").inc()
        await stream.ack(event)

    async def assigned(self, consumer: Any, partitions: set[TP]) -> None:
        """Take the lanes among `partitions`; what is not assigned anymore is forgotten."""
        self._consumer = consumer
        lanes = {tp.partition for tp in partitions if tp.topic == topics.LANES.name}
        for lane in set(self._owners) - lanes:
            await self._owners.pop(lane).close()
        for lane in sorted(lanes):
            if lane not in self._owners:
                journal = self._journals.open(lane)
                self._owners[lane] = LaneOwner(lane, self._context, self._routes, self._reader, journal)
            await self._owners[lane].assign()

    async def _follow_accounts(self) -> None:
        """Let the lanes be spread over the workers by what their senders may send now."""
        accounts, lanes = self._context.accounts, self._context.settings.kafka.lanes
        while True:
            version = accounts.version
            LaneAssignor.weights = lane_weights(accounts, lanes)
            await self._context.accounts_changed(version)

    async def revoked(self) -> None:
        """Let what is in flight finish: nobody knows yet which lanes come back."""
        seconds = min(DRAIN_SECONDS, self._context.settings.kafka.session_timeout / 2)
        await asyncio.gather(*(owner.release(seconds) for owner in self._owners.values()))

    @property
    def owned(self) -> bool:
        """Whether every lane that is assigned to us has been read and is ours."""
        # A copy: the thread that serves metrics asks while lanes come and go.
        return not self.unread()

    def unread(self) -> set[int]:
        """Lanes that are assigned to us and are not ours yet: their logs are being read."""
        return {lane for lane, owner in list(self._owners.items()) if not owner.active}

    def aggregators_problem(self) -> str:
        """Which aggregators nothing is submitted to, and why; "" if all work. May be called in any thread."""
        breakers = [route.breaker for route in self._routes.all()]
        broken = [breaker for breaker in breakers if breaker.rule.state != "closed"]
        return "; ".join(
            f"{breaker.name} does not work ({breaker.rule.reason}): nothing is submitted to it" for breaker in broken
        )

    async def stop(self) -> None:
        await self.revoked()
        for owner in self._owners.values():
            await owner.close()
        await self._routes.close()

    def _rewind(self, lane: int, offset: int | None) -> None:
        self._consumer.rewind(TP(topics.LANES.name, lane), offset)

    def _move_mark(self, lane: int, offset: int) -> None:
        self._consumer.cap(TP(topics.LANES.name, lane), offset)
        task = asyncio.create_task(self._delete_below(lane, offset))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _delete_below(self, lane: int, offset: int) -> None:
        # The commit goes first: a log that begins above the committed offset would only be read from its beginning,
        # which is the same place, but a commit above the log's beginning is right by itself.
        await self._consumer.commit()
        await asyncio.to_thread(delete_records, self._context.settings.kafka, topics.LANES.name, lane, offset)


def lane_weights(accounts: Accounts, lanes: int) -> dict[int, int]:
    """What each lane that carries senders may send, in thousandths of a segment per second, at least 1."""
    rates: Counter[int] = Counter()
    for account in accounts.all():
        shares = account.document.shares
        total = sum(rate for _, _, rate in shares)
        # In proportion, where the account may send less than its senders.
        part = min(1.0, account.spec.segments_per_second * MICRO / total) if total else 0.0
        for lane, _, rate in shares:
            rates[lane] += round(1000 * part * rate / MICRO)
    return {lane: max(1, rate) for lane, rate in rates.items() if lane < lanes}
