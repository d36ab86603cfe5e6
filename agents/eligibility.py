"""Eligibility: recipient chunks in, WORK for the lanes and the skipped recipients' statuses out; reservations of
recipients that got nothing in the end are given back, those of recipients that wait long are moved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping

from adapters.clock import now_ms
from agents.context import Context
from agents.faust_port import Event
from agents.guards.durable import AckedTable
from agents.runner import Emissions, output
from pipeline.eligibility.decide import decide
from pipeline.limits.smart_sending import identity_of, move, release
from schemas import topics
from schemas.chunk import Move, RecipientChunk, Release


class BucketTable(MutableMapping[int, bytes]):
    """The reservations table as the rules see it: bucket to packed reservations. Notes which keys were written."""

    def __init__(self, table: AckedTable) -> None:
        self._table = table
        self.written: set[bytes] = set()

    def __getitem__(self, bucket: int) -> bytes:
        value: bytes = self._table[_key(bucket)]
        return value

    def __setitem__(self, bucket: int, packed: bytes) -> None:
        self._table[_key(bucket)] = packed
        self.written.add(_key(bucket))

    def __delitem__(self, bucket: int) -> None:
        del self._table[_key(bucket)]
        self.written.add(_key(bucket))

    def __iter__(self) -> Iterator[int]:
        return (int.from_bytes(key, "big") for key in self._table)

    def __len__(self) -> int:
        return len(self._table)


def _key(bucket: int) -> bytes:
    return bucket.to_bytes(2, "big")


class Eligibility:
    """The step. `handle` runs without awaiting, since it writes to the table."""

    def __init__(self, context: Context, table: AckedTable) -> None:
        self._context = context
        self._table = table

    def handle(self, record: RecipientChunk | Release | Move, event: Event) -> Emissions:
        return self._decide(record, event) if isinstance(record, RecipientChunk) else self._change(record)

    def _change(self, record: Release | Move) -> Emissions:
        table = BucketTable(self._table)
        identity = identity_of(record.campaign, record.message)
        if isinstance(record, Move):
            move(table, record.numbers, identity, record.due)
        else:
            release(table, record.numbers, identity)
        return Emissions([], self._settled(table))

    def _decide(self, chunk: RecipientChunk, event: Event) -> Emissions:
        plan = self._context.plan(chunk.campaign, chunk.revision)
        if plan is None:
            return Emissions()
        table = BucketTable(self._table)
        decision = decide(chunk, plan, table, self._context.optouts, now_ms(), self._context.unreachable)
        outputs = [output(topics.LANES, work, partition=lane) for lane, work in decision.work]
        outputs += [output(topics.STATUSES, status, status.campaign) for status in decision.statuses]
        emissions = Emissions(outputs, self._settled(table), len(chunk.numbers))
        if self._context.traces is not None:
            emissions.traced = self._context.traces.decided(chunk, decision, event)
        return emissions

    def _settled(self, table: BucketTable) -> list[Callable[[], Awaitable[None]]]:
        written = frozenset(table.written)
        return [lambda: self._table.settled(written)] if written else []
