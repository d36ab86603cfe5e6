"""What is stored about a person, and its erasure, on the real engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.connection import Placed
from adapters.clickhouse.consents import insert_consents, insert_replies
from adapters.clickhouse.inbox import insert_texts
from adapters.clickhouse.person import erase, person
from adapters.clickhouse.statuses import StatusSink, insert_campaigns
from adapters.clickhouse.unreachable import Forgotten, forget_unreachable, insert_unreachable, listed
from pipeline.feedback.inbound import evidence_of, identity_of
from schemas.campaign import CampaignDocument
from schemas.feedback import Consent, InboundText, SentReply, Unreachable
from schemas.status import StatusChunk, StatusGroup
from tests.adapters.clickhouse_store import NOW, add_contacts, migrated, typed
from tests.stack import Server

CAMPAIGN = "0000000a"
ANN, BOB = 12125550100, 12125550101


def text(number: int, words: str, received: int) -> InboundText:
    return InboundText(
        number=number, sender="+18885550100", account="shop", text=words, at=received, received=received, id=words,
        intent="other",
    )  # fmt: skip


def landline(number: int) -> Unreachable:
    return Unreachable(number=number, reason="landline", at=NOW, account="shop", campaign=CAMPAIGN)


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        add_contacts(store, [ANN, BOB], ["a"], {"first_name": "Ada"}, zone="America/New_York")
        add_contacts(store, [ANN], ["b"], {"first_name": "Ada"}, zone="America/New_York")
        document = CampaignDocument(
            id=CAMPAIGN, spec={"name": "Sale"}, status="sent", revision=2, created=1, updated=1, recipients=2
        )
        insert_campaigns(store, [document])
        AudienceStore(store).freeze(CAMPAIGN, 1, ["a"], typed(), ["first_name"])
        groups = [StatusGroup(state="accepted", ordinals=[0, 1]), StatusGroup(state="clicked", ordinals=[0, 1])]
        StatusSink(store).insert([StatusChunk(campaign=CAMPAIGN, message=0, at=NOW, groups=groups, lane=0)])
        texts = [text(ANN, "hello", NOW), text(BOB, "hi", NOW), text(ANN, "back again", NOW + 100_000)]
        insert_texts(store, [(item, identity_of(item), evidence_of(item)) for item in texts])
        reply = SentReply(
            kind="auto", campaign="4f7k2q9z", message=0, ordinal=0, lane=0, account="shop", sender="main",
            text="Shop", segments=1, price=1, at=NOW, due=NOW, offset=0, cause="hello",
        )  # fmt: skip
        insert_replies(store, [(ANN, reply)])
        out = Consent(number=ANN, account="shop", state="out", at=NOW, source="api", evidence="phoned")
        insert_consents(store, [Placed(0, 1, NOW, out)])
        insert_unreachable(store, [Placed(0, 4, NOW, landline(ANN)), Placed(0, 5, NOW, landline(BOB))])
        yield store


def test_everything_about_a_number_is_there_and_nothing_of_others(store: Store) -> None:
    actual = person(store, ANN)
    assert actual["contact"]["attributes"] == {"first_name": "Ada"}
    assert [item["list"] for item in actual["lists"]] == ["a", "b"]
    [message] = actual["messages"]
    assert (message["campaign"], message["name"], message["fields"]) == (CAMPAIGN, "Sale", {"first_name": "Ada"})
    assert {item["state"] for item in message["statuses"]} == {"accepted", "clicked"}
    assert [item["text"] for item in actual["texts"]] == ["hello", "back again"]
    assert [item["text"] for item in actual["answers"]] == ["Shop"]
    assert [item["evidence"] for item in actual["consents"]] == ["phoned"]
    said = actual["unreachable"]
    assert (said["state"], said["reason"], said["campaign"]) == ("unreachable", "landline", CAMPAIGN)
    stranger = person(store, 33612345678)
    assert (stranger["contact"], stranger["unreachable"]) == (None, None)
    assert not any(stranger[name] for name in ("lists", "messages", "texts", "answers", "consents"))


def test_an_erasure_takes_what_was_there_then_and_keeps_the_opt_out(store: Store) -> None:
    others = person(store, BOB)
    for _ in range(2):
        erase(store, ANN, NOW + 50_000)
    actual = person(store, ANN)
    assert (actual["contact"], actual["lists"], actual["answers"]) == (None, [], [])
    assert [item["text"] for item in actual["texts"]] == ["back again"], "what came after it was not asked for"
    assert [item["evidence"] for item in actual["consents"]] == ["phoned"]
    assert person(store, BOB) == others


def test_a_number_that_left_the_topic_is_forgotten_and_what_came_later_stays(store: Store) -> None:
    for _ in range(2):
        forget_unreachable(store, Forgotten(6, ANN))
    assert person(store, ANN)["unreachable"] is None
    assert [item.number for item in listed(store)] == [BOB]
    insert_unreachable(store, [Placed(0, 4, NOW, landline(ANN)), Placed(0, 7, NOW, landline(ANN))])
    forget_unreachable(store, Forgotten(6, ANN))
    assert [item.number for item in listed(store)] == [ANN, BOB]
