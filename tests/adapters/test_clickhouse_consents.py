"""Consents with their evidence, and replies whose figures balance, on the real engine."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterator

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.connection import Placed
from adapters.clickhouse.consents import (
    blocked_of,
    current_changes,
    ended_holds,
    export,
    history,
    insert_consents,
    insert_replies,
    reply_figures,
)
from adapters.clickhouse.statuses import StatusSink
from pipeline.eligibility.optouts import OptOuts, reason_of
from schemas.feedback import Consent, ConsentState, ReplyKind, SentReply, consent_key
from schemas.status import StatusChunk, StatusGroup
from tests.adapters.clickhouse_store import NOW, migrated
from tests.stack import Server

FIRST = 15_550_100_000
CAMPAIGN = "4f7k2q9z"


@pytest.fixture(scope="module")
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        yield store


def change(place: int, number: int, state: ConsentState, account: str = "shop", hold: str = "") -> Placed[Consent]:
    """`at` goes backwards, because it decides nothing."""
    said = Consent(
        account=account, number=number, state=state, at=NOW - place, source="api", evidence=f"record {place}",
        hold=hold, word="STOP", rule="leads", who="ann",
    )  # fmt: skip
    return Placed(place % 3, place, NOW + place, said)


STATES: tuple[ConsentState, ...] = ("out", "in", "out", "in")
MADE = [change(10 * n + step, FIRST + n, STATES[step]) for n in range(7) for step in range(1 + n % 4)]


def test_every_change_is_exported_in_the_order_of_the_log_whatever_the_page(store: Store) -> None:
    for _ in range(2):
        insert_consents(store, MADE[::-1])
    for page in (1, 2, 3, 1000):
        rows = [row for part in export(store, current=False, page=page) for row in part]
        assert [(row.number, row.state, row.evidence) for row in rows] == [
            (item.record.number, item.record.state, item.record.evidence) for item in MADE
        ]
    changes = history(store, FIRST + 3)
    assert [item.state for item in changes] == ["out", "in", "out", "in"]
    assert (changes[0].account, changes[0].word, changes[0].rule, changes[0].who) == ("shop", "STOP", "leads", "ann")


def test_current_opt_outs_are_those_whose_last_record_is_out(store: Store) -> None:
    for page in (1, 3, 1000):
        rows = [row for part in export(store, current=True, page=page) for row in part]
        assert [row.number for row in rows] == [FIRST + n for n in range(7) if n % 4 in (0, 2)]
        assert all(row.state == "out" for row in rows)


def test_accounts_and_holds_of_a_number_have_logs_of_their_own(store: Store) -> None:
    number = FIRST + 50
    insert_consents(store, [
        change(500, number, "out", ""), change(501, number, "held", "shop", "aa"),
        change(502, number, "in", ""), change(503, number, "out"), change(504, number, "in", "shop", "aa"),
        change(505, number, "held", "shop", "bb"),
    ])  # fmt: skip
    changes = history(store, number)
    assert [item.evidence for item in changes] == [f"record {place}" for place in range(500, 506)]
    states = {key: change.state for key, change in current_changes(changes).items()}
    assert states == {("", ""): "in", ("shop", ""): "out", ("shop", "aa"): "in", ("shop", "bb"): "held"}
    for page in (1, 2, 1000):
        rows = [row for part in export(store, current=True, page=page) for row in part if row.number == number]
        assert [(row.account, row.hold, row.state) for row in rows] == [("shop", "", "out"), ("shop", "bb", "held")]


def test_ended_holds_are_those_whose_last_record_ends_them(store: Store) -> None:
    number, other = FIRST + 60, FIRST + 61
    insert_consents(store, [
        change(600, number, "held", "shop", "aa"), change(601, number, "in", "shop", "aa"),
        change(602, number, "held", "", "aa"), change(603, number, "in", "shop", "bb"),
        change(604, number, "held", "shop", "bb"), change(605, number, "in"),
        change(606, other, "in", "shop", "cc"),
    ])  # fmt: skip
    assert ended_holds(store, [number, number]) == {("shop", number, "aa")}
    assert ended_holds(store, [other, FIRST + 62]) == {("shop", other, "cc")}
    assert ended_holds(store, []) == frozenset()


@pytest.mark.parametrize("seed", range(3))
def test_lanes_show_and_export_agree_after_any_sequence_whatever_the_times_say(store: Store, seed: int) -> None:
    draw, view = random.Random(seed), OptOuts()
    numbers = range(FIRST + 1000 * (seed + 1), FIRST + 1000 * (seed + 1) + 60)
    made: list[Placed[Consent]] = []
    ends: Counter[int] = Counter()
    for _ in range(600):
        hold = draw.choice(["", "", "aa", "bb"])
        said = Consent(
            account=draw.choice(["", "shop", "club"]), number=draw.choice(numbers), hold=hold,
            state=draw.choice(["held", "in"] if hold else ["out", "in"]), at=NOW + draw.randint(-(10**9), 10**9),
            source=draw.choice(["inbound", "link", "import", "api"]), evidence=f"record {len(made)}",
        )  # fmt: skip
        partition = zlib.crc32(consent_key(said)) % 4
        made.append(Placed(partition, ends[partition], NOW + draw.randint(-5000, 5000), said))
        ends[partition] += 1
        view.apply(said)
    for batch in (made[:400], draw.sample(made, len(made))):  # a part of it twice, and in any order
        insert_consents(store, batch)
    blocking = [row for part in export(store, current=True, page=7) for row in part if row.number in numbers]
    for account in ("shop", "club"):
        lanes = dict(zip(numbers, view.blocked_many(account, list(numbers)), strict=True))
        shown = {
            number: reason_of(
                account, {key: change.state for key, change in current_changes(history(store, number)).items()}
            )
            for number in numbers
        }
        exported = {
            number: reason_of(
                account, {(item.account, item.hold): item.state for item in blocking if item.number == number}
            )
            for number in numbers
        }
        reviewed = blocked_of(store, account, list(numbers))
        assert lanes == shown == exported == {number: reviewed.get(number, "") for number in numbers}
    everything = [row for part in export(store, current=False, page=50) for row in part if row.number in numbers]
    assert Counter(row.evidence for row in everything) == Counter(item.record.evidence for item in made)


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
        (FIRST, reply(8, "stopped")),
        (FIRST, reply(16, "started")),
        (FIRST + 1, reply(9, "help")),
        (FIRST + 1, reply(17, "auto")),
    ]
    for _ in range(2):
        insert_replies(store, talk)
        statuses(store, "queued", 1, [8])
        statuses(store, "accepted", 1, [8])
        statuses(store, "accepted", 0, [16, 9])
        statuses(store, "delivered", 0, [9])
    [actual] = reply_figures(store)
    assert (actual.account, actual.sender, actual.targeted, actual.residual) == ("shop", "main", 4, 0)
    assert actual.kinds == {"stopped": 1, "started": 1, "help": 1, "auto": 1}
    assert actual.states == {"accepted": 2, "delivered": 1, "pending": 1}
    assert (actual.segments, actual.spent) == (6, 6 * 7900)


def test_a_message_that_is_no_known_reply_shows_in_the_residual(store: Store) -> None:
    statuses(store, "accepted", 0, [99])
    [actual] = reply_figures(store)
    assert actual.residual == 1
