"""Guards around Faust 0.15.3, so that correctness does not rest on its acknowledgements (DESIGN section 7).

Each class names the hazard it guards against; tests/agents/test_durable.py has a test for each that fails without.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from adapters.errors import EmitError
from adapters.producer import Producer

FETCH_MAX_WAIT_MS = 50
"""Hazard: aiokafka keeps one fetch per broker in flight. One that leaves out a partition whose records were not yet
taken can keep that partition waiting for this long; Faust's 1,500 ms would show in the latency of an idle lane."""

RESEND_SECONDS = 0.5


class Progress:
    """Which offsets of one partition were handed out, and the lowest that is not acknowledged yet."""

    def __init__(self) -> None:
        self._handed_out: deque[int] = deque()
        self._open: set[int] = set()
        self._next: int | None = None

    def track(self, offset: int) -> None:
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


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer


class GuardedConsumer(driver.Consumer):
    """The aiokafka driver's consumer with bookkeeping of its own.

    Hazards:
    - `_new_offset` takes a run of acked offsets that starts one past the committed one and so can commit past an
      unacknowledged event (faust-streaming issue 606). Here the lowest unacknowledged offset is what is committed.
    - `_committed_offset` advances when a commit failed (issue 316), and the offset is never committed again. Here it
      is put back.
    - The set of unacknowledged messages is weak: a message that nobody but the broker remembers vanishes from it,
      and with it the reason not to commit. Here it is strong.
    - A lane's offset must not pass its low-water mark, however far it has been read: see `cap`.
    """

    capped_topics: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unacked_messages = set()
        self._progress: dict[TP, Progress] = {}
        self._caps: dict[TP, int] = {}

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def cap(self, tp: TP, offset: int) -> None:
        """Allow commits of a capped topic's partition up to `offset`; without a cap nothing of it is committed."""
        self._caps[tp] = offset
        self._progress.setdefault(tp, Progress())

    def track_message(self, message: Any) -> None:
        super().track_message(message)
        self._progress.setdefault(message.tp, Progress()).track(message.offset)

    def ack(self, message: Any) -> bool:
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        progress = self._progress.get(message.tp)
        if progress is not None:
            progress.ack(message.offset)
        self._n_acked += 1
        if self._waiting_for_ack is not None and not self._waiting_for_ack.done():
            self._waiting_for_ack.set_result(None)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
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

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)
        self._forget(revoked)

    def _forget(self, revoked: Iterable[TP]) -> None:
        # Whatever comes back to us is read again from its committed offset.
        for tp in revoked:
            self._progress.pop(tp, None)
            self._caps.pop(tp, None)
        self._unacked_messages = {m for m in self._unacked_messages if m.tp not in revoked}


class GuardedTransport(driver.Transport):
    """The aiokafka transport with the guarded consumer."""

    Consumer: ClassVar[Any] = GuardedConsumer


class AckedTable(faust.Table):  # type: ignore[misc]
    """A table whose changelog goes through our producer, and whose writes can be waited for.

    Hazards: Faust sends changelog records through its own producer, acknowledges the event whether or not they
    arrived, and `producer.flush()` gives up after 100 ms without progress. Here a step waits for `settled(keys)`
    before it acknowledges its event.

    A changelog record that failed is sent again only while it is the newest of its key: an older value that lands
    after a newer one would win in the compacted topic.
    """

    producer: Producer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._newest: dict[bytes, tuple[int, bytes | None, asyncio.Future[Any]]] = {}

    def on_key_set(self, key: bytes, value: bytes) -> None:
        self._write(key, value)

    def on_key_del(self, key: bytes) -> None:
        self._write(key, None)

    def _write(self, key: bytes, value: bytes | None) -> None:
        partition = self.partition_for_key(key)
        self._send(key, value, partition)

    def _send(self, key: bytes, value: bytes | None, partition: int) -> None:
        future = self.producer.send(self.changelog_topic_name, value, key=key, partition=partition)
        self._newest[key] = (partition, value, future)

    async def settled(self, keys: Iterable[bytes]) -> None:
        """Wait until the newest write of each key is acknowledged by the broker, however long that takes."""
        generation = self.app.consumer_generation_id
        highest: dict[int, int] = {}
        for key in keys:
            while (newest := self._newest.get(key)) is not None:
                partition, value, future = newest
                try:
                    delivered = await asyncio.shield(future)
                except EmitError:
                    await asyncio.sleep(RESEND_SECONDS)
                    if self._newest.get(key) is newest:
                        self._send(key, value, partition)
                    continue
                if self._newest.get(key) is newest:
                    del self._newest[key]
                highest[partition] = max(highest.get(partition, -1), delivered.offset)
                break
        if generation != self.app.consumer_generation_id:
            # The partition may have been somebody else's in between: recovery reads it from where it was sure.
            return
        for partition, offset in highest.items():
            self._persisted(TP(self.changelog_topic_name, partition), offset)

    def _persisted(self, tp: TP, offset: int) -> None:
        # A local store that says "I have everything up to here" must never say more than is true: records are
        # acknowledged in order of their offsets within a partition, and each was stored before it was sent.
        known = self.data.persisted_offset(tp)
        if known is None or offset > known:
            self.data.set_persisted_offset(tp, offset)


class GuardedApp(faust.App):  # type: ignore[misc]
    """A Faust app on the guarded transport."""

    def _new_transport(self) -> Any:
        return GuardedTransport(self.conf.broker_consumer, self)
