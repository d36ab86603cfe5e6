"""Status records in, figures out: exact under replay, equal to the definition, with every defect in the residual."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.attribution import sent_between
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.export import export
from adapters.clickhouse.figures import message_sets, versions
from adapters.clickhouse.statuses import StatusSink
from api.figures_source import as_json
from pipeline.insight.accounting import figures
from schemas.figures import Clicks
from schemas.reasons import Reason
from schemas.status import StatusChunk, StatusGroup, StatusRange
from schemas.succession import EVENTS, FINAL, SUBMITTED, WAITING
from tests.adapters.clickhouse_store import NOW, migrated, typed
from tests.pipeline.insight.accounting_model import Record, billed, states
from tests.stack import Server

CAMPAIGN = "statuses"
N = 60
KINDS = ((1, 7900), (2, 7900), (1, 40_000))


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        AudienceStore(store).freeze(CAMPAIGN, 1, [], typed(*range(15550100000, 15550100000 + N)), [])
        yield store


def chunk(
    state: str, ordinals: Sequence[int], *, at: int = NOW, message: int = 0, lane: int = -1, **given: object
) -> StatusChunk:
    group = StatusGroup(state=state, ordinals=list(ordinals), **given)
    return StatusChunk(campaign=CAMPAIGN, message=message, at=at, groups=[group], lane=lane)


def withdrawn(first: int, last: int) -> StatusRange:
    return StatusRange(campaign=CAMPAIGN, message=0, at=NOW, first=first, last=last)


def account(store: Store):
    return figures(message_sets(store, CAMPAIGN)[0])


WAY = [
    chunk("queued", range(50), segments=1, price=7900),
    chunk("in_flight", range(45), segments=1, price=7900),
    chunk("accepted", range(40), segments=1, price=7900, ids=[f"id-{n}" for n in range(40)], at=NOW + 5),
    chunk("delivered", range(30)),
    chunk("skipped", range(50, 55), reason="opted_out"),
    withdrawn(48, 60),
    chunk("clicked", range(7)),
    chunk("clicked", range(2, 4), reason="preview"),
]
EXPECTED = {"delivered": 30, "accepted": 10, "in_flight": 5, "queued": 5, "skipped": 5, "canceled": 5}


def test_figures_of_a_campaign(store: Store) -> None:
    rows = StatusSink(store).insert(WAY)
    actual = account(store)
    assert rows == len(WAY)
    assert {state: count for state, count in actual.states.items() if count} == EXPECTED
    assert (actual.residual, actual.targeted) == (0, N)
    assert actual.events["clicked"] == {"": 7, "preview": 2}
    assert actual.reasons["skipped"] == {"opted_out": 5}
    assert (actual.accepted_ever, actual.segments, actual.spend) == (40, 40, 40 * 7900)
    assert actual.newest_at == NOW + 5
    assert actual.inserted_at > NOW


def test_what_is_recorded_has_a_version(store: Store) -> None:
    sink, other = StatusSink(store), "statuse2"
    assert versions(store, [CAMPAIGN, other]) == {}
    sink.insert(WAY[:2])
    first = versions(store, [CAMPAIGN, other])
    assert first.keys() == {CAMPAIGN}
    assert versions(store, [CAMPAIGN]) == first
    sink.insert([msgspec.structs.replace(WAY[0], campaign=other)])
    assert versions(store, [CAMPAIGN]) == first
    # The same again adds nothing to the sets; that cannot be told without measuring them.
    for chunks in (WAY[2:3], WAY[2:3], [withdrawn(48, 60)], [chunk("clicked", [1])]):
        sink.insert(chunks)
        then = versions(store, [CAMPAIGN])
        assert then != first
        first = then


def test_replay_in_any_order_and_grouping_changes_nothing(store: Store) -> None:
    sink = StatusSink(store)
    sink.insert(WAY)
    before = account(store)
    for seed in range(3):
        again = WAY * 2
        random.Random(seed).shuffle(again)
        for record in again:
            sink.insert([record])
    store.command("OPTIMIZE TABLE state_sets FINAL")
    after = account(store)
    assert (after.states, after.spend, after.events, after.residual) == (
        before.states,
        before.spend,
        before.events,
        0,
    )


def receipts(state: str, ordinals: Sequence[int], reason: str = "", message: int = 0) -> StatusChunk:
    return msgspec.structs.replace(chunk(state, ordinals, reason=reason, message=message, at=NOW + 9), receipts=True)


def test_the_first_receipts_change_only_their_own_recipients(store: Store) -> None:
    StatusSink(store).insert(WAY[:3])
    before = account(store)
    StatusSink(store).insert([receipts("delivered", range(10, N))])
    after = account(store)
    changed = {"accepted": 40 - 30, "delivered": 30}
    assert after.states == {**before.states, **changed}
    assert (after.accepted_ever, after.spend, after.residual) == (before.accepted_ever, before.spend, 0)


def test_receipts_count_only_for_submitted_recipients_in_any_order(store: Store) -> None:
    way = [
        chunk("queued", range(20), segments=2, price=7900),
        chunk("in_flight", range(20), segments=2, price=7900),
        chunk("accepted", range(10), segments=2, price=7900),
        chunk("unknown", range(10, 14), segments=2, price=7900),
        chunk("skipped", range(30, 40), reason="opted_out"),
        chunk("canceled", [19], attempt=1),
    ]
    said = [
        receipts("undelivered", [3], "landline"),
        receipts("undelivered", [3]),  # without a code after one with: the reason stays
        receipts("accepted", [0, 1, 10, 15]),
        receipts("rejected", [4, 11], "filtered"),
        receipts("delivered", [0, 5, 12, 14, 19, 30, 31, 55, N, N + 500]),
        receipts("delivered", range(N), message=1),
    ]
    want = {"delivered": 3, "undelivered": 1, "rejected": 2, "accepted": 7, "unknown": 1, "in_flight": 5,
            "canceled": 1, "skipped": 10, "pending": 30}  # fmt: skip
    for order in (way + said, said + way, [*said, *way, *said]):
        StatusSink(store).insert(order)
        (actual,) = (figures(item) for item in message_sets(store, CAMPAIGN))
        assert {state: count for state, count in actual.states.items() if count} == want
        assert (actual.residual, actual.targeted, actual.reasons["undelivered"]) == (0, N, {"landline": 1})
        # Billed is who was accepted, and the unknown ones of whom a receipt says that the aggregator had them.
        assert (actual.accepted_ever, actual.segments, actual.spend) == (12, 24, 24 * 7900)
        rows = {row["ordinal"]: row for batch in export(store, CAMPAIGN) for row in batch.to_pylist()}
        assert Counter(row["state"] for row in rows.values()) == want
        assert (rows[3]["state"], rows[3]["reason"]) == ("undelivered", "landline")
        assert rows[30]["delivered_at"] is None
        assert rows[5]["delivered_at"] is not None
        store.command("TRUNCATE TABLE state_sets")
        store.command("TRUNCATE TABLE status_log")


def test_an_empty_insert_and_an_empty_group_do_nothing(store: Store) -> None:
    assert StatusSink(store).insert([]) == 0
    assert StatusSink(store).insert([chunk("queued", [])]) == 0
    assert account(store).states["pending"] == N


def test_a_large_range_is_unfolded_whole(store: Store) -> None:
    AudienceStore(store).freeze(CAMPAIGN, 2, [], typed(*range(15550200000, 15550200000 + 120_000)), [])
    StatusSink(store).insert([withdrawn(100, 119_999)])
    actual = account(store)
    assert (actual.states["canceled"], actual.states["pending"], actual.residual) == (119_899, 101, 0)


def test_messages_are_apart(store: Store) -> None:
    StatusSink(store).insert([chunk("queued", [1]), chunk("accepted", [2], message=1)])
    first, second = (figures(item) for item in message_sets(store, CAMPAIGN))
    assert (first.message, first.states["queued"], second.message, second.states["accepted"]) == (0, 1, 1, 1)


def test_a_campaign_that_clickhouse_does_not_know(store: Store) -> None:
    assert message_sets(store, "zzzzzzzz") == []


@pytest.mark.parametrize(
    ("defect", "residual"),
    [
        ([chunk("canceled", [1]), chunk("accepted", [1])], -1),
        ([chunk("skipped", [1, 2], lane=0), chunk("delivered", [1, 2])], -2),
        ([chunk("expired", [1]), chunk("skipped", [1], lane=0)], -1),
        ([chunk("skipped", [1, 2]), chunk("delivered", [1, 2])], 0),
        ([chunk("skipped", [1]), chunk("skipped", [1], lane=0)], 0),
        ([chunk("accepted", [N])], -1),
        ([chunk("canceled", [1]), chunk("withdrawn", [1])], 0),
    ],
)
def test_a_defect_is_a_residual(store: Store, defect: list[StatusChunk], residual: int) -> None:
    StatusSink(store).insert([*WAY[:1], *defect])
    assert account(store).residual == residual


def test_a_lost_audience_row_is_a_residual(store: Store) -> None:
    StatusSink(store).insert([chunk("accepted", range(N))])
    store.command("DELETE FROM audience WHERE ordinal = 17")
    assert account(store).residual == 1


def test_states_without_an_audience_are_a_residual(store: Store) -> None:
    store.command("TRUNCATE TABLE audiences")
    StatusSink(store).insert([chunk("accepted", range(3))])
    actual = account(store)
    assert (actual.targeted, actual.outside, actual.residual) == (0, 3, -3)


def records(draw: random.Random) -> list[Record]:
    actual = []
    for _ in range(draw.randint(20, 200)):
        state = draw.choice((*WAITING, *FINAL, *SUBMITTED, *SUBMITTED, *EVENTS, "withdrawn", "passed_over"))
        ordinal = draw.randrange(N + 1) if draw.random() < 0.01 else draw.randrange(N)
        actual.append(Record(ordinal, state, draw.choice(("", "a", "b")), draw.randrange(3), *KINDS[ordinal % 3]))
    return actual


@pytest.mark.parametrize("seed", range(12))
def test_the_engine_agrees_with_the_definition(store: Store, seed: int) -> None:
    draw = random.Random(seed)
    made = records(draw)
    groups = [
        StatusGroup(
            state=item.state,
            ordinals=[item.ordinal],
            reason=item.reason,
            attempt=item.attempt,
            segments=item.segments,
            price=item.price,
        )
        for item in made
    ]
    cut = draw.randrange(len(groups))
    sink = StatusSink(store)
    for part in (groups[:cut], groups[cut // 2 :]):
        sink.insert([StatusChunk(campaign=CAMPAIGN, message=0, at=NOW, groups=part, lane=0)])
    actual = account(store)
    assert actual.states == states(made, N, N)
    assert (actual.accepted_ever, actual.segments, actual.spend) == billed(made)


def test_an_unknown_recipient_proved_not_sent_waits_and_is_not_billed(store: Store) -> None:
    kind = {"segments": 2, "price": 7900}
    way = [
        chunk("in_flight", range(9), lane=0, **kind),
        chunk("unknown", range(9), lane=0, reason="owner_lost", **kind),
        chunk("delivered", [8], lane=0),
        chunk("queued", range(4), lane=0, attempt=1, reason=Reason.NOT_SENT_BY_LOST_OWNER, **kind),
        chunk("canceled", [0], lane=0, attempt=1),
        chunk("in_flight", [1, 2], lane=0, attempt=1, **kind),
        chunk("unknown", [1], lane=0, attempt=1, reason="owner_lost", **kind),
        chunk("accepted", [2], lane=0, attempt=1, **kind),
    ]
    for item in reversed(way):
        StatusSink(store).insert([item])
    actual = account(store)
    assert {state: n for state, n in actual.states.items() if n and state != "pending"} == {
        "canceled": 1, "unknown": 5, "accepted": 1, "queued": 1, "delivered": 1
    }  # fmt: skip
    assert (actual.residual, actual.accepted_ever, actual.spend) == (0, 2, 2 * 2 * 7900)


def test_the_click_rate_counts_people_who_were_delivered_to_once_each(store: Store) -> None:
    StatusSink(store).insert(
        [
            chunk("accepted", range(10), segments=1, price=1),
            receipts("delivered", range(4)),
            chunk("clicked", [0, 1, 5, 6, 7, 8], reason="person"),
            chunk("clicked", [1], reason="person", at=NOW + 1),
            chunk("clicked", [0, 2, 3], reason="bot:head"),
            chunk("clicked", [2, 3, 9], reason="bot:slack"),
        ]
    )
    assert account(store).clicks == Clicks(people=6, delivered=2, bots=4)
    shown = as_json([account(store)])["clicked"]
    assert shown == {"people": 6, "delivered": 2, "bots": 4, "rate": 0.5}


def test_when_a_recipient_got_a_message_recently(store: Store) -> None:
    StatusSink(store).insert(
        [
            chunk("in_flight", range(9), at=NOW - 50),
            chunk("accepted", range(5), at=NOW),
            chunk("accepted", range(5, 9), at=NOW - 60_000),
            chunk("accepted", [1], at=NOW, message=1),
        ]
    )
    assert sent_between(store, (CAMPAIGN, 0), [1, 3, 6, 50], (NOW - 1500, NOW + 900)) == {1: NOW, 3: NOW}
    assert sent_between(store, (CAMPAIGN, 0), [1], (NOW + 1, NOW + 900)) == {}
