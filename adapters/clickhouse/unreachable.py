"""Unreachable numbers in ClickHouse: which failures say so, and the list that operators see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa

from adapters.clickhouse.connection import Placed, Store
from adapters.clickhouse.recorded import SUBMITTED_SETS
from schemas.feedback import Unreachable

_PAGE: Final = 500
_MS: Final = pa.timestamp("ms", "UTC")


class Failures(NamedTuple):
    """Recipients of one message that failed together. Times in ms."""

    campaign: str
    message: int
    reason: str
    at: int
    ordinals: list[int]
    inserted: int


_NEW: Final = f"""
SELECT toString(campaign), message, toString(reason), toUnixTimestamp64Milli(at), ordinals,
    toUnixTimestamp64Milli(inserted) AS since
FROM failures
WHERE inserted >= fromUnixTimestamp64Milli({{since:Int64}}) AND reason IN {{reasons:Array(String)}}
ORDER BY since LIMIT {_PAGE} WITH TIES
"""


def failures_since(store: Store, since: int, reasons: Sequence[str]) -> list[Failures]:
    """Failures for one of `reasons` that were stored at `since` (ms) or later, the oldest first, a page of them.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return [Failures(*row) for row in store.rows(_NEW, {"since": since, "reasons": list(reasons)})]


_NUMBERS: Final = f"""
WITH
(
    SELECT (revision, argMin(attempt, (frozen, attempt))) FROM audiences
    WHERE campaign = {{campaign:String}} GROUP BY revision ORDER BY revision DESC LIMIT 1
) AS chosen,
(SELECT groupBitmapMergeState(submitted) FROM ({SUBMITTED_SETS}) WHERE message = {{message:UInt8}}) AS of_lanes
SELECT ordinal, number FROM audience
WHERE campaign = {{campaign:String}} AND revision = chosen.1 AND attempt = chosen.2
    AND ordinal IN {{ordinals:Array(UInt32)}} AND bitmapContains(of_lanes, ordinal)
"""


def submitted_numbers(store: Store, campaign: str, message: int, ordinals: Sequence[int]) -> dict[int, int]:
    """Ordinal → number of those of `ordinals` that their lane submitted, as far as is recorded yet.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {"campaign": campaign, "message": message, "ordinals": list(ordinals)}
    return {row[0]: row[1] for row in store.rows(_NUMBERS, asked)}


def insert_unreachable(store: Store, changes: Sequence[Placed[Unreachable]]) -> None:
    """Records of the topic; of a number the last one stays.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not changes:
        return
    said = [change.record for change in changes]
    texts = ("state", "reason", "account", "campaign", "by")
    store.insert_arrow("unreachable", pa.table({
        "number": pa.array([record.number for record in said], pa.uint64()),
        "log_offset": pa.array([change.offset for change in changes], pa.uint64()),
        "at": pa.array([record.at for record in said], _MS),
        "message": pa.array([record.message for record in said], pa.uint8()),
        **{name: pa.array([getattr(record, name) for record in said], pa.string()) for name in texts},
    }))  # fmt: skip


class Forgotten(NamedTuple):
    """A number that was deleted from topic `unreachable`, and the offset where that is said."""

    offset: int
    number: int


def forget_unreachable(store: Store, gone: Forgotten) -> None:
    """Delete what stood in the topic about a number before it was deleted there. May be repeated.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    which = "number = {number:UInt64} AND log_offset < {offset:UInt64}"
    store.command(f"DELETE FROM unreachable WHERE {which}", gone._asdict())


@dataclass(frozen=True, slots=True)
class Listed:
    """An unreachable number as it is listed."""

    number: int
    reason: str
    at: datetime
    account: str
    campaign: str


_LIST: Final = """
SELECT number, reason, at, account, campaign FROM unreachable FINAL
WHERE state = 'unreachable' AND number > {after:UInt64}
ORDER BY number LIMIT {limit:UInt32}
"""


def listed(store: Store, after: int = 0, limit: int = 1000) -> list[Listed]:
    """Unreachable numbers in order, those behind `after`.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return [Listed(*row) for row in store.rows(_LIST, {"after": after, "limit": limit})]


def all_listed(store: Store, page: int = 10_000) -> Iterator[list[Listed]]:
    """All of them, page by page.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    after = 0
    while rows := listed(store, after, page):
        yield rows
        after = rows[-1].number


def count(store: Store) -> dict[str, int]:
    """Reason → numbers.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows: Any = store.rows(
        "SELECT toString(reason), count() FROM unreachable FINAL WHERE state = 'unreachable' GROUP BY reason"
    )
    return dict(rows)
