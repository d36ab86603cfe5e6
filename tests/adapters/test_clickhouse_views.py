"""The views that others read: they agree with the accounting and the export, under replay too, and stay readable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from adapters.clickhouse import Store, measured
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.export import export
from adapters.clickhouse.figures import message_sets
from adapters.clickhouse.measured import campaigns_behind, insert_figures
from adapters.clickhouse.statuses import StatusSink, insert_campaigns
from adapters.clickhouse.views import declared
from adapters.errors import StoreRefused
from api.figures_source import as_json
from docs.generate import ROOT, views
from pipeline.insight.accounting import figures
from schemas.campaign import CampaignDocument
from schemas.status import StatusChunk
from schemas.succession import SHOWN
from tests.adapters.clickhouse_store import NOW, migrated, settings_of, typed
from tests.adapters.test_clickhouse_statuses import CAMPAIGN, WAY, N, chunk, receipts
from tests.stack import Server

MINUTE = 60_000
RICH = [
    *WAY[:3],
    chunk("rejected", range(40, 44), reason="landline", at=NOW + MINUTE),
    chunk("unknown", [44], reason="owner_lost", segments=2, price=40_000, at=NOW + MINUTE),
    receipts("delivered", [*range(20), 44, 59]),
    receipts("undelivered", range(20, 25), "absent_subscriber"),
    chunk("skipped", range(50, 55), reason="opted_out"),
    chunk("clicked", range(7), reason="person"),
    chunk("clicked", [3, 30], reason="bot:head"),
    chunk("opted_out", [1], reason="word"),
    chunk("replied", [2, 3]),
]
"""Of each kind of state somebody."""


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        AudienceStore(store).freeze(CAMPAIGN, 1, [], typed(*range(15550100000, 15550100000 + N)), [])
        insert_campaigns(store, [document()])
        yield store


def document(**given: Any) -> CampaignDocument:
    spec = {"name": "Sale", "tags": ["spring"], "account": "demo", "sender": "main"}
    defaults = {"id": CAMPAIGN, "status": "sending", "revision": 1, "created": NOW, "updated": NOW, "launched": NOW}
    return CampaignDocument(spec=spec, **{**defaults, **given})


def measure(store: Store, campaign: str = CAMPAIGN) -> None:
    insert_figures(store, [figures(sets) for sets in message_sets(store, campaign)])


def select(store: Store, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.table(sql).to_pylist()
    return found


def record(store: Store, chunks: Sequence[StatusChunk] = RICH) -> None:
    StatusSink(store).insert(chunks)


def test_overview_and_stats_say_what_the_page_says(store: Store) -> None:
    record(store)
    record(store, [msgspec.structs.replace(one, message=1) for one in RICH[:4]])
    record(store)
    measure(store)
    sets = [figures(one) for one in message_sets(store, CAMPAIGN)]
    assert len(sets) == 2
    for figure in sets:
        (row,) = select(store, f"SELECT * FROM message_stats WHERE message = {figure.message}")
        assert {state: row[state] for state in SHOWN} == dict(figure.states)
        assert row["residual"] == figure.residual == 0
    (row,) = select(store, f"SELECT * FROM campaign_overview WHERE campaign = '{CAMPAIGN}'")
    page = as_json(sets)
    assert {state: row[state] for state in SHOWN} == page["states"]
    same = ("targeted", "submitted", "opted_out", "replied", "segments", "residual")
    assert {name: row[name] for name in same} == {name: page[name] for name in same}
    assert row["spend"] == pytest.approx(page["spend"])
    clicked = page["clicked"]
    assert (row["clicked"], row["clicked_by_bots"]) == (clicked["people"], clicked["bots"]) == (7, 2)
    assert row["click_rate"] == pytest.approx(clicked["rate"])
    assert (row["messages"], row["spend"]) == (81, pytest.approx((80 * 7900 + 2 * 40_000) / 1e6))
    assert (row["name"], row["tags"], row["account"], row["status"]) == ("Sale", ["spring"], "demo", "sending")
    assert row["finished"] is None


def test_a_campaign_that_was_never_measured_is_in_the_overview_with_zeros(store: Store) -> None:
    (row,) = select(store, "SELECT * FROM campaign_overview")
    assert (row["targeted"], row["pending"], row["click_rate"], row["newest_at"], row["measured"]) == (
        0, 0, None, None, None
    )  # fmt: skip


def test_a_newer_measurement_replaces_the_older_one(store: Store) -> None:
    measure(store)
    record(store)
    measure(store)
    (row,) = select(store, "SELECT pending, delivered FROM message_stats")
    assert row == {"pending": 5, "delivered": 21}
    insert_campaigns(store, [document(status="finished", revision=2)])
    (row,) = select(store, "SELECT status FROM campaign_overview")
    assert row == {"status": "finished"}


def test_failures_are_listed_by_reason_with_their_share(store: Store) -> None:
    record(store)
    measure(store)
    rows = select(
        store, "SELECT state, reason, recipients, share, sender FROM failure_reasons ORDER BY state, reason"
    )
    found = {(row["state"], row["reason"]): row["recipients"] for row in rows}
    assert found == {
        ("rejected", "landline"): 4, ("skipped", "opted_out"): 5, ("undelivered", "absent_subscriber"): 5
    }  # fmt: skip
    assert {row["sender"] for row in rows} == {"main"}
    assert sum(row["share"] for row in rows) == pytest.approx(14 / N)


def test_usage_adds_up_by_account_and_day(store: Store) -> None:
    other = "statuse2"
    AudienceStore(store).freeze(other, 1, [], typed(*range(15550100000, 15550100000 + N)), [])
    insert_campaigns(store, [document(id=other, revision=2), document(id="draft000", launched=0)])
    for campaign in (CAMPAIGN, other):
        record(store, [msgspec.structs.replace(one, campaign=campaign) for one in RICH])
        measure(store, campaign)
    (row,) = select(store, "SELECT * FROM account_usage")
    assert (row["account"], str(row["day"]), row["campaigns"]) == ("demo", "2025-10-09", 2)
    assert (row["targeted"], row["messages"], row["segments"], row["opted_out"]) == (2 * N, 82, 84, 2)
    assert row["spend"] == pytest.approx(2 * (40 * 7900 + 2 * 40_000) / 1e6)


def test_minutes_count_each_status_once_however_often_it_was_inserted(store: Store) -> None:
    for _ in range(3):
        record(store)
    record(store, [StatusChunk(campaign=CAMPAIGN, message=0, at=NOW + MINUTE, groups=[], lane=0)])
    rows = select(store, f"SELECT * FROM campaign_minutes WHERE campaign = '{CAMPAIGN}'")
    assert {row["minute"] % 60 for row in rows} == {0}  # Arrow has a DateTime as seconds.
    first = {row["state"]: row["recipients"] for row in rows if row["minute"] == min(r["minute"] for r in rows)}
    assert first["queued"] == 50
    assert (first["accepted"], first["delivered"], first["clicked"], first["opted_out"]) == (40, 22, 9, 1)
    later = {row["state"]: (row["recipients"], row["segments"]) for row in rows if row["state"] not in first}
    assert later == {"rejected": (4, 0), "unknown": (1, 2)}


def test_minutes_of_a_range_count_all_of_it(store: Store) -> None:
    record(store, [WAY[5]])  # withdrawn
    (row,) = select(store, "SELECT state, recipients FROM campaign_minutes")
    assert row == {"state": "canceled", "recipients": 12}


def test_minutes_of_a_campaign_are_found_by_the_index(store: Store) -> None:
    record(store)
    plan = "\n".join(
        row[0]
        for row in store.rows(
            "EXPLAIN indexes = 1 SELECT * FROM campaign_minutes "
            f"WHERE campaign = '{CAMPAIGN}' AND minute > '2025-01-01'"
        )
    )
    assert "campaign in ['statuses', 'statuses']" in plan
    assert "times" in plan


@pytest.mark.parametrize("chunks", [[], WAY, RICH, [*RICH, *WAY]], ids=["nothing", "way", "rich", "both"])
def test_recipient_states_agree_with_the_export(store: Store, chunks: list[StatusChunk]) -> None:
    record(store, chunks)
    record(store, chunks)
    wanted = [row for batch in export(store, CAMPAIGN) for row in batch.to_pylist()]
    found = select(store, recipient_states(0, N))
    assert [row["ordinal"] for row in found] == list(range(N))
    same = ("number", "state", "reason", "segments", "aggregator_id", "delivered_at", "clicked_at")
    assert [{name: row[name] for name in same} for row in found] == [
        {name: row[name] for name in same} for row in wanted
    ]
    assert [row["spend"] for row in found] == [pytest.approx(row["segments"] * row["price"] / 1e6) for row in wanted]
    assert select(store, recipient_states(10, 20)) == found[10:20]


def recipient_states(first: int, last: int) -> str:
    place = f"campaign = '{CAMPAIGN}', message = 0, first = {first}, last = {last}"
    return f"SELECT * FROM recipient_states({place}) ORDER BY ordinal"


RECIPIENT_STATES = f"recipient_states(campaign = '{CAMPAIGN}', message = 0, first = 0, last = 1)"


def test_campaigns_that_are_behind_are_found_until_nothing_can_come_late(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert campaigns_behind(store) == []
    record(store)
    # Of a message that was never submitted, and of a campaign without an audience: in no figure.
    record(store, [receipts("delivered", [1], message=7), chunk_of("nobody00")])
    assert campaigns_behind(store) == [CAMPAIGN]
    measure(store)
    assert campaigns_behind(store) == [CAMPAIGN], "an insert that began before may still come"
    monkeypatch.setattr(measured, "_BEHIND", measured._BEHIND.replace("INTERVAL 300", "INTERVAL 0"))
    assert campaigns_behind(store) == []
    record(store, [chunk("clicked", [9], reason="person")])
    assert campaigns_behind(store) == [CAMPAIGN]


def chunk_of(campaign: str) -> StatusChunk:
    return msgspec.structs.replace(WAY[0], campaign=campaign)


def test_the_page_describes_each_view_with_its_real_columns(store: Store) -> None:
    rows = store.rows(
        """SELECT table, name, type, comment FROM system.columns
        WHERE database = currentDatabase() AND table IN
            (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View')
        ORDER BY table, position"""
    )
    listed: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind, comment in rows:
        listed.setdefault(table, []).append((name, kind))
        assert comment, f"{table}.{name} has no description"
    listed["recipient_states"] = [row[:2] for row in store.rows(f"DESCRIBE {RECIPIENT_STATES}")]
    assert {view.name: [(column.name, column.type) for column in view.columns] for view in declared()} == listed
    page = views()
    for view, columns in listed.items():
        section = page.partition(f"### {view}\n")[2].partition("\n### ")[0]
        for name, kind in columns:
            assert re.search(rf"^\| `{name}` \| `{re.escape(kind)}` \| \S.*\. \|$", section, re.MULTILINE), (
                view,
                name,
            )


def test_every_table_has_a_ttl_or_a_reason_to_have_none(store: Store) -> None:
    engines = "engine LIKE '%MergeTree'"
    rows = store.rows(
        f"SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() AND {engines}"
    )
    kept = {name for name, made in rows if " TTL " not in made}
    page = (ROOT / "docs" / "connecting" / "clickhouse.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \| kept", page, re.MULTILINE))
    assert kept == listed
    for name, made in rows:
        if name in kept:
            continue
        (days,) = re.findall(r"toIntervalDay\((\d+)\)", made)
        assert re.search(rf"^\| `{name}` \| {days} days", page, re.MULTILINE), name


def test_the_reader_reads_every_view_and_changes_nothing(clickhouse: Server) -> None:
    with migrated(clickhouse) as written:
        reader = Store(written.settings.reading())
        try:
            for view in declared():
                name = RECIPIENT_STATES if view.name == "recipient_states" else view.name
                assert reader.rows(f"SELECT count() FROM {name}") is not None
            for statement in (
                "INSERT INTO migrations (number) SELECT 99",
                "DROP VIEW campaign_overview",
                "TRUNCATE TABLE consents",
                "CREATE TABLE mine (x UInt8) ENGINE = MergeTree ORDER BY x",
                "ALTER TABLE consents DELETE WHERE 1",
                "SET readonly = 0",
            ):
                with pytest.raises(StoreRefused):
                    reader.command(statement)
        finally:
            reader.close()
    assert settings_of(clickhouse).clickhouse.reading().user == "reader"
