"""Contacts and list members → ClickHouse, in Arrow batches; every insert may be repeated.

Both tables are ReplacingMergeTrees keyed by the number, so a repeated batch or a repeated import doubles nothing.
A contact that is there already keeps what the new one does not have: its attributes, region and zone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import stamina

from adapters.clickhouse import Store
from adapters.clickhouse.consents import ended_holds
from adapters.errors import StoreUnavailable
from schemas.ids import bucket

ATTEMPTS = 8
"""About 45 s with stamina's back-off."""
_T = TypeVar("_T")
_KNOWN = "SELECT number, region, zone, attributes FROM contacts FINAL WHERE number IN (SELECT number FROM typed)"


@dataclass(frozen=True, slots=True)
class ContactColumns:
    """n contacts with distinct numbers. `attributes` holds per name n texts; empty ones are not stored.

    `regions` are those that are given, `derived` those that the numbers tell.
    """

    numbers: npt.NDArray[np.uint64]
    countries: Sequence[str]
    regions: list[str]
    derived: Sequence[str]
    zones: list[str]
    attributes: list[tuple[str, list[str]]]


class ContactStore:
    """Adds contacts to one list.

    `on_retry(attempt, error)` hears of every attempt (from 2) after ClickHouse was unavailable. `replaces`: a contact
    loses what it had before, instead of keeping what the new one does not have.
    """

    def __init__(
        self, store: Store, list_name: str, on_retry: Callable[[int, Exception], None], *, replaces: bool = False
    ) -> None:
        self._store = store
        self._replaces = replaces
        self._list = list_name
        self._on_retry = on_retry

    def insert(self, contacts: ContactColumns, at: int) -> None:
        """Store the contacts as of `at` (ms); a later `at` wins over an earlier one for the same number.

        Raises:
            StoreUnavailable: after 8 attempts; repeating the call later is safe.
            StoreRefused: ClickHouse does not accept the rows (for instance, the tables are not there).
        """
        if not self._replaces:
            keep_known(contacts, self._known(contacts.numbers))
        count = len(contacts.numbers)
        buckets = bucket(contacts.numbers)  # type: ignore[arg-type]  # the same arithmetic on a whole array
        key = {"number": _array(contacts.numbers, pa.uint64()), "bucket": _array(buckets, pa.uint16())}
        self._put("contacts", pa.table({**key, **_values(contacts, at)}))
        members = {"list": _array([self._list] * count, pa.string()), **key, "added": _times(at, count)}
        self._put("list_members", pa.table(members))

    def ended_holds(self, numbers: Sequence[int]) -> frozenset[tuple[str, int, str]]:
        """See `adapters.clickhouse.consents.ended_holds`; waits for ClickHouse as `insert` does.

        Raises:
            StoreUnavailable, StoreRefused.
        """
        return self._retried(lambda: ended_holds(self._store, numbers))

    def _known(self, numbers: npt.NDArray[np.uint64]) -> Sequence[Sequence[Any]]:
        return self._retried(lambda: self._store.rows(_KNOWN, numbers=numbers.tolist()))

    def _put(self, table: str, rows: pa.Table) -> None:
        self._retried(lambda: self._store.insert_arrow(table, rows))

    def _retried(self, ask: Callable[[], _T]) -> _T:
        failed: Exception | None = None
        for attempt in stamina.retry_context(on=StoreUnavailable, attempts=ATTEMPTS, timeout=None):
            if failed is not None:
                self._on_retry(attempt.num, failed)
            with attempt:
                try:
                    return ask()
                except StoreUnavailable as error:
                    failed = error
                    raise
        raise AssertionError("stamina tries or raises")


def keep_known(contacts: ContactColumns, known: Sequence[Sequence[Any]]) -> None:
    """Fill what the contacts do not have with what is known: rows of (number, region, zone, attributes)."""
    places = {number: place for place, number in enumerate(contacts.numbers.tolist())}
    columns = dict(contacts.attributes)
    for number, region, zone, attributes in known:
        place = places[number]
        contacts.regions[place] = contacts.regions[place] or region
        contacts.zones[place] = contacts.zones[place] or zone
        for name, value in attributes.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = [""] * len(places)
                contacts.attributes.append((name, column))
            column[place] = column[place] or value


def _values(contacts: ContactColumns, at: int) -> dict[str, Any]:
    return {
        "country": _array(contacts.countries, pa.string()),
        "region": _array(
            [given or derived for given, derived in zip(contacts.regions, contacts.derived, strict=True)], pa.string()
        ),
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
