"""How large the tables are."""

from __future__ import annotations

from adapters.clickhouse.connection import Store


def table_sizes(store: Store) -> dict[str, tuple[int, int]]:
    """(rows, bytes on disk) of each table of our database that keeps rows."""
    found = store.rows(
        "SELECT name, total_rows, total_bytes FROM system.tables "
        "WHERE database = currentDatabase() AND total_rows IS NOT NULL AND total_bytes IS NOT NULL"
    )
    return {str(name): (int(rows), int(size)) for name, rows, size in found}
