"""Status chunks and campaign documents → ClickHouse; every insert may be repeated."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any, Final

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.campaign import CampaignDocument
from schemas.status import StatusChunk, StatusGroup, StatusRange

_MS: Final = pa.timestamp("ms", "UTC")
_RANGE_ROWS: Final = 65_536
"""Ordinals that one row of a range stands for, so that the engine unfolds it in bounded memory."""


_FAILED: Final = frozenset(("rejected", "receipt_rejected", "receipt_undelivered"))


class StatusSink:
    """Writes status records, each call in one INSERT of one row per group, and one of the failures among them; the
    caller bounds how many.

    Raises StoreUnavailable (repeat the same call; what was stored already changes nothing) or StoreRefused.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def insert(self, records: Sequence[StatusChunk | StatusRange]) -> int:
        """Insert the records; returns the number of rows."""
        rows = [row for record in records for row in _rows(record)]
        if rows:
            self._store.insert_arrow("status_groups", _table(rows))
        failed = [row for row in rows if row.state in _FAILED and row.reason]
        if failed:
            self._store.insert_arrow("failures", _failures(failed))
        return len(rows)


@dataclass(frozen=True, slots=True)
class _Row:
    record: StatusChunk | StatusRange
    state: str
    reason: str
    group: StatusGroup | None = None
    span: tuple[int, int] = field(default=(0, 0))


def _rows(record: StatusChunk | StatusRange) -> Iterator[_Row]:
    if isinstance(record, StatusChunk):
        for group in record.groups:
            if len(group.ordinals):
                yield _Row(record, _stored(group.state, record), group.reason, group)
        return
    for first in range(record.first, record.last, _RANGE_ROWS):
        yield _Row(record, "withdrawn", record.reason, span=(first, min(first + _RANGE_ROWS, record.last)))


def _stored(state: str, record: StatusChunk) -> str:
    """Who is skipped before any lane has them is only passed over: what a lane says of them stands. What receipts say
    is kept apart, since it counts only for who was submitted."""
    if record.receipts:
        return f"receipt_{state}"
    return "passed_over" if state == "skipped" and record.lane < 0 else state


def _table(rows: Sequence[_Row]) -> Any:
    groups = [row.group for row in rows]
    return pa.table({
        "campaign": pa.array([row.record.campaign.encode() for row in rows], pa.binary(8)),
        "message": pa.array([row.record.message for row in rows], pa.uint8()),
        "at": pa.array([row.record.at for row in rows], _MS),
        "lane": pa.array([getattr(row.record, "lane", -1) for row in rows], pa.int16()),
        "state": pa.array([row.state for row in rows], pa.string()),
        "reason": pa.array([row.reason for row in rows], pa.string()),
        **{
            name: pa.array([getattr(group, name, 0) for group in groups], kind)
            for name, kind in (
                ("attempt", pa.uint16()), ("variant", pa.uint8()), ("segments", pa.uint8()), ("price", pa.uint64()),
            )
        },
        "first": pa.array([row.span[0] for row in rows], pa.uint32()),
        "last": pa.array([row.span[1] for row in rows], pa.uint32()),
        "ordinals": _ordinals([[] if group is None else group.ordinals for group in groups]),
        "ids": _lists([(group.ids or ()) if group is not None else () for group in groups], pa.string()),
    })  # fmt: skip


def _failures(rows: Sequence[_Row]) -> Any:
    return pa.table({
        "campaign": pa.array([row.record.campaign.encode() for row in rows], pa.binary(8)),
        "message": pa.array([row.record.message for row in rows], pa.uint8()),
        "at": pa.array([row.record.at for row in rows], _MS),
        "reason": pa.array([row.reason for row in rows], pa.string()),
        "ordinals": _ordinals([row.group.ordinals for row in rows if row.group is not None]),
    })  # fmt: skip


def _ordinals(lists: Sequence[list[int]]) -> Any:
    """As `_lists`, at a fifth of the cost: these are most of what the writer writes."""
    ordinals = array("I")
    for ordinals_of_group in lists:
        ordinals.fromlist(ordinals_of_group)
    offsets: Any = pa.array(list(accumulate(map(len, lists), initial=0)), pa.int32())
    return pa.ListArray.from_arrays(
        offsets, pa.Array.from_buffers(pa.uint32(), len(ordinals), [None, pa.py_buffer(ordinals)])
    )


def _lists(lists: Sequence[Sequence[Any]], kind: Any) -> Any:
    offsets: Any = pa.array(list(accumulate(map(len, lists), initial=0)), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(list(chain.from_iterable(lists)), kind))


def insert_campaigns(store: Store, documents: Sequence[CampaignDocument]) -> None:
    """Campaign documents; of several revisions the highest stays.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not documents:
        return
    specs = [document.spec for document in documents]
    store.insert_arrow("campaigns", pa.table({
        "id": pa.array([document.id.encode() for document in documents], pa.binary(8)),
        "name": pa.array([str(spec.get("name", "")) for spec in specs], pa.string()),
        "tags": _lists([[str(tag) for tag in spec.get("tags", ())] for spec in specs], pa.string()),
        "account": pa.array([str(spec.get("account", "")) for spec in specs], pa.string()),
        "sender": pa.array([str(spec.get("sender", "")) for spec in specs], pa.string()),
        "status": pa.array([document.status for document in documents], pa.string()),
        "reason": pa.array([document.reason for document in documents], pa.string()),
        "created": pa.array([document.created for document in documents], _MS),
        "updated": pa.array([document.updated for document in documents], _MS),
        "launched": pa.array([document.launched or None for document in documents], _MS),
        "finished": pa.array([document.finished or None for document in documents], _MS),
        "recipients": pa.array([document.recipients for document in documents], pa.uint32()),
        "revision": pa.array([document.revision for document in documents], pa.uint64()),
        "spec": pa.array([json.dumps(spec, default=str) for spec in specs], pa.string()),
    }))  # fmt: skip


def forget_campaign(store: Store, campaign: str) -> None:
    """Take a deleted draft off the list.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    store.command("DELETE FROM campaigns WHERE id = {campaign:String}", {"campaign": campaign})
