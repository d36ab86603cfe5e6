"""The sizes of ClickHouse's tables, on a real one."""

from __future__ import annotations

import pytest

from adapters.errors import StoreError
from agents.tables import StoreSizes
from schemas import metrics
from tests.adapters.clickhouse_store import NOW, add_contacts, migrated
from tests.stack import Server


def exported(metric: metrics.Gauge) -> dict[str, float]:
    return {sample.labels["table"]: sample.value for family in metric.collect() for sample in family.samples}


async def test_each_table_has_its_rows_and_bytes_and_one_that_is_gone_has_none(clickhouse: Server) -> None:
    with migrated(clickhouse) as store:
        sizes = StoreSizes(store)
        add_contacts(store, [12125550001, 12125550002], ["all"], {}, at=NOW)
        await sizes.measure()
        rows = exported(metrics.STORE_TABLE_ROWS)
        assert (rows["contacts"], rows["list_members"]) == (2, 2)
        assert exported(metrics.STORE_TABLE_BYTES)["contacts"] > 0
        store.command("DROP TABLE list_members")
        await sizes.measure()
        assert "list_members" not in exported(metrics.STORE_TABLE_ROWS)
    with pytest.raises(StoreError):
        await StoreSizes(store).measure()
