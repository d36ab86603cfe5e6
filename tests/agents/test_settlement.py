"""Campaigns by status, as an alert sees them; figures that are kept for the views."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.statuses import StatusSink
from agents.settlement import LATE_ROUNDS, SENT_ROUNDS, FigureAges, Settlement, count
from pipeline.ledger.book import Ledger
from schemas import metrics
from schemas.figures import Figures
from schemas.ledger import LEDGER_COMMANDS, Spent
from schemas.status import State, StatusChunk, StatusGroup
from tests.adapters.clickhouse_store import NOW, migrated, typed
from tests.pipeline.campaigns import document
from tests.stack import Server


def of(status: str) -> float:
    return float(metrics.CAMPAIGNS.labels(status)._value.get())


def test_campaigns_are_counted_by_status_and_a_status_that_is_left_goes_to_0() -> None:
    count([document("suspended"), document("suspended"), document("sending")])
    assert (of("suspended"), of("sending"), of("paused")) == (2, 1, 0)
    count([document("sending")])
    assert (of("suspended"), of("sending")) == (0, 1)


def test_only_campaigns_under_way_have_a_residual_series() -> None:
    documents = [
        document("sending", id="aaaaaaaa"),
        document("sent", id="bbbbbbbb"),
        document("sending", id="cccccccc"),
    ]
    campaigns = SimpleNamespace(all=lambda: documents)
    settings = SimpleNamespace(receipt_window_hours=72)
    context: Any = SimpleNamespace(campaigns=campaigns, producer=None, settings=settings)
    settlement = Settlement(context, None)  # type: ignore[arg-type]
    for item in documents:
        settlement._tell(item, [nobody_left(item.id)])
    assert series() >= {"aaaaaaaa", "bbbbbbbb", "cccccccc"}
    # One is finished, one is deleted.
    documents[:] = [document("sending", id="aaaaaaaa"), document("finished", id="bbbbbbbb")]
    settlement._forget_ended()
    assert series() & {"aaaaaaaa", "bbbbbbbb", "cccccccc"} == {"aaaaaaaa"}


def test_figures_age_by_status_also_while_nobody_looks_and_an_empty_status_has_no_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_760_000_000_000
    monkeypatch.setattr("agents.settlement.now_ms", lambda: now)
    metrics.CAMPAIGN_FRESHNESS.clear()
    ages = FigureAges()
    ages.follow({"aaaaaaaa": "sending", "bbbbbbbb": "sending", "cccccccc": "sent"}, now)
    ages.read("aaaaaaaa", now)
    ages.read("bbbbbbbb", now - 3000)
    ages.read("cccccccc", now)
    now += 2000
    assert by_status() == {"sending": 5.0, "sent": 2.0}
    ages.read("dddddddd", now)  # deleted meanwhile
    ages.follow({"aaaaaaaa": "sending"}, now)
    assert by_status() == {"sending": 2.0}
    ages.follow({}, now)
    assert by_status() == {}


def test_unknown_recipients_are_those_of_campaigns_under_way() -> None:
    documents = [document("sending", id="aaaaaaaa"), document("sent", id="bbbbbbbb")]
    context: Any = SimpleNamespace(
        campaigns=SimpleNamespace(all=lambda: documents),
        producer=None,
        settings=SimpleNamespace(receipt_window_hours=72),
        ledger=Ledger(),
    )
    settlement = Settlement(context, None)  # type: ignore[arg-type]
    for campaign, unknown in zip(documents, (3, 4), strict=True):
        settlement._tell(campaign, [nobody_left(campaign.id, unknown)])
    assert settlement.unknown() == 7
    documents.pop()
    settlement._forget_ended()
    assert settlement.unknown() == 3


def by_status() -> dict[str, float]:
    found = metrics.CAMPAIGN_FRESHNESS.collect()
    return {sample.labels["status"]: sample.value for metric in found for sample in metric.samples}


def series() -> set[str]:
    actual = metrics.CAMPAIGN_RESIDUAL.collect()
    return {sample.labels["campaign"] for metric in actual for sample in metric.samples}


def nobody_left(campaign: str, unknown: int = 0) -> Figures:
    states = dict.fromkeys(get_args(State), 0) | {"pending": 1000 - unknown, "unknown": unknown}
    return Figures(campaign=campaign, message=0, targeted=1000, states=states)


class Told:
    """Takes what the ledger is told."""

    def __init__(self) -> None:
        self.words: list[Spent] = []

    def send(self, topic: str, value: bytes, **_: object) -> asyncio.Future[None]:
        word = LEDGER_COMMANDS.decode(value)
        assert isinstance(word, Spent)
        self.words.append(word)
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


async def test_figures_are_kept_while_a_campaign_is_under_way_and_where_something_comes_after_it(
    clickhouse: Server,
) -> None:
    documents = [document("sending", id="aaaaaaaa"), document("finished", id="bbbbbbbb")]
    told = Told()
    context: Any = SimpleNamespace(
        campaigns=SimpleNamespace(all=lambda: documents, get={item.id: item for item in documents}.get),
        producer=told,
        settings=SimpleNamespace(receipt_window_hours=72),
        ledger=Ledger(),
    )
    with migrated(clickhouse) as store:

        def accepted(campaign: str, *ordinals: int) -> None:
            group = StatusGroup(state="accepted", ordinals=list(ordinals), segments=1, price=1)
            StatusSink(store).insert([StatusChunk(campaign=campaign, message=0, at=NOW, groups=[group], lane=0)])

        def kept() -> dict[str, int]:
            return dict(store.rows("SELECT toString(campaign), accepted FROM message_stats"))  # type: ignore[arg-type]

        def inserts() -> int:
            return int(store.rows("SELECT count() FROM message_figures")[0][0])

        for campaign in ("aaaaaaaa", "bbbbbbbb"):
            AudienceStore(store).freeze(campaign, 1, [], typed(*range(15550100000, 15550100010)), [])
            accepted(campaign, 1)
        settlement = Settlement(context, store)
        await settlement._round()
        assert kept() == {"aaaaaaaa": 1, "bbbbbbbb": 1}
        await settlement._round()
        assert inserts() == 2, "what did not change is not written again"
        accepted("aaaaaaaa", 2)
        accepted("bbbbbbbb", 3, 4)
        await settlement._round()
        assert kept() == {"aaaaaaaa": 2, "bbbbbbbb": 1}, "what is over is looked at now and then"
        for _ in range(LATE_ROUNDS + SENT_ROUNDS):
            await settlement._round()
        assert kept() == {"aaaaaaaa": 2, "bbbbbbbb": 3}
        said = [(word.campaign, word.lines, word.rest) for word in told.words]
        assert said == [
            ("aaaaaaaa", [(1, 1, 1)], None),
            ("bbbbbbbb", [(1, 1, 1)], None),
            ("bbbbbbbb", [(1, 3, 3)], None),
        ], "the first at once, more of one under way only after some seconds"


async def test_only_what_something_was_recorded_of_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [document("sending", id="aaaaaaaa"), document("sending", id="bbbbbbbb")]
    recorded, measured = {"aaaaaaaa": 1}, []

    def measure(_: Settlement, campaign: str) -> list[Figures]:
        measured.append(campaign)
        return [nobody_left(campaign)]

    async def one_round() -> list[str]:
        measured.clear()
        await settlement._round()
        return sorted(measured)

    monkeypatch.setattr("agents.settlement.versions", lambda store, campaigns: dict(recorded))
    monkeypatch.setattr("agents.settlement.insert_figures", lambda store, figures: None)
    monkeypatch.setattr("agents.settlement.campaigns_behind", lambda store: [])
    monkeypatch.setattr("agents.spending.measured_spend", lambda store: {})
    monkeypatch.setattr("agents.spending.reply_campaigns", lambda store, since: {})
    monkeypatch.setattr(Settlement, "_measure", measure)
    context: Any = SimpleNamespace(
        campaigns=SimpleNamespace(all=lambda: documents),
        producer=None,
        settings=SimpleNamespace(receipt_window_hours=72),
        ledger=Ledger(),
    )
    settlement = Settlement(context, None)  # type: ignore[arg-type]
    assert await one_round() == ["aaaaaaaa", "bbbbbbbb"]
    assert await one_round() == ["bbbbbbbb"], "of whom nothing is recorded yet"
    recorded["aaaaaaaa"] = 2
    assert await one_round() == ["aaaaaaaa", "bbbbbbbb"]
    documents[0] = document("sending", id="aaaaaaaa", revision=6)
    assert await one_round() == ["aaaaaaaa", "bbbbbbbb"]
    recorded["bbbbbbbb"] = 1
    assert await one_round() == ["bbbbbbbb"]
    assert await one_round() == []
