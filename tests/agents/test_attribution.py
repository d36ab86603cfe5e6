"""Texts and links find their messages on the real engine, late ones too, and each once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.connection import Placed
from adapters.clickhouse.consents import insert_consents
from adapters.clickhouse.figures import message_sets
from adapters.clickhouse.inbox import insert_texts
from adapters.clickhouse.statuses import StatusSink, insert_campaigns
from adapters.settings import Settings
from agents.attribution import AGAIN_MS, CERTAIN_MS, MARGIN_MS, Attribution
from agents.context import Context
from pipeline.feedback.inbound import evidence_of, identity_of
from pipeline.insight.accounting import figures
from schemas.campaign import CampaignDocument
from schemas.feedback import Consent, InboundText, Intent
from schemas.status import STATUSES, StatusChunk, StatusGroup
from tests.accounts import book
from tests.adapters.clickhouse_store import NOW, add_contacts, migrated, typed
from tests.stack import Server

OLD, NEW, OTHER = "0000000a", "0000000b", "0000000c"
PEOPLE = range(12125550100, 12125550140)
ACCOUNTS = book("""
[accounts.shop.senders.main]
number = "+18885550100"
[accounts.club.senders.main]
number = "+18885550101"
""")


class Loop:
    """The attribution with a producer that writes into ClickHouse, as topic `statuses` and the writer do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.current: int | None = None
        context = cast(Context, SimpleNamespace(settings=Settings(), accounts=ACCOUNTS, producer=self))
        self.attribution = Attribution(context, store, lambda: self.current)

    def send(self, topic: str, value: bytes, **_: Any) -> asyncio.Future[None]:
        StatusSink(self.store).insert([STATUSES.decode(value)])
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def round(self, now: int) -> int:
        self.current = now
        return asyncio.run(self.attribution.round(now))

    def events(self, campaign: str) -> dict[str, int]:
        [actual] = [figures(item) for item in message_sets(self.store, campaign)]
        return {event: sum(counts.values()) for event, counts in actual.events.items() if sum(counts.values())}


@pytest.fixture
def loop(clickhouse: Server) -> Iterator[Loop]:
    with migrated(clickhouse) as store:
        add_contacts(store, PEOPLE, ["a"], {}, zone="America/New_York")
        for campaign, account in ((OLD, "shop"), (NEW, "shop"), (OTHER, "club")):
            spec = {"name": campaign, "account": account, "sender": "main"}
            insert_campaigns(store, [
                CampaignDocument(
                    id=campaign, spec=spec, status="sent", revision=2, created=1, updated=1, recipients=40
                )
            ])  # fmt: skip
            AudienceStore(store).freeze(campaign, 1, ["a"], typed(), [])
        yield Loop(store)


def accept(loop: Loop, campaign: str, at: int) -> None:
    group = StatusGroup(state="accepted", ordinals=list(range(40)), segments=1, price=1)
    StatusSink(loop.store).insert([StatusChunk(campaign=campaign, message=0, at=at, groups=[group], lane=0)])


def post(loop: Loop, number: int, intent: Intent, at: int, sender: str = "001 888 555 0100") -> InboundText:
    text = InboundText(
        number=number, sender=sender, account="shop", text=intent, at=at, received=at, id="1", intent=intent
    )
    insert_texts(loop.store, [(text, identity_of(text), evidence_of(text))])
    return text


def test_texts_count_for_the_last_campaign_of_that_sender_once(loop: Loop) -> None:
    accept(loop, OLD, NOW - 60_000)
    accept(loop, NEW, NOW - 30_000)
    accept(loop, OTHER, NOW - 1000)
    for _ in range(2):
        post(loop, PEOPLE[0], "stop", NOW)
    post(loop, PEOPLE[1], "help", NOW)
    post(loop, PEOPLE[2], "other", NOW - 45_000)
    assert loop.round(NOW + MARGIN_MS - 1) == 1, "the others wait until what was sent before them is surely there"
    assert loop.round(NOW + MARGIN_MS) == 2
    assert loop.round(NOW + MARGIN_MS + AGAIN_MS) == 0, "once"
    assert loop.events(NEW) == {"opted_out": 1, "replied": 1}
    assert loop.events(OLD) == {"replied": 1}
    assert loop.events(OTHER) == {}


def test_what_comes_into_clickhouse_late_is_found_later(loop: Loop) -> None:
    accept(loop, NEW, NOW - 10 * 24 * 3_600_000)
    post(loop, PEOPLE[0], "stop", NOW)
    assert loop.round(NOW + MARGIN_MS) == 0
    accept(loop, OLD, NOW - 1000)
    assert loop.round(NOW + MARGIN_MS + 1) == 0, "not asked again and again"
    assert loop.round(NOW + MARGIN_MS + AGAIN_MS) == 1
    assert loop.events(OLD) == {"opted_out": 1}


def test_a_text_from_a_number_without_messages_is_attributed_to_nothing(loop: Loop) -> None:
    accept(loop, OTHER, NOW - 1000)
    post(loop, PEOPLE[0], "other", NOW)
    post(loop, 33612345678, "stop", NOW)
    post(loop, PEOPLE[1], "stop", NOW, sender="12345")
    assert loop.round(NOW + CERTAIN_MS) == 3
    assert loop.round(NOW + 2 * CERTAIN_MS) == 0
    assert loop.events(OTHER) == {}


def test_a_link_counts_for_its_campaign_and_a_held_text_when_an_operator_took_it_for_an_opt_out(loop: Loop) -> None:
    accept(loop, OLD, NOW - 60_000)
    accept(loop, NEW, NOW - 30_000)
    text = post(loop, PEOPLE[1], "doubtful", NOW)
    link = Consent(number=PEOPLE[0], account="shop", state="out", at=NOW, source="link", campaign=OLD)
    decided = Consent(
        number=PEOPLE[1],
        account="shop",
        state="out",
        at=NOW,
        source="review",
        evidence=f"{evidence_of(text)} (phoned)",
    )
    insert_consents(loop.store, [Placed(0, 1, NOW, link), Placed(1, 1, NOW + 5, decided)])
    assert loop.round(NOW + MARGIN_MS) == 3
    assert loop.events(OLD) == {"opted_out": 1}
    assert loop.events(NEW) == {"opted_out": 1, "replied": 1}


def test_nothing_is_decided_while_the_position_of_the_statuses_is_unknown(loop: Loop) -> None:
    accept(loop, NEW, NOW - 1000)
    post(loop, PEOPLE[0], "stop", NOW)
    assert asyncio.run(loop.attribution.round(NOW + CERTAIN_MS)) == 0
