"""Audiences: frozen by one statement into dense ordinals in order of recipient bucket, read in pages."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from adapters.clickhouse.connection import Store
from adapters.errors import StoreRefused
from schemas.audience import VALUE_LIMIT, AudiencePage, TypedNumbers
from schemas.ids import BUCKETS, bucket_sql, retried_campaign

# One statement, so one snapshot of every table. The numbering is by window, whose order SQL guarantees however many
# threads read.
_FREEZE: Final = """
INSERT INTO audience (campaign, revision, attempt, ordinal, number, country, region, zone, fields)
SELECT {campaign:String}, {revision:UInt32}, {attempt:UInt64}, row_number() OVER (ORDER BY bucket, number) - 1,
    number, country, region, zone, fields
FROM (%s)
SETTINGS max_insert_threads = 1
"""
# Who is in several sources stands several times in the sorted rows. The first one stays: who is tried again, as they
# were, then the contact, then the typed number.
_DISTINCT: Final = """
SELECT bucket, number, country, region, zone, fields
FROM
(
    SELECT *, lagInFrame(number)
        OVER (ORDER BY bucket, number, source ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS twin
    FROM ({sources})
)
WHERE number != twin
"""
_RETRIED: Final = """
SELECT bucket, number, country, region, zone, {values} AS fields, 0 AS source FROM retry_recipients
WHERE {within} AND (list, attempt) IN
(
    SELECT list, argMin(attempt, (made, attempt)) FROM retry_lists
    WHERE list IN {{lists:Array(String)}} GROUP BY list
)
"""
_CONTACTS: Final = """
SELECT bucket, number, country, region, zone, {values} AS fields, 1 AS source FROM contacts FINAL
WHERE {within} AND number IN ({members})
"""
_MEMBERS: Final = "SELECT number FROM list_members WHERE list IN {{lists:Array(String)}} AND {within}"
_TYPED: Final = f"""
SELECT DISTINCT {bucket_sql("number")} AS bucket, number, country, region, '', {{blank}}, 2 FROM typed
WHERE {{within}}
"""

_COMMITTED: Final = """
SELECT attempt, recipients, fields FROM audiences
WHERE campaign = {campaign:String} AND revision = {revision:UInt32} ORDER BY frozen, attempt LIMIT 1
"""
_CHECK: Final = """
SELECT count(), ifNull(maxOrNull(ordinal) + 1, 0), groupBitmap(ordinal) FROM audience
WHERE campaign = {campaign:String} AND revision = {revision:UInt32} AND attempt = {attempt:UInt64}
"""


class AudienceStore:
    """Freezes and reads audiences. All methods block and raise StoreUnavailable or StoreRefused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, int], tuple[int, int, list[str]]] = {}

    def freeze(
        self, campaign: str, revision: int, lists: Sequence[str], numbers: TypedNumbers, fields: Sequence[str]
    ) -> int:
        """Give each recipient of the lists and the typed numbers an ordinal; returns N.

        Ordinals are 0..N-1 in order of (bucket, number). `fields` are the contacts' attributes that are kept with
        each ordinal. Repeating it for the same campaign and revision changes nothing and returns the same N, also
        after a torn attempt and where two run at once: the first attempt that completed is the audience.

        Raises:
            StoreUnavailable: repeat it.
            StoreRefused: ClickHouse does not accept the statement.
        """
        committed = self._committed(campaign, revision)
        if committed is None:
            self._attempt(campaign, revision, lists, numbers, list(fields))
            committed = self._committed(campaign, revision)
        if committed is None:
            raise StoreRefused(f"the audience of {campaign} was frozen and is not there")
        return committed[1]

    def page(self, campaign: str, revision: int, first: int, last: int) -> AudiencePage:
        """Recipients with ordinals [first, last), at most as many as there are.

        Raises:
            StoreUnavailable: repeat it.
            StoreRefused: this revision was never frozen, or rows of it are missing.
        """
        committed = self._committed(campaign, revision)
        if committed is None:
            raise StoreRefused(f"campaign {campaign} has no frozen audience of revision {revision}")
        attempt, recipients, fields = committed
        expected = max(0, min(last, recipients) - first)
        named = "".join(f", fields[{place}] AS field_{place}" for place in range(1, len(fields) + 1))
        table = self._store.table(
            f"""SELECT ordinal, number, zone, country, region{named} FROM audience
            WHERE campaign = {{campaign:String}} AND revision = {{revision:UInt32}} AND attempt = {{attempt:UInt64}}
                AND ordinal >= {{first:UInt32}} AND ordinal < {{last:UInt32}} ORDER BY ordinal""",
            {"campaign": campaign, "revision": revision, "attempt": attempt, "first": first, "last": last},
        ).combine_chunks()
        ordinals = table["ordinal"].to_numpy()
        if len(ordinals) != expected or (expected and (ordinals[0] != first or np.any(np.diff(ordinals) != 1))):
            raise StoreRefused(
                f"the audience of {campaign} has {len(ordinals)} rows in [{first}, {last}), expected {expected}: "
                "rows of the table `audience` were lost; restore it, or cancel and duplicate the campaign"
            )
        return _page(first, table, fields)

    def _committed(self, campaign: str, revision: int) -> tuple[int, int, list[str]] | None:
        """(attempt, N, fields); kept, because it never changes once it is there."""
        key = (campaign, revision)
        if key not in self._known:
            rows = self._store.rows(_COMMITTED, {"campaign": campaign, "revision": revision})
            if not rows:
                return None
            self._known[key] = (rows[0][0], rows[0][1], list(rows[0][2]))
        return self._known[key]

    def _attempt(
        self, campaign: str, revision: int, lists: Sequence[str], numbers: TypedNumbers, fields: list[str]
    ) -> None:
        attempt = secrets.randbits(63)
        key = {"campaign": campaign, "revision": revision, "attempt": attempt}
        named = {f"field_{place}": name for place, name in enumerate(fields)}
        self._store.command(
            _FREEZE % members(fields, lists, bool(len(numbers))),
            {**key, "lists": list(lists), **named},
            numbers if len(numbers) else None,
        )
        count, after_last, distinct = self._store.rows(_CHECK, key)[0]
        if not count == after_last == distinct:
            raise StoreRefused(
                f"the ordinals of {campaign} came out wrong: {count} rows, {distinct} distinct ordinals"
            )
        row = {
            "campaign": pa.array([campaign.encode()], pa.binary(8)),
            "revision": pa.array([revision], pa.uint32()),
            "attempt": pa.array([attempt], pa.uint64()),
            "recipients": pa.array([count], pa.uint32()),
            "fields": pa.array([fields], pa.list_(pa.string())),
        }
        self._store.insert_arrow("audiences", pa.table(row))


def preview(
    store: Store,
    lists: Sequence[str],
    numbers: TypedNumbers,
    fields: Sequence[str],
    buckets: tuple[int, int] = (0, BUCKETS),
) -> AudiencePage:
    """The audience as it would be frozen now, in its order, without freezing it; of the `buckets` [first, last).

    Raises:
        StoreUnavailable, StoreRefused.
    """
    within = "bucket >= {first_bucket:UInt16} AND bucket < {last_bucket:UInt16}"
    named = "".join(f", fields[{place}] AS field_{place}" for place in range(1, len(fields) + 1))
    rows = f"SELECT number, zone, country, region{named} FROM ({members(fields, lists, bool(len(numbers)), within)})"
    parameters = {"lists": list(lists), "first_bucket": buckets[0], "last_bucket": buckets[1]}
    parameters |= {f"field_{place}": name for place, name in enumerate(fields)}
    table = store.table(f"{rows} ORDER BY bucket, number", parameters, numbers if len(numbers) else None)
    return _page(0, table.combine_chunks(), fields)


def members(fields: Sequence[str], lists: Sequence[str], typed: bool, within: str = "true") -> str:
    """The query of an audience, with the parameters `lists` and `field_0` …: bucket, number, country, region, zone
    and `fields`, each number once. `within` is a condition on `bucket`."""
    values = ", ".join(
        f"substringUTF8(attributes[{{field_{place}:String}}], 1, {VALUE_LIMIT})" for place in range(len(fields))
    )
    columns = f"[{values}]" if fields else "emptyArrayString()"
    retried = [name for name in lists if retried_campaign(name)]
    sources = []
    if retried:
        sources.append(_RETRIED.format(values=columns, within=within))
    if len(retried) < len(lists) or typed:
        on_lists = _MEMBERS.format(within=within)
        known = f"{on_lists} UNION ALL SELECT number FROM typed" if typed else on_lists
        sources.append(_CONTACTS.format(values=columns, within=within, members=known))
    if typed:
        blank = f"arrayResize(emptyArrayString(), {len(fields)})"
        sources.append(_TYPED.format(blank=blank, within=within))
    if len(sources) == 1 and len(retried) <= 1:
        return sources[0]
    return _DISTINCT.format(sources=" UNION ALL ".join(sources))


def _page(first: int, table: Any, fields: Sequence[str]) -> AudiencePage:
    coded = {name: _coded(table[name]) for name in ("zone", "country", "region")}
    return AudiencePage(
        first=first,
        numbers=table["number"].to_numpy(),
        zones=coded["zone"][0],
        zone=coded["zone"][1],
        countries=coded["country"][0],
        country=coded["country"][1],
        regions=coded["region"][0],
        region=coded["region"][1],
        fields={name: table[f"field_{place}"].to_pylist() for place, name in enumerate(fields, 1)},
    )


def _coded(column: Any) -> tuple[list[str], Any]:
    """(dictionary, indices) of a column, with one dictionary for all of it."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks() if array.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array.dictionary.to_pylist(), array.indices.to_numpy()
