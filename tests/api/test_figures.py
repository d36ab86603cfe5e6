"""The figures that all who look share: measured again only where something was recorded since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.figures import message_sets
from adapters.clickhouse.measured import insert_figures
from adapters.clickhouse.statuses import StatusSink
from adapters.kafka.views import CampaignView
from adapters.settings import Settings
from api import figures as service
from api.figures import FiguresService
from pipeline.insight import accounting
from schemas.campaign import CampaignDocument
from schemas.status import StatusChunk, StatusGroup
from tests.adapters.clickhouse_store import NOW, migrated, typed
from tests.stack import Server

CAMPAIGN = "figures1"
N = 10
SPEC = {"name": "Figures", "audience": {"lists": ["people"]}, "messages": [{"text": "Hello"}]}


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        yield store


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The campaigns that were measured, in order."""
    actual: list[str] = []
    real = service.read_figures

    def read(store: Store, campaigns: Sequence[str]) -> dict[str, dict[str, Any]]:
        actual.extend(campaigns)
        return real(store, campaigns)

    monkeypatch.setattr(service, "read_figures", read)
    return actual


@pytest.fixture
def figures(store: Store) -> FiguresService:
    made = FiguresService(Settings(), CampaignView(Settings().kafka))
    made.store.close()
    made.store = store
    return made


def document(status: str, revision: int) -> CampaignDocument:
    return CampaignDocument(id=CAMPAIGN, revision=revision, status=status, spec=SPEC, created=NOW, updated=NOW)


def freeze(store: Store) -> None:
    AudienceStore(store).freeze(CAMPAIGN, 1, [], typed(*range(15550100000, 15550100000 + N)), [])


def accept(store: Store, *ordinals: int) -> None:
    record(
        store, StatusGroup(state="accepted", ordinals=list(ordinals), ids=[f"id-{n}" for n in ordinals], segments=1)
    )


def record(store: Store, group: StatusGroup) -> None:
    StatusSink(store).insert([StatusChunk(campaign=CAMPAIGN, message=0, at=NOW, groups=[group])])


async def test_what_has_not_changed_is_not_measured_again(
    store: Store, figures: FiguresService, measured: list[str]
) -> None:
    freeze(store)
    accept(store, 0, 1, 2)
    first = await figures.fresh(document("sent", 3))
    again = await figures.fresh(document("sent", 3))
    assert first is not None
    assert again is not None
    assert (len(measured), again.figures) == (1, first.figures)
    assert again.as_of >= first.as_of
    assert first.figures["submitted"] == 3
    accept(store, 3)
    third = await figures.fresh(document("sent", 3))
    assert third is not None
    assert (len(measured), third.figures["submitted"]) == (2, 4)


async def test_an_audience_that_comes_to_be_is_seen(
    store: Store, figures: FiguresService, measured: list[str]
) -> None:
    before = await figures.fresh(document("processing", 2))
    freeze(store)
    after = await figures.fresh(document("processing", 2))
    assert before is not None
    assert after is not None
    assert (before.figures["targeted"], after.figures["targeted"]) == (0, N)
    await figures.fresh(document("sending", 3))
    await figures.fresh(document("sending", 3))
    assert len(measured) == 3, "measured again for the revision, and then no more"


async def test_it_is_measured_again_after_clickhouse_was_away(
    store: Store, figures: FiguresService, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze(store)
    accept(store, 0)
    first = await figures.fresh(document("sent", 3))
    assert first is not None
    with monkeypatch.context() as away:
        away.setattr(service, "versions", _refuses)
        accept(store, 1)
        assert await figures.fresh(document("sent", 3)) is first
        assert figures.problem.startswith("ClickHouse does not answer")
    now = await figures.fresh(document("sent", 3))
    assert now is not None
    assert (now.figures["submitted"], figures.problem, len(measured)) == (2, "", 2)


async def test_an_ended_campaign_is_read_from_the_view_until_something_comes_late(
    store: Store, figures: FiguresService, measured: list[str]
) -> None:
    freeze(store)
    accept(store, 0, 1, 2)
    record(store, StatusGroup(state="receipt_delivered", ordinals=[0, 1]))
    record(store, StatusGroup(state="receipt_undelivered", reason="absent_subscriber", ordinals=[2]))
    record(store, StatusGroup(state="clicked", reason="person", ordinals=[1]))
    record(store, StatusGroup(state="opted_out", ordinals=[2]))
    record(store, StatusGroup(state="skipped", reason="opted_out", ordinals=list(range(3, N))))
    store.command("ALTER TABLE state_sets UPDATE inserted = inserted - 600 WHERE 1 SETTINGS mutations_sync = 2")
    ended = document("finished", 4)
    live = figures._read([ended])[CAMPAIGN]
    assert (live.version is None, len(measured)) == (False, 1), "the view does not have it yet"
    insert_figures(store, [accounting.figures(sets) for sets in message_sets(store, CAMPAIGN)])
    from_view = figures._read([ended])[CAMPAIGN]
    assert (from_view.version, len(measured)) == (None, 1)
    assert from_view.figures == live.figures
    assert live.figures["reasons"] == [
        {"state": "skipped", "reason": "opted_out", "count": 7},
        {"state": "undelivered", "reason": "absent_subscriber", "count": 1},
    ]
    assert live.figures["clicked"] == {"people": 1, "bots": 0, "delivered": 1, "rate": 0.5}
    record(store, StatusGroup(state="clicked", reason="person", ordinals=[0]))
    assert figures._read([ended])[CAMPAIGN].figures["clicked"]["people"] == 2


async def test_an_ended_campaign_that_somebody_opened_is_measured_when_it_changes(
    store: Store, figures: FiguresService, measured: list[str]
) -> None:
    freeze(store)
    accept(store, *range(N))
    ended = document("finished", 4)
    insert_figures(store, [accounting.figures(sets) for sets in message_sets(store, CAMPAIGN)])
    assert (await figures.fresh(ended)).figures["submitted"] == N  # type: ignore[union-attr]
    record(store, StatusGroup(state="clicked", reason="person", ordinals=[0]))
    assert (await figures.fresh(ended)).figures["clicked"]["people"] == 1  # type: ignore[union-attr]
    assert measured == [CAMPAIGN] * 2


def _refuses(*_: object) -> None:
    raise service.StoreError("away")
