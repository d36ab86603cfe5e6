"""Consents with their evidence, and replies whose figures balance, on the real engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.consents import export, history, insert_replies, reply_figures
from adapters.clickhouse.statuses import StatusSink, insert_consents
from schemas.feedback import Conversation, OptOut, ReplyKind, SentReply
from schemas.status import StatusChunk, StatusGroup
from tests.adapters.clickhouse_store import NOW, migrated
from tests.stack import Server

FIRST = 15_550_100_000
CAMPAIGN = "4f7k2q9z"


@pytest.fixture(scope="module")
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        yield store


def change(number: int, at: int, *, out: bool, source: str = "inbound") -> OptOut:
    return OptOut(number=number, out=out, at=at, source=source, evidence=f"words at {at}")


def test_every_change_is_exported_whatever_the_page(store: Store) -> None:
    made = [change(FIRST + n, NOW + step, out=step % 2 == 0) for n in range(7) for step in range(1 + n % 4)]
    for _ in range(2):
        insert_consents(store, made)
    for page in (1, 2, 3, 1000):
        rows = [row for part in export(store, current=False, page=page) for row in part]
        assert [(row.number, int(row.at.timestamp() * 1000), row.out, row.evidence) for row in rows] == [
            (one.number, one.at, one.out, one.evidence) for one in made
        ]
    assert [row.out for row in history(store, FIRST + 3)] == [True, False, True, False]


def test_current_are_those_whose_last_change_is_out(store: Store) -> None:
    for page in (1, 3, 1000):
        rows = [row for part in export(store, current=True, page=page) for row in part]
        assert [row.number for row in rows] == [FIRST + n for n in range(7) if n % 4 in (0, 2)]
        assert all(row.out for row in rows)


def reply(ordinal: int, kind: ReplyKind, text: str = "Shop: bye") -> SentReply:
    return SentReply(
        kind=kind, campaign=CAMPAIGN, message=int(kind == "stopped"), ordinal=ordinal, lane=0, account="shop",
        sender="main", text=text, segments=2, price=7900, at=NOW, due=NOW, offset=ordinal, cause=f"m{ordinal}",
    )  # fmt: skip


def statuses(store: Store, state: str, message: int, ordinals: list[int]) -> None:
    group = StatusGroup(state=state, ordinals=ordinals, segments=2, price=7900)  # type: ignore[arg-type]
    StatusSink(store).insert([StatusChunk(campaign=CAMPAIGN, message=message, at=NOW, groups=[group])])


def test_figures_of_replies_balance_and_count_nothing_twice(store: Store) -> None:
    talk = [
        Conversation(number=FIRST, replies=[reply(8, "stopped"), reply(16, "started")], heard=[]),
        Conversation(number=FIRST + 1, replies=[reply(9, "help"), reply(17, "auto")], heard=[]),
    ]
    for _ in range(2):
        insert_replies(store, talk)
        statuses(store, "queued", 1, [8])
        statuses(store, "accepted", 1, [8])
        statuses(store, "accepted", 0, [16, 9])
        statuses(store, "delivered", 0, [9])
    [found] = reply_figures(store)
    assert (found.account, found.sender, found.targeted, found.residual) == ("shop", "main", 4, 0)
    assert found.kinds == {"stopped": 1, "started": 1, "help": 1, "auto": 1}
    assert found.states == {"accepted": 2, "delivered": 1, "pending": 1}
    assert (found.segments, found.spent) == (6, 6 * 7900)


def test_a_message_that_is_no_known_reply_shows_in_the_residual(store: Store) -> None:
    statuses(store, "accepted", 0, [99])
    [found] = reply_figures(store)
    assert found.residual == 1
