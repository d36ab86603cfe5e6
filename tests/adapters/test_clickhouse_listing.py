"""The export of a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from adapters.clickhouse import Store
from adapters.clickhouse import export as exporting
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.export import export
from adapters.clickhouse.figures import message_sets
from adapters.clickhouse.statuses import StatusSink
from pipeline.campaign.selecting import count
from pipeline.insight.accounting import figures
from schemas.campaign import CampaignDocument
from schemas.selection import Selection
from tests.adapters.clickhouse_store import NOW, migrated, typed
from tests.adapters.test_clickhouse_statuses import CAMPAIGN, EXPECTED, WAY, N, chunk
from tests.stack import Server


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        yield store


def document(place: int, **given: Any) -> CampaignDocument:
    spec = {"name": f"Sale {place}", "tags": ["spring", f"t{place % 2}"], "account": "demo", "sender": "main"}
    defaults = {"status": "draft", "revision": 1, "created": NOW + place, "updated": NOW}
    return CampaignDocument(id=f"camp{place:04d}", spec=spec, **{**defaults, **given})


def rows(store: Store, **given: Any) -> list[dict[str, Any]]:
    return pa.Table.from_batches(export(store, CAMPAIGN, **given)).to_pylist()


def test_the_export_has_every_recipient_once_and_agrees_with_the_figures(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    AudienceStore(store).freeze(CAMPAIGN, 1, [], typed(*range(15550100000, 15550100000 + N)), [])
    sink = StatusSink(store)
    for _ in range(2):
        sink.insert([*WAY, chunk("accepted", [40], segments=2, price=7900, ids=["late"])])
    monkeypatch.setattr(exporting, "WINDOW", 7)
    actual = rows(store)
    assert [row["ordinal"] for row in actual] == list(range(N))
    assert len({row["number"] for row in actual}) == N
    counts = {state: sum(row["state"] == state for row in actual) for state in EXPECTED}
    assert counts == {**EXPECTED, "accepted": 11, "in_flight": 4}
    account = figures(message_sets(store, CAMPAIGN)[0])
    assert all(account.states[state] == count for state, count in counts.items())
    assert account.spend == sum(row["segments"] * row["price"] for row in actual if row["accepted_at"])
    first, late, skipped, gone = actual[0], actual[40], actual[50], actual[59]
    assert (first["state"], first["aggregator_id"], first["segments"], first["price"]) == (
        "delivered",
        "id-0",
        1,
        7900,
    )
    assert int(first["accepted_at"].timestamp() * 1000) == NOW + 5
    assert first["clicked_at"] is not None
    assert (late["state"], late["aggregator_id"], late["segments"]) == ("accepted", "late", 2)
    assert (skipped["state"], skipped["reason"], skipped["accepted_at"]) == ("skipped", "opted_out", None)
    assert (gone["state"], gone["canceled_at"] is not None) == ("canceled", True)


def ordinals(store: Store, **given: Any) -> list[int]:
    return [row["ordinal"] for row in rows(store, selection=Selection(**given))]


def test_the_export_of_some(store: Store) -> None:
    AudienceStore(store).freeze(CAMPAIGN, 1, [], typed(*range(15550100000, 15550100000 + N)), [])
    assert {row["state"] for row in rows(store)} == {"pending"}
    StatusSink(store).insert(
        [*WAY, chunk("rejected", [30, 31], reason="code:30003"), chunk("rejected", [32], reason="refused")]
    )
    assert ordinals(store, states=("skipped",)) == list(range(50, 55))
    assert ordinals(store, states=("skipped", "rejected")) == [*range(30, 33), *range(50, 55)]
    assert ordinals(store, states=("undelivered",)) == []
    assert ordinals(store, reasons=("code",)) == ordinals(store, reasons=("code:30003",)) == [30, 31]
    assert ordinals(store, reasons=("code:30004",)) == []
    assert ordinals(store, states=("rejected",), left_out=("code",)) == [32]
    assert ordinals(store, reasons=("opted_out", "refused")) == [32, *range(50, 55)]
    counted = figures(message_sets(store, CAMPAIGN)[0])
    for given in ({"reasons": ("code", "opted_out")}, {"states": ("rejected",), "left_out": ("refused",)}):
        assert count(Selection(**given), counted.reasons) == len(ordinals(store, **given)) > 0


def test_the_export_of_what_was_never_frozen_is_empty(store: Store) -> None:
    assert list(export(store, CAMPAIGN)) == []
