"""The lists of those whom a retry goes to: made from the audience of an earlier campaign, inside ClickHouse."""

from __future__ import annotations

import secrets
from typing import Any, Final

import pyarrow as pa

from adapters.clickhouse.connection import Store
from adapters.clickhouse.export import PAGE, windows
from adapters.errors import StoreRefused
from schemas.ids import bucket_sql
from schemas.selection import Selection

_COMMITTED: Final = """
SELECT recipients FROM retry_lists WHERE list = {list:String} ORDER BY made, attempt LIMIT 1
"""
_FIELDS: Final = """
SELECT fields FROM audiences WHERE campaign = {campaign:String} ORDER BY revision DESC, frozen, attempt LIMIT 1
"""
_WINDOW: Final = """
campaign = {campaign:String} AND revision = {revision:UInt32} AND attempt = {attempt:UInt64}
AND ordinal >= {first:UInt32} AND ordinal < {last:UInt32}
"""
# What the text had stays; what it did not use is as the contact has it now. Contacts are read by bucket, which is the
# order of ordinals, so each of them is read for one window.
_INSERT: Final = f"""
INSERT INTO retry_recipients (list, attempt, bucket, number, country, region, zone, attributes)
SELECT {{list:String}}, {{into:UInt64}}, {bucket_sql("p.number")}, p.number, f.country, f.region, f.zone,
    mapUpdate(
        CAST(c.attributes, 'Map(String, String)'), mapFromArrays({{names:Array(String)}}, f.fields))
FROM ({PAGE}) AS p
INNER JOIN (SELECT ordinal, country, region, zone, fields FROM audience WHERE {_WINDOW}) AS f ON p.ordinal = f.ordinal
LEFT JOIN
(
    SELECT number, attributes FROM contacts FINAL
    WHERE bucket >= (SELECT min({bucket_sql("number")}) FROM audience WHERE {_WINDOW})
        AND bucket <= (SELECT max({bucket_sql("number")}) FROM audience WHERE {_WINDOW})
        AND number IN (SELECT number FROM audience WHERE {_WINDOW})
) AS c ON p.number = c.number
"""
_COUNT: Final = "SELECT count() FROM retry_recipients WHERE list = {list:String} AND attempt = {into:UInt64}"


class RetryLists:
    """Makes and drops the lists. All methods block and raise StoreUnavailable or StoreRefused."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(self, name: str, campaign: str, selection: Selection) -> int:
        """Put those recipients of `campaign` whom the selection means now on the list; returns how many.

        They keep the values that the campaign's texts had. Repeating it changes nothing and returns the same, also
        after an attempt that was torn: the first one that completed is the list.

        Raises:
            StoreUnavailable: repeat it.
            StoreRefused: ClickHouse does not accept the statement.
        """
        committed = self._committed(name)
        if committed is None:
            self._attempt(name, campaign, selection)
            committed = self._committed(name)
        if committed is None:
            raise StoreRefused(f"list {name} was made and is not there")
        return committed

    def drop(self, name: str) -> None:
        """Delete a list. May be repeated."""
        # First what makes it a list: half of one is never read.
        for table in ("retry_lists", "retry_recipients"):
            self._store.command(f"DELETE FROM {table} WHERE list = {{list:String}}", {"list": name})

    def _committed(self, name: str) -> int | None:
        rows = self._store.rows(_COMMITTED, {"list": name})
        return int(rows[0][0]) if rows else None

    def _attempt(self, name: str, campaign: str, selection: Selection) -> None:
        key: dict[str, Any] = {"list": name, "into": secrets.randbits(63)}
        fields = self._store.rows(_FIELDS, {"campaign": campaign})
        names = list(fields[0][0]) if fields else []
        # A window at a time, as the export, which bounds memory however many there are.
        for window in windows(self._store, campaign, 0, selection):
            self._store.command(_INSERT, {**window, **key, "names": names})
        row = {
            "list": pa.array([name]),
            "attempt": pa.array([key["into"]], pa.uint64()),
            "recipients": pa.array([self._store.rows(_COUNT, key)[0][0]], pa.uint32()),
        }
        self._store.insert_arrow("retry_lists", pa.table(row))
