"""Contacts and list members → ClickHouse, in Arrow batches; every insert may be repeated.

Both tables are ReplacingMergeTrees keyed by the number, so a repeated batch or a repeated import doubles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import stamina

from adapters.clickhouse import Store
from adapters.errors import StoreUnavailable
from schemas.ids import bucket

ATTEMPTS = 8
"""About 45 s with stamina's back-off."""


@dataclass(frozen=True, slots=True)
class ContactColumns:
    """n contacts with distinct numbers. `attributes` holds per name n texts; empty ones are not stored."""

    numbers: npt.NDArray[np.uint64]
    countries: Sequence[str]
    regions: Sequence[str]
    zones: Sequence[str]
    attributes: Sequence[tuple[str, Sequence[str]]]


class ContactStore:
    """Adds contacts to one list.

    `on_retry(attempt, error)` hears of every attempt (from 2) after ClickHouse was unavailable.
    """

    def __init__(self, store: Store, list_name: str, on_retry: Callable[[int, Exception], None]) -> None:
        self._store = store
        self._list = list_name
        self._on_retry = on_retry

    def insert(self, contacts: ContactColumns, at: int) -> None:
        """Store the contacts as of `at` (ms); a later `at` wins over an earlier one for the same number.

        Raises:
            StoreUnavailable: after 8 attempts; repeating the call later is safe.
            StoreRefused: ClickHouse does not accept the rows (for instance, the tables are not there).
        """
        count = len(contacts.numbers)
        buckets = bucket(contacts.numbers)  # type: ignore[arg-type]  # the same arithmetic on a whole array
        key = {"number": _array(contacts.numbers, pa.uint64()), "bucket": _array(buckets, pa.uint16())}
        self._put("contacts", pa.table({**key, **_values(contacts, at)}))
        members = {"list": _array([self._list] * count, pa.string()), **key, "added": _times(at, count)}
        self._put("list_members", pa.table(members))

    def _put(self, table: str, rows: pa.Table) -> None:
        failed: Exception | None = None
        for attempt in stamina.retry_context(on=StoreUnavailable, attempts=ATTEMPTS, timeout=None):
            if failed is not None:
                self._on_retry(attempt.num, failed)
            with attempt:
                try:
                    self._store.insert_arrow(table, rows)
                except StoreUnavailable as error:
                    failed = error
                    raise


def _values(contacts: ContactColumns, at: int) -> dict[str, Any]:
    return {
        "country": _array(contacts.countries, pa.string()),
        "region": _array(contacts.regions, pa.string()),
        "zone": _array(contacts.zones, pa.string()),
        "attributes": attribute_maps(len(contacts.numbers), contacts.attributes),
        "updated": _times(at, len(contacts.numbers)),
    }


def _array(values: Any, kind: Any) -> Any:
    # The stubs of pyarrow have an overload per type, none for a type that is a value.
    return pa.array(values, kind)


def _times(at: int, count: int) -> Any:
    return _array(np.full(count, at, dtype="datetime64[ms]"), pa.timestamp("ms", "UTC"))


def attribute_maps(rows: int, attributes: Sequence[tuple[str, Sequence[str]]]) -> Any:
    """An Arrow array of `rows` maps name → text, trimmed, without the empty texts."""
    width = len(attributes)
    if not width:
        return _array([[]] * rows, pa.map_(pa.string(), pa.string()))
    compute: Any = pc
    columns = [compute.utf8_trim_whitespace(_array(texts, pa.string())) for _, texts in attributes]
    row_by_row = np.arange(rows * width).reshape(width, rows).T.ravel()
    items = compute.take(pa.concat_arrays(columns), _array(row_by_row, pa.int64()))
    names = _array([name for name, _ in attributes], pa.string())
    keys = compute.take(names, _array(np.tile(np.arange(width), rows), pa.int64()))
    filled = np.asarray(compute.not_equal(items, "")).reshape(rows, width)
    ends = np.cumsum(filled.sum(axis=1))
    kept = _array(filled.ravel(), pa.bool_())
    maps: Any = pa.MapArray
    return maps.from_arrays(_array(np.append(0, ends), pa.int32()), keys.filter(kept), items.filter(kept))
