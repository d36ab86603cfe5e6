"""How large tables are, for the metrics: a worker's share of its own, and those in ClickHouse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NoReturn

from adapters.clickhouse import Store
from adapters.clickhouse.sizes import table_sizes
from agents.guards.table import AckedTable
from agents.rounds import in_rounds
from schemas import metrics

SECONDS: Final = 15.0
STORE_SECONDS: Final = 60.0
_KEYS: Final = "rocksdb.estimate-num-keys"
_BYTES: Final = ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")


async def watch_tables(tables: Iterable[AckedTable]) -> NoReturn:
    """Measure for as long as this task runs. RocksDB has these figures at hand: it reads nothing for them."""
    watched = list(tables)
    while True:
        for table in watched:
            measure(table)
        await asyncio.sleep(SECONDS)


def measure(table: AckedTable) -> None:
    """Export the size of a table, summed over the partitions that are here."""
    parts = table.data.open_parts()
    metrics.TABLE_KEYS.labels(table.name).set(sum(db.property_int_value(_KEYS) or 0 for db in parts))
    sizes = (db.property_int_value(name) or 0 for db in parts for name in _BYTES)
    metrics.TABLE_BYTES.labels(table.name).set(sum(sizes))


async def watch_store_tables(store: Store) -> NoReturn:
    """Export the sizes of ClickHouse's tables for as long as this task runs."""
    sizes = StoreSizes(store)
    await in_rounds("measuring the tables", STORE_SECONDS, sizes.measure)


class StoreSizes:
    """Rows and bytes of each table; one that is gone has no series anymore."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tables: set[str] = set()

    async def measure(self) -> None:
        """Ask once.

        Raises:
            StoreError: ClickHouse does not say.
        """
        sizes = await asyncio.to_thread(table_sizes, self._store)
        for gone in self._tables - set(sizes):
            metrics.STORE_TABLE_ROWS.remove(gone)
            metrics.STORE_TABLE_BYTES.remove(gone)
        self._tables = set(sizes)
        for table, (rows, size) in sizes.items():
            metrics.STORE_TABLE_ROWS.labels(table).set(rows)
            metrics.STORE_TABLE_BYTES.labels(table).set(size)
