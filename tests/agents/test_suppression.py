"""Failures become unreachable numbers: those of who was submitted only, once, whatever is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.connection import Placed
from adapters.clickhouse.statuses import StatusSink
from adapters.clickhouse.unreachable import count, insert_unreachable, listed
from adapters.clock import now_ms
from agents.context import Context
from agents.suppression import PATIENCE_MS, Suppression
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.unreachable import UnreachableNumbers
from schemas.feedback import OPTOUTS, UNREACHABLE, Consent, Unreachable
from schemas.status import StatusChunk, StatusGroup
from tests.adapters.clickhouse_store import migrated, typed
from tests.stack import Server

CAMPAIGN = "suppress"
FIRST = 15550100000


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        AudienceStore(store).freeze(CAMPAIGN, 1, [], typed(*range(FIRST, FIRST + 20)), [])
        yield store


class Producer:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def send(self, topic: str, value: bytes, **_: Any) -> asyncio.Future[None]:
        self.sent.append((topic, value))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Documents:
    def get(self, campaign: str) -> None:
        return None


class Stub:
    """What the suppression needs of a context."""

    def __init__(self) -> None:
        self.producer = Producer()
        self.unreachable = UnreachableNumbers()
        self.campaigns = Documents()
        self.optouts = OptOuts()

    def blocked(self, account: str, numbers: list[int]) -> list[str]:
        return self.optouts.blocked_many(account, numbers)

    def said(self) -> dict[int, str]:
        actual = [UNREACHABLE.decode(value) for topic, value in self.producer.sent if topic == "unreachable"]
        assert len({record.number for record in actual}) == len(actual)
        return {record.number: record.reason for record in actual}


def chunk(state: Any, ordinals: Sequence[int], reason: str = "", *, receipts: bool = False) -> StatusChunk:
    group = StatusGroup(state=state, ordinals=list(ordinals), reason=reason, segments=1, price=1)
    return StatusChunk(campaign=CAMPAIGN, message=0, at=now_ms(), groups=[group], lane=0, receipts=receipts)


def numbers_of(store: Store) -> dict[int, int]:
    rows = store.rows("SELECT ordinal, number FROM audience WHERE campaign = {c:String}", {"c": CAMPAIGN})
    return {row[0]: row[1] for row in rows}


async def test_failures_of_submitted_recipients_become_unreachable_numbers_once(store: Store) -> None:
    numbers, sink, stub = numbers_of(store), StatusSink(store), Stub()
    step = Suppression(cast(Context, stub), store)
    sink.insert(
        [
            chunk(
                "undelivered", [1, 2, 9], "landline", receipts=True
            ),  # of 2 the lane's word comes later, of 9 never
            chunk("undelivered", [3], "unreachable", receipts=True),  # a phone that is off is tried again
            chunk("accepted", [1, 3, 5]),
            chunk("rejected", [4], "not_a_mobile"),
            chunk("undelivered", [5], "opted_out_at_carrier", receipts=True),
            chunk("skipped", [9], "opted_out"),
        ]
    )
    await step.round(now_ms())
    assert stub.said() == {numbers[1]: "landline", numbers[4]: "not_a_mobile", numbers[5]: "opted_out_at_carrier"}
    (hold,) = [OPTOUTS.decode(value) for topic, value in stub.producer.sent if topic == "optouts"]
    assert (hold.state, hold.number, hold.source) == ("held", numbers[5], "carrier")
    sink.insert([chunk("accepted", [2])])
    await step.round(now_ms())
    assert stub.said()[numbers[2]] == "landline"
    # A new process reads the last days again and knows what was said from the topic; a cleared number stays so.
    stub.unreachable.apply(Unreachable(number=numbers[1], state="cleared", at=now_ms() + 1))
    before = len(stub.producer.sent)
    again = Suppression(cast(Context, stub), store)
    await again.round(now_ms())
    await again.round(now_ms() + PATIENCE_MS + 60_000)
    assert len(stub.producer.sent) == before
    assert numbers[9] not in stub.said()


async def test_nothing_is_recorded_about_an_erased_number_when_its_failure_is_read_again(store: Store) -> None:
    numbers, sink, stub = numbers_of(store), StatusSink(store), Stub()
    sink.insert([
        chunk("accepted", [11, 12]), chunk("undelivered", [11, 12], "landline", receipts=True),
        chunk("undelivered", [11], "opted_out_at_carrier", receipts=True),
    ])  # fmt: skip
    for account, ordinal in (("", 11), ("shop", 12)):
        stub.optouts.apply(Consent(account=account, number=numbers[ordinal], state="out", at=1, source="erasure"))
    await Suppression(cast(Context, stub), store).round(now_ms())
    assert stub.said() == {numbers[12]: "landline"}, "another account may write to who is out of one"
    assert {topic for topic, _ in stub.producer.sent} == {"unreachable"}


def test_the_list_has_currently_unreachable_numbers_a_page_at_a_time(store: Store) -> None:
    records = [Unreachable(number=FIRST + n, reason="landline", at=1000 + n, campaign=CAMPAIGN) for n in range(3)]
    cleared = Unreachable(number=FIRST + 1, state="cleared", at=9000, by="op")
    insert_unreachable(store, [Placed(0, n, 1000, record) for n, record in enumerate([*records, cleared])])
    insert_unreachable(store, [Placed(0, n, 1000, record) for n, record in enumerate(records)])  # read again
    assert [item.number for item in listed(store)] == [FIRST, FIRST + 2]
    assert [item.number for item in listed(store, after=FIRST, limit=1)] == [FIRST + 2]
    assert count(store) == {"landline": 2}
