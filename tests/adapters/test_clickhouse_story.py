"""What `explain`, `forecast` and `simulate` read: a recipient's story, where an audience is, a preview of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore, preview
from adapters.clickhouse.consents import Placed, blocked_of, insert_consents
from adapters.clickhouse.statuses import StatusSink, insert_campaigns
from adapters.clickhouse.story import campaign_row, recipient, recipient_events
from adapters.settings import Settings
from api.forecast.facts import competing_campaigns
from api.terms import Installed
from schemas.campaign import CampaignDocument, CampaignSpec
from schemas.feedback import Consent, ConsentState
from schemas.status import StatusChunk, StatusGroup, StatusRange
from tests.accounts import book
from tests.adapters.clickhouse_store import NOW, add_contacts, migrated, typed
from tests.stack import Server

ID = "0000000a"
PEOPLE = range(12125550100, 12125550140)
STRANGER = 33612345678


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        add_contacts(store, PEOPLE, ["a"], {"first_name": "Ada"}, zone="America/New_York")
        yield store


def document(**changes: object) -> CampaignDocument:
    spec = CampaignSpec.model_validate(
        {"name": "Sale", "audience": {"lists": ["a"]}, "messages": [{"text": "Hi"}], "weight": 3}
    )
    fields = {"id": ID, "spec": spec.model_dump(mode="json"), "status": "sending", "revision": 3, "launched": NOW}
    return CampaignDocument(**{**fields, "created": NOW, "updated": NOW, "recipients": 40, **changes})


def status(state: str, ordinals: list[int], at: int, **more: object) -> StatusChunk:
    group = StatusGroup(state=state, ordinals=ordinals, **more)  # type: ignore[arg-type]
    return StatusChunk(campaign=ID, message=0, at=at, groups=[group])


def test_a_preview_is_the_audience_that_a_freeze_gives(store: Store) -> None:
    AudienceStore(store).freeze(ID, 2, ["a"], typed(STRANGER, PEOPLE[0]), ["first_name", "city"])
    frozen = AudienceStore(store).page(ID, 2, 0, 1000)
    seen = preview(store, ["a"], typed(STRANGER, PEOPLE[0]), ["first_name", "city"])
    assert np.asarray(seen.numbers).tolist() == np.asarray(frozen.numbers).tolist()
    assert dict(seen.fields) == dict(frozen.fields)
    for column in ("zone", "country", "region"):
        read = [
            [
                getattr(page, {"country": "countries"}.get(column, f"{column}s"))[int(at)]
                for at in getattr(page, column)
            ]
            for page in (seen, frozen)
        ]
        assert read[0] == read[1]
    assert len(preview(store, ["a"], typed(), [])) == len(PEOPLE)
    edges = [0, 1, 1000, 4095, 4096]
    people = typed(STRANGER, PEOPLE[0])
    parts = [preview(store, ["a"], people, ["first_name", "city"], pair) for pair in pairwise(edges)]
    assert [int(n) for part in parts for n in part.numbers] == [int(n) for n in seen.numbers]


def test_who_is_blocked_depends_on_the_account(store: Store) -> None:
    changes: list[tuple[ConsentState, str, int]] = [
        ("out", "shop", PEOPLE[0]), ("out", "", PEOPLE[1]), ("in", "", PEOPLE[1]), ("held", "", PEOPLE[2]),
        ("out", "another", PEOPLE[3]),
    ]  # fmt: skip
    insert_consents(store, [
        Placed(0, place, NOW, Consent(account=account, number=number, state=state, at=NOW - place, source="api"))
        for place, (state, account, number) in enumerate(changes)
    ])  # fmt: skip
    assert blocked_of(store, "shop", [*PEOPLE, STRANGER]) == {PEOPLE[0]: "opted_out", PEOPLE[2]: "held_for_review"}
    assert blocked_of(store, "another", PEOPLE) == {PEOPLE[2]: "held_for_review", PEOPLE[3]: "opted_out"}


def test_a_recipients_story_in_order_and_a_replay_once(store: Store) -> None:
    insert_campaigns(store, [document()])
    AudienceStore(store).freeze(ID, 2, ["a"], typed(), [])
    here = recipient(store, ID, PEOPLE[7])
    assert here is not None
    assert (here.country, here.region, here.zone) == ("US", "NY", "America/New_York")
    assert recipient(store, ID, STRANGER) is None
    mine, other = here.ordinal, (here.ordinal + 1) % 40
    pair = sorted([mine, other])
    reported = [
        status("queued", pair, NOW),
        status("in_flight", pair, NOW + 1),
        status("accepted", pair, NOW + 2, segments=2, price=7900, ids=[f"sim-{item}" for item in pair]),
        status("delivered", [mine], NOW + 3),
        status("skipped", [other], NOW, reason="smart_sending", ids=[f"0000000z-1@{NOW}"]),
        StatusRange(campaign=ID, message=0, at=NOW - 1, first=0, last=40, reason="campaign_canceled"),
    ]
    for _ in range(2):
        StatusSink(store).insert(reported)
    actual = recipient_events(store, ID, mine)
    assert [item.state for item in actual] == ["canceled", "queued", "in_flight", "accepted", "delivered"]
    assert max(actual, key=lambda item: item.rank).state == "delivered"
    assert (actual[3].id, actual[3].segments, actual[3].price) == (f"sim-{mine}", 2, 7900)
    assert f"0000000z-1@{NOW}" in {event.id for event in recipient_events(store, ID, other)}


def test_a_campaign_and_its_queue(store: Store) -> None:
    assert campaign_row(store, ID) is None
    insert_campaigns(store, [document()])
    row = campaign_row(store, ID)
    assert row is not None
    assert (row.name, row.account, row.status, row.launched, row.recipients) == ("Sale", "demo", "sending", NOW, 40)
    AudienceStore(store).freeze(ID, 2, ["a"], typed(), [])
    StatusSink(store).insert([status("accepted", list(range(10)), NOW, segments=2, price=1)])
    asking, installed = document().parsed(), Installed(Settings(), book())
    (competitor,) = competing_campaigns(store, installed, asking)
    assert (competitor.name, competitor.segments, competitor.precedence.weight) == ("Sale", 60.0, 3)
    assert competing_campaigns(store, installed, asking, but=ID) == []


def test_a_receipt_of_what_was_never_handed_over_counts_for_nothing_in_a_story(store: Store) -> None:
    AudienceStore(store).freeze(ID, 2, ["a"], typed(), [])
    sink = StatusSink(store)
    sink.insert([
        status("skipped", [1], NOW, reason="opted_out"), status("accepted", [2], NOW, segments=1),
        msgspec.structs.replace(status("delivered", [1, 2], NOW + 9), receipts=True),
    ])  # fmt: skip
    skipped, delivered = recipient_events(store, ID, 1), recipient_events(store, ID, 2)
    assert max(skipped, key=lambda item: item.rank).state == "skipped"
    assert [(item.state, item.reason) for item in skipped] == [("skipped", "opted_out"), ("delivered", "not_counted")]
    assert max(delivered, key=lambda item: item.rank).state == "delivered"
