"""What people wrote beside every other change of consent, on the real engine: each once, newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.consents import Placed, insert_consents, insert_replies
from adapters.clickhouse.inbox import NEWEST, Line, Place, What, inbox, insert_texts
from pipeline.feedback.inbound import closing_of, closing_of_readings, evidence_of, identity_of
from schemas.feedback import Consent, ConsentState, InboundText, Intent, SentReply, UnreadText
from tests.adapters.clickhouse_store import NOW, migrated
from tests.stack import Server

ANN, BOB, EVE, ZOE = 15_550_100_001, 15_550_100_002, 15_550_100_003, 15_550_100_004
SENDER = "+18885550100"


def text(number: int, words: str, intent: Intent, after: int, identity: str) -> InboundText:
    """Its own time is wrong: the order is that of arrival."""
    return InboundText(
        number=number, sender=SENDER, account="shop", aggregator="acme", text=words, at=NOW - 10 * after,
        received=NOW + after, id=identity, intent=intent, word=words[:5], rule="alone",
    )  # fmt: skip


TEXTS = [
    text(ANN, "STOP", "stop", 0, "m1"),
    text(BOB, "help", "help", 1000, "m2"),
    text(ANN, "Start", "start", 2000, "m3"),
    text(BOB, "is it <b>open</b> on Sunday?", "other", 3000, "m4"),
]
HELD = text(ZOE, "stop it now or what", "doubtful", 4000, "m5")
UNREAD = UnreadText(
    person="Bob’s phone", sender=SENDER, text="STOP", at=NOW, received=NOW + 5000, id="m6", intent="stop",
    notes=["unread_sender"],
)  # fmt: skip


def placed(place: int, recorded: int, state: ConsentState, number: int, source: str, evidence: str) -> Placed:
    said = Consent(account="shop", number=number, state=state, at=NOW, source=source, evidence=evidence)
    return Placed(0, place, NOW + recorded, said)


OTHERS = [
    placed(10, 1500, "out", EVE, "link", "4f7k2q9z"),
    placed(11, 2500, "in", EVE, "api", "phoned us"),
    # The text that caused it is older than the table of texts.
    placed(9, -9000, "out", EVE, "inbound", f"{SENDER} m0: stop it"),
]


def answer(ordinal: int, cause: str, text: str) -> SentReply:
    return SentReply(
        kind="stopped", campaign="4f7k2q9z", message=1, ordinal=ordinal, lane=0, account="shop", sender="main",
        text=text, segments=1, price=7900, at=NOW + 10, due=NOW + 10, offset=ordinal, cause=cause,
    )  # fmt: skip


def write(store: Store, texts: Sequence[InboundText | UnreadText]) -> None:
    insert_texts(store, [(item, identity_of(item), evidence_of(item)) for item in texts])


@pytest.fixture(scope="module")
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        caused = [
            placed(20, 0, "out", ANN, "inbound", evidence_of(TEXTS[0])),
            placed(21, 2000, "in", ANN, "inbound", evidence_of(TEXTS[2])),
        ]
        for _ in range(2):  # the writer may write a batch again
            write(store, TEXTS)
            insert_consents(store, [*OTHERS, *caused])
        replies = [answer(1, "m1", "Shop: bye")]
        insert_replies(store, [(ANN, reply) for reply in replies])
        # Another person's text may have the same id at another aggregator.
        insert_replies(store, [(EVE, answer(2, "m2", "not Bob's"))])
        yield store


def test_everything_is_there_once_newest_first(store: Store) -> None:
    lines, following = inbox(store)
    assert [(line.number, line.intent or line.source, line.state) for line in lines] == [
        (BOB, "other", None),
        (EVE, "api", "in"),
        (ANN, "start", "in"),
        (EVE, "link", "out"),
        (BOB, "help", None),
        (ANN, "stop", "out"),
        (EVE, "inbound", "out"),
    ]
    assert following is None
    assert lines[0].text == TEXTS[3].text
    answers = {line.id: line.answer.text for line in lines if line.answer}
    assert answers == {"m1": "Shop: bye"}


def walked(
    store: Store, size: int, what: What = "", meanwhile: Callable[[int], None] = lambda page: None
) -> list[Line]:
    """All lines, page by page; `meanwhile` is called after each page."""
    actual: list[Line] = []
    place: Place | None = NEWEST
    page = 0
    while place is not None:
        lines, place = inbox(store, what, after=place, size=size)
        assert lines or place is None
        actual += lines
        page += 1
        meanwhile(page)
    return actual


def test_holds_of_a_sender_who_may_be_several_people_wait_for_an_operator(clickhouse: Server) -> None:
    """The text is shown once, as unread; each number that it may be from is listed, so that it can be cleared."""
    with migrated(clickhouse) as store:
        unsure = msgspec.structs.replace(UNREAD, intent="doubtful", account="shop", also=[ANN, EVE])
        write(store, [unsure])
        closings = closing_of_readings(unsure, "account")
        insert_consents(store, [Placed(0, n, NOW + 5, closing) for n, closing in enumerate(closings)])
        lines, _ = inbox(store, "held")
        assert {(line.number, line.state, line.hold) for line in lines} == {
            (number, "held", identity_of(unsure)) for number in (ANN, EVE)
        }
        assert [line.person for line in inbox(store, "unread")[0]] == [UNREAD.person]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_show_every_entry_exactly_once(store: Store, size: int) -> None:
    everything = inbox(store)[0]
    assert walked(store, size) == everything


def test_texts_and_decisions_that_come_between_pages_repeat_and_lose_nothing(clickhouse: Server) -> None:
    """Many at the same millisecond, by few numbers and by senders that cannot be read."""
    with migrated(clickhouse) as store:
        people = [ANN, BOB, EVE, ZOE]
        held = [
            msgspec.structs.replace(HELD, number=people[n % 4], id=f"d{n}", received=NOW + n // 10) for n in range(60)
        ]
        unread = [msgspec.structs.replace(UNREAD, id=f"u{n}", received=NOW + 3) for n in range(30)]
        write(store, [*held, *unread])
        closings = [closing for n, item in enumerate(held) if (closing := closing_of(item, n, "account")) is not None]
        insert_consents(store, [Placed(0, n, NOW + 5, closing) for n, closing in enumerate(closings)])
        cleared = set()

        def more(page: int) -> None:
            write(store, [text(BOB, f"new {page}", "other", 9000 + page, f"n{page}")])
            write(store, [msgspec.structs.replace(HELD, number=EVE, id=f"late{page}", received=NOW + 1)])
            # Texts that came again: one is on a page that was shown, the other on one that will be.
            write(store, [msgspec.structs.replace(held[n], received=NOW + 20_000 + page) for n in (0, 59)])

        seen = [line.id for line in walked(store, 7, meanwhile=more) if line.intent]
        assert {item.id for item in (*held, *unread)} <= set(seen)
        assert len(seen) == len(set(seen))

        def decide(page: int) -> None:
            closing = closings[page * 5]
            cleared.add(held[page * 5].id)
            out = msgspec.structs.replace(closing, state="in", source="review")
            insert_consents(store, [Placed(0, 1000 + page, NOW + 30_000, out)])

        waiting = [line.id for line in walked(store, 7, "held", decide) if line.intent]
        assert len(waiting) == len(set(waiting))
        assert {item.id for item in held} - cleared <= set(waiting)


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
        write(store, TEXTS[:2])
        assert [line.state for line in inbox(store)[0]] == [None, None]
        insert_replies(store, [(ANN, answer(1, "m1", "Shop: bye"))])
        assert [(line.intent, line.state) for line in inbox(store)[0]] == [("help", None), ("stop", "out")]


def test_what_is_held_waits_until_it_is_decided_and_shows_word_and_rule(clickhouse: Server) -> None:
    with migrated(clickhouse) as store:
        write(store, [*TEXTS, HELD])
        closing = closing_of(HELD, 5, "account")
        assert closing is not None
        file = Consent(number=EVE, state="held", at=NOW, source="import", evidence="people.csv line 3: perhaps")
        insert_consents(store, [Placed(0, 1, NOW + 4000, closing), Placed(1, 1, NOW + 100, file)])
        waiting = inbox(store, "held")[0]
        assert [(item.number, item.state, item.hold) for item in waiting] == [
            (ZOE, "held", closing.hold),
            (EVE, "held", file.hold),
        ]
        assert (waiting[0].word, waiting[0].rule, waiting[0].account) == ("stop ", "alone", "shop")
        assert [item.hold for item in inbox(store, number=ANN)[0]] == ["", ""]
        cleared = Consent(
            account="shop", number=ZOE, state="in", at=NOW, source="review", who="ann", hold=closing.hold
        )
        insert_consents(store, [Placed(0, 2, NOW + 5000, cleared)])
        assert [item.number for item in inbox(store, "held")[0]] == [EVE]
        actual = inbox(store, number=ZOE)[0]
        assert [(item.source, item.state, item.who, item.hold) for item in actual][:1] == [
            ("review", "in", "ann", "")
        ]
        assert actual[1].hold == ""


def test_a_sender_that_cannot_be_read_is_shown_as_it_came(clickhouse: Server) -> None:
    with migrated(clickhouse) as store:
        write(store, [*TEXTS, UNREAD])
        [line] = inbox(store, "unread")[0]
        assert (line.number, line.person, line.intent, line.text, line.notes) == (
            0, "Bob’s phone", "stop", "STOP", ("unread_sender",),
        )  # fmt: skip
        assert line in inbox(store)[0]


def test_a_text_that_came_again_is_there_once(clickhouse: Server) -> None:
    with migrated(clickhouse) as store:
        write(store, TEXTS)
        again = msgspec.structs.replace(TEXTS[0], received=NOW + 60_000)
        write(store, [again])
        assert [line.id for line in inbox(store, number=ANN)[0]] == ["m3", "m1"], "where it came first"
