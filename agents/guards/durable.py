"""Guards around Faust 0.15.3, so that correctness does not rest on its acknowledgements (docs/internals/faust.md).

Each class names the hazards it guards against; tests/agents/guards/test_durable.py shows each of them on Faust's own
class. The guard of tables is in `agents.guards.table`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import faust
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerT, Message
from mode.utils.objects import cached_property
from mode.utils.queues import FlowControlEvent

from adapters import stacks
from adapters.health.state import Health
from agents.guards.coordination import GuardedCoordinator
from agents.guards.fetching import BUSY_WAIT_MS, PatientFetcher
from agents.guards.table import AckedTable
from pipeline.insight.freshness import ReadPosition
from schemas import metrics

__all__ = ["AckedTable", "GuardedApp", "GuardedConsumer", "GuardedTransport", "Progress"]

UNSOUGHT_SECONDS = 0.1
"""How long a fetch waits for changelogs alone at most: the streams' seek waits for it."""

DRAIN_SECONDS = 2.0
"""How long a revocation waits for table writes under way; must be well under the session time-out."""


LEAVE_SECONDS = 2.0
"""How long a stopping worker waits for its last commit, and for leaving the group."""

log = logging.getLogger(__name__)


class Progress:
    """Which offsets of one partition were handed out, and the lowest that is not acknowledged yet."""

    def __init__(self) -> None:
        self._handed_out: deque[int] = deque()
        self._open: set[int] = set()
        self._next: int | None = None
        self.since: int | None = None
        """When the first record that was handed out had been written (ms)."""

    def track(self, offset: int, at: int | None = None) -> None:
        if self._next is None:
            self.since = at
        if offset not in self._open:
            self._handed_out.append(offset)
            self._open.add(offset)
        self._next = offset + 1 if self._next is None else max(self._next, offset + 1)

    def ack(self, offset: int) -> None:
        self._open.discard(offset)

    @property
    def committable(self) -> int | None:
        """The offset to commit: the lowest unacknowledged one, else the one after the last handed out."""
        while self._handed_out and self._handed_out[0] not in self._open:
            self._handed_out.popleft()
        return self._handed_out[0] if self._handed_out else self._next


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one of our partitions is: all below `acknowledged` is done, all below `committed` comes to nobody
    again, `end` is the offset after the last record. `since` (ms): when the first record that was handed out was
    written."""

    acknowledged: int
    committed: int
    end: int
    since: int | None

    @property
    def lag(self) -> int:
        """Records that were written and are not done."""
        return max(0, self.end - self.acknowledged)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    async def on_start(self) -> None:
        await super().on_start()
        stacks.include(asyncio.get_running_loop())
        if self._consumer is not None:
            GuardedCoordinator.guard(self._consumer._coordinator)
            guarded = cast(GuardedConsumer, self.consumer)
            PatientFetcher.guard(self._consumer._fetcher, lambda: guarded.taken)

    async def on_thread_stop(self) -> None:
        # Leaving the group waits for brokers that may be away for good, and aiokafka's stop lets the cancellation of
        # its own fetches escape, of which the thread would die and nobody ever hear that it ended.
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await super().on_thread_stop()
        except (TimeoutError, asyncio.CancelledError) as error:
            log.warning("left the consumer group without Kafka's consent: %s", type(error).__name__)
            if self._consumer is not None:
                await self._consumer._client.close()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Hazard: with no active partition, as in a moment of each recovery, aiokafka fetches from any one, Faust
        drops what came, and relies on this seek, which in aiokafka leaves a partition without a committed offset
        where it is: its records would never be read. They are read from the beginning of its log."""
        offsets: Mapping[TP, int] = await self.call_thread(self._seek_streams)
        return offsets

    async def _seek_streams(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        offsets: Mapping[TP, int] = await consumer.seek_to_committed()
        uncommitted = [tp for tp, offset in offsets.items() if not offset and not self.consumer._is_changelog_tp(tp)]
        if uncommitted:
            await consumer.seek_to_beginning(*uncommitted)
        return offsets

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Hazard: from the fifth minute on Faust takes a quiet partition, a changelog, or a lane whose mark stands
        for a stuck one, and writes an ERROR for each every 2.5 s. Ours are watched by their metrics."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = BUSY_WAIT_MS
        return consumer


class GuardedConsumer(driver.Consumer):
    """The aiokafka driver's consumer with bookkeeping of its own.

    Hazards:
    - `_new_offset` takes a run of acked offsets that starts one past the committed one and so can commit past an
      unacknowledged event (faust-streaming issue 606). Here the lowest unacknowledged offset is what is committed.
    - `_committed_offset` advances when a commit failed (issue 316), and the offset is never committed again. Here it
      is put back.
    - The set of unacknowledged messages is weak: a message that nobody but the broker remembers vanishes from it,
      and with it the reason not to commit. Here offsets are remembered from the moment the consumer hands them out,
      so that one dropped anywhere behind it (a cleared buffer) holds the commit back too. Faust's streams do not
      call `track_message`: they add to the set that they found when they began, so it must stay the same object.
    - An acknowledgement may come after a rebalance in which the partition was elsewhere, or was read again from its
      committed offset. It says nothing about the event as it is handled now, and does not count.
    - A lane's offset must not pass its low-water mark, however far it has been read: see `cap`.
    """

    capped_topics: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unacked_messages: set[Message] = set()
        self._progress: dict[TP, Progress] = {}
        self._caps: dict[TP, int] = {}
        self._sought = True
        """Whether this assignment is at its committed offsets: until then nothing is handed out nor committed."""
        self._to_seek = False
        self._rewinds: dict[TP, int | None] = {}
        self.ready = False
        """Whether what is assigned is recovered and being read."""
        self._assigned: set[TP] | None = None
        """None before the first assignment."""
        self._pass_on = self.callback
        self.callback = self._hand_out

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def is_member(self) -> bool:
        """Whether the group knows us; a worker that it has forgotten must not take others' lanes."""
        coordinator = getattr(getattr(self._thread, "_consumer", None), "_coordinator", None)
        return not isinstance(coordinator, GuardedCoordinator) or coordinator.is_member

    @property
    def taken(self) -> Container[TP]:
        """The partitions whose records are handed out, if all of them are read on from where they are; may be asked
        in any thread."""
        is_settled = self.ready and self._sought and not self._to_seek and not self._rewinds
        # Not `_get_active_partitions`: it walks through the set, which the event loop may change meanwhile.
        return (is_settled and self._active_partitions) or ()

    def cap(self, tp: TP, offset: int) -> None:
        """Allow commits of a capped topic's partition up to `offset`; without a cap nothing of it is committed."""
        self._caps[tp] = offset
        self._progress.setdefault(tp, Progress())

    async def _hand_out(self, message: Message) -> None:
        if self._is_current(message) and not self._is_changelog_tp(message.tp):
            self._progress.setdefault(message.tp, Progress()).track(message.offset, int(message.timestamp * 1000))
        await self._pass_on(message)

    async def read_positions(self, topic: str) -> dict[int, ReadPosition]:
        """How far each of our partitions of `topic` is acknowledged, by partition; empty during a rebalance.

        Raises:
            KafkaError: the broker does not say where they end.
        """
        ours = [tp for tp in self._assigned or () if tp.topic == topic]
        standing = await self._standing_of(ours)
        return {
            tp.partition: ReadPosition(place.acknowledged, place.end, place.since) for tp, place in standing.items()
        }

    async def standing(self) -> dict[TP, Standing]:
        """How far each of our partitions is, without those of changelogs; empty during a rebalance.

        Raises:
            KafkaError: the broker does not say where they end.
        """
        return await self._standing_of([tp for tp in self._assigned or () if not self._is_changelog_tp(tp)])

    async def _standing_of(self, ours: list[TP]) -> dict[TP, Standing]:
        if not ours or not self._sought or not self.ready:
            return {}
        ends = await self.highwaters(*ours)
        standing = {}
        for tp in ours:
            progress = self._progress.get(tp)
            done = None if progress is None else progress.committable
            if done is None:
                done = await self.position(tp)
            since = None if progress is None else progress.since
            # What was never committed is read from its beginning; where nothing was handed out, there is nothing.
            committed = self._committed_offset.get(tp) or (0 if since is not None else done)
            standing[tp] = Standing(done or 0, committed or 0, ends[tp], since)
        return standing

    def _is_current(self, message: Message) -> bool:
        return bool(message.generation_id == self.app.consumer_generation_id)

    def ack(self, message: Message) -> bool:
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        progress = self._progress.get(message.tp)
        if progress is None or not self._is_current(message):
            return False
        progress.ack(message.offset)
        self._n_acked += 1
        if self._waiting_for_ack is not None and not self._waiting_for_ack.done():
            self._waiting_for_ack.set_result(None)
        return True

    def resume_flow(self) -> None:
        super().resume_flow()
        if self._assigned is not None and not self._assigned:
            self._show((), ready=True)

    def _show(self, assignment: Iterable[TP], *, ready: bool) -> None:
        self.ready = ready
        for tp in assignment:
            metrics.WORKER_ASSIGNED.labels(tp.topic, tp.partition).set(ready)

    async def perform_seek(self) -> None:
        """Hazard: Faust lets partitions go before it seeks them, while it is still walking through a batch that it
        fetched before. The rest of that batch is handed out from the middle of a log, and when it was fetched again
        from the committed offset, Faust takes all up to there for read already and drops it: lost, and the next
        commit is past it. So what counts is the seek between two fetches, see `getmany`."""
        await super().perform_seek()
        self._to_seek = True

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Nothing of a stream is handed out between a revocation and a seek that no fetch overlaps. Faust calls this
        from one task, one fetch after the other."""
        if self._to_seek:
            await self._seek_between_fetches()
        while self._rewinds:
            await self._read_again(*self._rewinds.popitem())
        async for tp, message in super().getmany(timeout if self._sought else UNSOUGHT_SECONDS):
            if self._sought or self._is_changelog_tp(tp):
                yield tp, message

    def rewind(self, tp: TP, offset: int | None) -> None:
        """Have a partition read from `offset`, or from its beginning, with the next fetch.

        Hazard: a seek takes the partition's records out of aiokafka's buffer, and a fetch that hands them out just
        then ends in a KeyError, of which the worker dies."""
        self._rewinds[tp] = offset

    async def _read_again(self, tp: TP, offset: int | None) -> None:
        if tp not in (self._assigned or ()):
            return
        try:
            start = (await self.earliest_offsets(tp))[tp] if offset is None else offset
            await self.seek(tp, start)
        except (KafkaError, IllegalStateError) as error:
            # The lane asks again while it stands still.
            log.warning("cannot go back to %s of %s yet: %s", offset, tp, error)

    async def _seek_between_fetches(self) -> None:
        assigned = self._assigned
        try:
            await super().perform_seek()
        except (KafkaError, IllegalStateError) as error:
            log.warning("cannot go to the committed offsets yet: %s", error)
            return
        if self._to_seek and assigned is self._assigned:
            self._to_seek = False
            self._progress.clear()
            self._sought = True
            self._show(assigned or (), ready=True)

    def _filter_tps_with_pending_acks(self, topics: Container[TP | str] | None = None) -> Iterator[TP]:
        if not self._sought:
            return iter(())
        return (tp for tp in list(self._progress) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        offset = self._progress[tp].committable
        if tp.topic not in self.capped_topics:
            return offset
        cap = self._caps.get(tp)
        return cap if cap is None or offset is None else min(cap, offset)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets that the log does not have (compaction, deletion) need no bookkeeping here."""

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        before = {tp: self._committed_offset[tp] for tp in offsets}
        committed = False
        try:
            committed = await super()._commit_offsets(offsets, start_new_transaction=start_new_transaction)
        finally:
            if not committed:
                self._committed_offset.update(before)
        return committed

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        for tp in (self._assigned or set()) - assigned:
            metrics.WORKER_ASSIGNED.remove(tp.topic, tp.partition)
        self._assigned = set(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._show(revoked, ready=False)
        await super().on_partitions_revoked(revoked)
        for table in self.app.tables.values():
            await table.release({tp.partition for tp in revoked}, DRAIN_SECONDS)
        self._sought = self._to_seek = False
        self._forget(revoked)

    async def on_stop(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await super().on_stop()
        except TimeoutError:
            log.warning("stopped without a last commit, because Kafka does not answer: some records will come again")

    def _forget(self, revoked: Iterable[TP]) -> None:
        # Whatever comes back to us is read again from its committed offset.
        for tp in revoked:
            self._progress.pop(tp, None)
            self._caps.pop(tp, None)
            self._rewinds.pop(tp, None)
        self._unacked_messages.difference_update([m for m in self._unacked_messages if m.tp in revoked])


class GuardedTransport(driver.Transport):
    """The aiokafka transport with the guarded consumer."""

    Consumer: ClassVar[type[ConsumerT]] = GuardedConsumer


class GuardedFlow(FlowControlEvent):
    """Hazard: `resume` empties every stream's buffer, also when the flow was never suspended. Recovery calls it after
    the streams were set going: an event that was already in a buffer would be gone until the next rebalance."""

    def resume(self) -> None:
        if not self.is_active():
            super().resume()


class GuardedApp(faust.App):
    """A Faust app on the guarded transport."""

    health: Health
    _reading: GuardedConsumer | None = None
    """The consumer, once the app has started: the threads that serve health and metrics must not make it."""

    @cached_property
    def flow_control(self) -> FlowControlEvent:
        return GuardedFlow(loop=self.loop)

    async def on_start(self) -> None:
        await super().on_start()
        consumer = self._reading = self.guarded_consumer
        metrics.WORKER_READY.set_function(lambda: float(consumer.ready and consumer.is_member and self.works))

    async def on_started(self) -> None:
        await super().on_started()
        if not self.should_stop:
            log.info("this process has started: its tables are recovered")

    @property
    def guarded_consumer(self) -> GuardedConsumer:
        """The consumer, which `_new_transport` makes a guarded one."""
        return cast(GuardedConsumer, self.consumer)

    @property
    def works(self) -> bool:
        """Whether all is done of what is assigned and read."""
        return True

    def partitions_problem(self) -> str:
        """Why this process does not read its partitions, "" if it does; may be called in any thread."""
        consumer = self._reading
        if consumer is None:
            return "starting: campaigns and opt-outs are being read from Kafka"
        if not consumer.is_member:
            return "the consumer group has not heard of it within the session: others may have its partitions"
        if not consumer.ready:
            return "its partitions are not assigned yet, or its tables are being recovered"
        return ""

    async def on_stop(self) -> None:
        # Mode stops what the app consists of only after this: by then the producer that the steps emit through is
        # closed. So the steps end first.
        await self.agents.stop()
        await super().on_stop()

    def _new_transport(self) -> GuardedTransport:
        return GuardedTransport(self.conf.broker_consumer, self)
