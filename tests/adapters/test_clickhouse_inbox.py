"""What people wrote beside every other change of consent, on the real engine: each once, newest first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.consents import insert_replies
from adapters.clickhouse.inbox import What, inbox, insert_texts
from adapters.clickhouse.statuses import insert_consents
from pipeline.inbound import evidence_of
from pipeline.keywords import classify
from schemas.feedback import Conversation, InboundText, OptOut, SentReply
from tests.adapters.clickhouse_store import NOW, migrated
from tests.stack import Server

ANN, BOB, EVE = 15_550_100_001, 15_550_100_002, 15_550_100_003
SENDER = "+18885550100"
TEXTS = [
    InboundText(number=ANN, sender=SENDER, text="STOP", at=NOW, id="m1"),
    InboundText(number=BOB, sender=SENDER, text="help", at=NOW + 1000, id="m2"),
    InboundText(number=ANN, sender=SENDER, text="Start", at=NOW + 2000, id="m3"),
    InboundText(number=BOB, sender=SENDER, text="is it <b>open</b> on Sunday?", at=NOW + 3000, id="m4"),
]
OTHERS = [
    OptOut(number=EVE, out=True, at=NOW + 1500, source="link", evidence="4f7k2q9z"),
    OptOut(number=EVE, out=False, at=NOW + 2500, source="api", evidence="phoned us"),
    # The text that caused it is older than the table of texts.
    OptOut(number=EVE, out=True, at=NOW - 9000, source="inbound", evidence=f"{SENDER} m0: stop it"),
]


def answer(ordinal: int, cause: str, text: str) -> SentReply:
    return SentReply(
        kind="stopped", campaign="4f7k2q9z", message=1, ordinal=ordinal, lane=0, account="shop", sender="main",
        text=text, segments=1, price=7900, at=NOW + 10, due=NOW + 10, offset=ordinal, cause=cause,
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        caused = [
            OptOut(number=text.number, out=out, at=text.at, source="inbound", evidence=evidence_of(text))
            for text, out in ((TEXTS[0], True), (TEXTS[2], False))
        ]
        for _ in range(2):  # the writer may write a batch again
            insert_texts(store, [(text, classify(text.text).intent, evidence_of(text)) for text in TEXTS])
            insert_consents(store, [*OTHERS, *caused])
        replies = [answer(1, "m1", "Shop: bye")]
        insert_replies(store, [Conversation(number=ANN, replies=replies, heard=[])])
        # Another person's text may have the same id at another aggregator.
        insert_replies(store, [Conversation(number=EVE, replies=[answer(2, "m2", "not Bob's")], heard=[])])
        yield store


def test_everything_is_there_once_newest_first(store: Store) -> None:
    lines, older = inbox(store)
    assert [(line.number, line.intent or line.source, line.out) for line in lines] == [
        (BOB, "other", None),
        (EVE, "api", False),
        (ANN, "start", False),
        (EVE, "link", True),
        (BOB, "help", None),
        (ANN, "stop", True),
        (EVE, "inbound", True),
    ]
    assert not older
    assert lines[0].text == TEXTS[3].text
    answers = {line.id: line.answer.text for line in lines if line.answer}
    assert answers == {"m1": "Shop: bye"}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_leave_nobody_out_and_show_nobody_twice(store: Store, size: int) -> None:
    everything = inbox(store)[0]
    found, page, older = [], 1, True
    while older:
        lines, older = inbox(store, page=page, size=size)
        found += lines
        page += 1
    assert found == everything
    assert page - 1 == -(-len(everything) // size)


@pytest.mark.parametrize(
    ("what", "number", "ids"),
    [
        ("stop", 0, ["m1"]),
        ("help", 0, ["m2"]),
        ("other", 0, ["m4"]),
        ("changes", 0, ["", ""]),
        ("", ANN, ["m3", "m1"]),
        ("start", BOB, []),
    ],
)
def test_what_is_asked_for(store: Store, what: What, number: int, ids: list[str]) -> None:
    assert [line.id for line in inbox(store, what, number)[0]] == ids


def test_a_confirmed_stop_is_a_change_before_its_row_has_come(clickhouse: Server) -> None:
    with migrated(clickhouse) as store:
        insert_texts(store, [(text, classify(text.text).intent, evidence_of(text)) for text in TEXTS[:2]])
        assert [line.out for line in inbox(store)[0]] == [None, None]
        insert_replies(store, [Conversation(number=ANN, replies=[answer(1, "m1", "Shop: bye")], heard=[])])
        assert [(line.intent, line.out) for line in inbox(store)[0]] == [("help", None), ("stop", True)]
