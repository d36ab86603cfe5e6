"""Tables whose changelog goes through our producer: acknowledged, and never behind the local store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import faust
import rocksdict
from faust.stores.rocksdb import Store
from faust.streams import current_event
from faust.types import TP, CollectionT
from yarl import URL

from adapters.errors import EmitError
from adapters.kafka.producer import Producer
from adapters.ports import Delivered
from agents.faust_port import Event

RESEND_SECONDS = 0.5


class StaleGeneration(Exception):
    """The event that is being handled was taken before a rebalance: its partition may be somebody else's now."""


def is_current(event: Event) -> bool:
    """Whether an event's partition has been ours ever since the event was taken, and the worker is not stopping."""
    app = event.app
    return bool(app.flow_control.is_active() and event.message.generation_id == app.consumer_generation_id)


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One write of a table that the broker has not acknowledged yet (`value` None: a deletion)."""

    key: bytes
    value: bytes | None
    partition: int
    generation: int
    future: asyncio.Future[Delivered]


class AckedStore(Store):
    """A RocksDB store that has what the changelog has. Newer values are found with the table, until acknowledged.

    Hazard: Faust writes here at once. After a kill the store then knows what the changelog does not; the event comes
    again, its handler finds nothing left to change, and no other worker ever hears of it.
    """

    table: AckedTable

    def revoke_partitions(self, table: CollectionT, tps: set[TP]) -> None:
        """Close what is no longer ours.

        Faust leaves that to a full garbage collection a table, at every rebalance and even if nothing went away: with
        four tables it held the event loop for 3 s in the half minute after another worker's death.
        """
        for tp in tps:
            if tp.topic in table.changelog_topic.topics:
                db = self._dbs.pop(tp.partition, None)
                if db is not None:
                    db.close()

    def _set(self, key: bytes, value: bytes | None) -> None:
        """The table writes here when the broker has acknowledged."""

    def _del(self, key: bytes) -> None:
        """The table deletes here when the broker has acknowledged."""

    def _get(self, key: bytes) -> bytes | None:
        write = self.table.newest.get(key)
        value: bytes | None = super()._get(key) if write is None else write.value
        return value

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        newest = dict(self.table.newest)
        for key, value in super()._iteritems():
            if key not in newest:
                yield key, value
        for key, write in newest.items():
            if write.value is not None:
                yield key, write.value

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(1 for _ in self._iteritems())

    def starting_with(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of the current event's partition whose keys begin with `prefix`."""
        event = current_event()
        assert event is not None, "asked while an event is handled"
        newest = {key: write for key, write in self.table.newest.items() if key.startswith(prefix)}
        for key, value in self._db_for_partition(event.message.partition).items(from_key=prefix):
            if not key.startswith(prefix):
                break
            if key not in newest:
                yield key, value
        yield from ((key, write.value) for key, write in newest.items() if write.value is not None)

    def open_parts(self) -> list[rocksdict.Rdict]:
        """The databases of the partitions that are here."""
        return [db for db in self._dbs.values() if db is not None]

    def acknowledged(self, tp: TP, offset: int, key: bytes, value: bytes | None) -> None:
        """Take over what the changelog has at `offset`, and that everything up to there is here, in one write.

        A partition that is no longer ours is left alone: who has it next reads the changelog.
        """
        db = self._dbs.get(tp.partition)
        known = None if db is None else self.persisted_offset(tp)
        if db is None or (known is not None and offset <= known):
            return
        batch = rocksdict.WriteBatch(raw_mode=True)
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
        batch.put(self.offset_key, str(offset).encode())
        db.write(batch)


class AckedTable(faust.Table[bytes, bytes]):
    """A table whose writes can be waited for.

    Hazards:
    - Faust sends changelog records through its own producer, acknowledges the event whether or not they arrived, and
      `producer.flush()` gives up after 100 ms without progress. Here a step waits for `settled(keys)` before it
      acknowledges its event.
    - A changelog record that failed is sent again only while it is the newest of its key: an older value that lands
      after a newer one would win in the compacted topic. And only while the partition is ours.
    - A handler that goes on after its partition was revoked would write into somebody else's changelog.
    """

    producer: ClassVar[Producer]
    data: AckedStore

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.newest: dict[bytes, Write] = {}
        """The newest write of each key that the broker has not acknowledged."""

    def _new_store_by_url(self, url: str | URL) -> AckedStore:
        return AckedStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
            driver="rocksdict",
        )

    def on_key_set(self, key: bytes, value: bytes) -> None:
        self._write(key, value)

    def on_key_del(self, key: bytes) -> None:
        self._write(key, None)

    def _write(self, key: bytes, value: bytes | None) -> None:
        event = current_event()
        if event is not None and not is_current(event):
            raise StaleGeneration(f"{event.message.topic}/{event.message.partition} was revoked while it was handled")
        partition = self.partition_for_key(key)
        assert partition is not None, "the table was made with use_partitioner"
        self._send(key, value, partition)

    def _send(self, key: bytes, value: bytes | None, partition: int) -> None:
        future = self.producer.send(self.changelog_topic_name, value, key=key, partition=partition)
        write = Write(key, value, partition, self.app.consumer_generation_id, future)
        self.newest[key] = write
        future.add_done_callback(lambda done: self._delivered(write, done))

    def _delivered(self, write: Write, future: asyncio.Future[Delivered]) -> None:
        # Called in order of the offsets of a partition, for every write: what is stored is always the changelog's
        # past up to the persisted offset, without a gap.
        if future.cancelled() or future.exception() is not None:
            return
        tp = TP(self.changelog_topic_name, write.partition)
        self.data.acknowledged(tp, future.result().offset, write.key, write.value)
        self._forget(write)

    def _forget(self, write: Write) -> None:
        if self.newest.get(write.key) is write:
            del self.newest[write.key]

    def starting_with(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values whose keys begin with `prefix`, in the partition of the event that is being handled."""
        return self.data.starting_with(prefix)

    def whole(self) -> list[tuple[bytes, bytes]]:
        """Keys and values of all partitions that are here; may be asked outside of events."""
        return list(self.data._iteritems())

    async def settled(self, keys: Iterable[bytes]) -> None:
        """Wait until the newest write of each key is acknowledged by the broker, however long that takes.

        Returns early for a write whose partition was revoked: its event is not acknowledged then (`GuardedConsumer`).
        """
        for key in keys:
            while (write := self.newest.get(key)) is not None:
                try:
                    await asyncio.shield(write.future)
                except EmitError:
                    await asyncio.sleep(RESEND_SECONDS)
                    self._again(write)
                    continue
                break

    def _again(self, write: Write) -> None:
        if self.newest.get(write.key) is not write:
            return
        if write.generation == self.app.consumer_generation_id:
            self._send(write.key, write.value, write.partition)
        else:
            self._forget(write)

    async def release(self, partitions: set[int], seconds: float) -> None:
        """The partitions are being revoked: let writes under way land, at most `seconds`, and give up the others.

        Who has a partition next, ourselves included, goes by the changelog alone.
        """
        leaving = [write for write in self.newest.values() if write.partition in partitions]
        if leaving:
            await asyncio.wait([write.future for write in leaving], timeout=seconds)
        for write in leaving:
            self._forget(write)
