"""The lanes of this worker: one `LaneOwner` for each partition of `lanes` that Kafka assigned to it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

from faust.types import TP

from adapters.aggregators.factory import make_adapter
from adapters.kafka.admin import delete_records
from adapters.ports import AggregatorPort
from agents.context import Context
from agents.guards.assignor import LaneAssignor
from agents.lane.breaker import AggregatorBreaker
from agents.lane.journals import Journals
from agents.lane.owner import LaneOwner, LogReader
from agents.lane.route import Route
from agents.runner import count_from_zero
from pipeline.accounts.book import Accounts
from pipeline.accounts.placing import lanes_of
from pipeline.limits.carrier_day import normal
from schemas import metrics, topics
from schemas.accounts import MICRO, SenderDocument

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
        self._lanes: set[int] = set()
        """All that are assigned to us."""
        self._aggregators: dict[str, AggregatorPort] = {}
        self._breakers: dict[str, AggregatorBreaker] = {}
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
        self._lanes = lanes
        for lane in sorted(lanes):
            if lane in self._owners or self._open(lane):
                await self._owners[lane].assign()

    def _open(self, lane: int) -> bool:
        """Whether the lane carries a sender, so that it has an owner now."""
        route = self._route(lane)
        sender = sender_of_lane(self._context.accounts, lane, self._context.settings.kafka.lanes)
        if route is None or sender is None:
            return False
        self._owners[lane] = LaneOwner(lane, self._context, route, self._reader, self._journals.open(lane))
        describe(lane, sender)
        return True

    async def _follow_accounts(self) -> None:
        """Take lanes that carry a sender from now on."""
        accounts, lanes = self._context.accounts, self._context.settings.kafka.lanes
        while True:
            version = accounts.version
            LaneAssignor.weights = lane_weights(accounts, lanes)
            for lane in sorted(self._lanes - set(self._owners)):
                if self._open(lane):
                    # What came before it carried anybody is read as well.
                    self._rewind(lane, None)
                    await self._owners[lane].assign()
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
        broken = [breaker for breaker in list(self._breakers.values()) if breaker.rule.state != "closed"]
        return "; ".join(
            f"{breaker.name} does not work ({breaker.rule.reason}): nothing is submitted to it" for breaker in broken
        )

    async def stop(self) -> None:
        await self.revoked()
        for owner in self._owners.values():
            await owner.close()
        for breaker in self._breakers.values():
            await breaker.close()
        for aggregator in self._aggregators.values():
            await aggregator.close()

    def _route(self, lane: int) -> Route | None:
        settings, accounts = self._context.settings, self._context.accounts
        sender = sender_of_lane(accounts, lane, settings.kafka.lanes)
        account = None if sender is None else accounts.account(sender.account)
        if sender is None or account is None:
            return None
        places = len(lanes_of(sender, settings.kafka.lanes))
        brand = account.spec.brands.get(sender.brand)
        daily = {} if brand is None else brand.carrier_daily
        if sender.aggregator not in self._aggregators:
            made = make_adapter(sender.aggregator, settings.aggregators[sender.aggregator])
            self._aggregators[sender.aggregator] = made
            self._breakers[sender.aggregator] = AggregatorBreaker(
                sender.aggregator, made, settings.worker.breaker_failures
            )
        return Route(
            aggregator=self._aggregators[sender.aggregator],
            account=sender.account,
            sender=sender.number,
            rate=accounts.share(sender) / places,
            batch=self._aggregators[sender.aggregator].capabilities.batch,
            carrier_daily={normal(name): limit // places for name, limit in daily.items()},
            quiet=self._context.quiet(sender.account),
            breaker=self._breakers[sender.aggregator],
        )

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


def describe(lane: int, sender: SenderDocument) -> None:
    """Export what a lane carries, so that its other metrics can be told by account, sender, class and aggregator."""
    metrics.LANE_INFO.labels(lane, sender.account, sender.sender, sender.sender_kind, sender.aggregator).set(1)


def sender_of_lane(accounts: Accounts, lane: int, lanes: int) -> SenderDocument | None:
    """The first sender by name that the lane carries, of `lanes` in all."""
    carried = [sender for sender in accounts.all_senders() if lane in lanes_of(sender, lanes)]
    return min(carried, key=lambda sender: (sender.account, sender.sender), default=None)


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
