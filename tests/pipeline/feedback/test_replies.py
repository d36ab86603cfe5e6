"""Which answers go out: once each, within limits, and never to another machine for long."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.content.outgoing import LinkSigner, compile_lane_message, everywhere
from pipeline.feedback.inbound import Known, closing_of, note, receive
from pipeline.feedback.replies import (
    AFTER_START_MS,
    ANSWER,
    CONFIRMATION,
    CONFIRMATIONS,
    DAY,
    HOUR,
    ORDINALS,
    Place,
    ReplyTerms,
    control_of,
    converse,
    repetition_of,
    reply_campaign,
    work_of,
)
from pipeline.lane.fold import apply
from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import LaneState
from pipeline.sending.picking.picker import Picked, Room, pick
from schemas.feedback import REPLIES, Conversation, InboundText, ReplyKind, SentReply
from schemas.lane import LANES, Owner
from schemas.wire import encode
from tests.pipeline.campaigns import priced

NOW = 1_790_000_000_000
PERSON = 33_612_345_678
TERMS = ReplyTerms(
    account="shop",
    sender="main",
    lanes=(3, 5),
    texts={
        "stopped": "Shop: You are unsubscribed.",
        "started": "Shop: You are subscribed again.",
        "help": "Shop: write to help@shop.example",
        "auto": "Shop: nobody reads this number {link}",
    },
    per_hour=3,
    per_day=5,
    prices=priced(FR="0.0798", other="0.04"),
    ours=frozenset({18_885_550_100}),
)


def text(words: str, identity: str = "m1", number: int = PERSON) -> InboundText:
    return InboundText(number=number, sender="+18885550100", text=words, at=NOW, id=identity, intent="other")


def said(
    before: Conversation | None,
    words: str,
    kind: ReplyKind | None,
    offset: int,
    *,
    now: int = NOW,
    terms: ReplyTerms | None = TERMS,
    number: int = PERSON,
) -> tuple[Conversation, SentReply | None]:
    return converse(before, text(words, f"m{offset}", number), kind, terms, Place(1, 8, offset), now)


def test_a_reply_is_a_message_with_a_price_and_a_place() -> None:
    after, reply = said(None, "HELP", "help", 7)
    assert reply is not None
    assert (reply.text, reply.segments, reply.price) == (TERMS.texts["help"], 1, 79_800)
    assert (reply.campaign, reply.message, reply.ordinal) == (reply_campaign("shop", "main"), ANSWER, 7 * 8 + 1)
    assert reply.lane in TERMS.lanes
    assert REPLIES.decode(encode(after)) == after


def test_the_same_place_gives_the_same_reply_whatever_our_tables_know() -> None:
    after, reply = said(None, "hello", "auto", 7)
    later, _ = said(after, "hello again", "auto", 9)
    assert said(later, "hello", "auto", 7, now=NOW + HOUR) == (later, reply)
    _, anew = said(None, "hello", "auto", 7, now=NOW + HOUR)
    assert anew is not None
    assert reply is not None
    assert (anew.campaign, anew.message, anew.ordinal) == (reply.campaign, reply.message, reply.ordinal)


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 2**33)), max_size=50))
def test_no_two_texts_lead_to_one_message(places: set[tuple[int, int]]) -> None:
    named = set()
    for partition, offset in places:
        _, reply = converse(None, text("hello"), "auto", TERMS, Place(partition, 8, offset), NOW)
        assert reply is not None
        assert reply.ordinal < ORDINALS
        named.add((reply.campaign, reply.message, reply.ordinal))
    assert len(named) == len(places)


def test_what_the_aggregator_says_again_is_known() -> None:
    after, _ = said(None, "hello", "auto", 7)
    places = {offset: Place(0, 8, offset) for offset in (6, 7, 8)}
    assert repetition_of(after, text("hello", "m7"), places[7]) == "read_again"
    assert repetition_of(after, text("hello", "m7"), places[8]) == "said_again"
    assert repetition_of(after, text("hello", "m8"), places[8]) == "new"
    assert repetition_of(after, text("STOP", "m7"), places[8]) == "new", "ids of others are no identities"
    assert repetition_of(after, text("hello", "m6"), places[6]) == "forgotten"
    assert repetition_of(None, text("hello", "m7"), places[7]) == "new"


def test_nobody_gets_more_than_so_many_an_hour_and_a_day() -> None:
    before, sent = None, []
    for offset in range(400):
        before, reply = said(before, f"robot {offset}", "auto", offset, now=NOW + offset * HOUR // 10)
        sent += [reply.at] if reply is not None else []
    assert len(sent) > 5
    for start in sent:
        assert sum(start <= at < start + HOUR for at in sent) <= TERMS.per_hour
        assert sum(start <= at < start + DAY for at in sent) <= TERMS.per_day


def test_a_machine_that_repeats_itself_or_us_is_answered_once() -> None:
    before, first = said(None, "I am out of office", "auto", 1)
    assert first is not None
    assert said(before, " I am OUT of  office", "auto", 2)[1] is None
    assert said(before, first.text.upper(), "auto", 3)[1] is None
    assert said(before, "a person again", "auto", 4)[1] is not None


def test_short_codes_and_our_own_numbers_get_nothing() -> None:
    assert said(None, "hello", "auto", 1, number=36_111)[1] is None
    assert said(None, "hello", "auto", 1, number=18_885_550_100)[1] is None


def test_no_text_no_sender_or_no_kind_no_answer() -> None:
    assert said(None, "hello", "auto", 1, terms=replace(TERMS, texts={**TERMS.texts, "auto": ""}))[1] is None
    assert said(None, "hello", "auto", 1, terms=None)[1] is None
    assert said(None, "STOP", None, 1)[1] is None


def test_a_person_who_keeps_changing_their_mind_is_confirmed_a_few_times_but_always_obeyed() -> None:
    before, confirmed, out = None, 0, False
    for offset in range(40):
        words = "STOP" if offset % 2 == 0 else "START"
        incoming = InboundText(
            number=PERSON, sender="+18885550100", account="shop", text=words, at=NOW + offset, id=f"m{offset}",
            intent="stop" if words == "STOP" else "start",
        )  # fmt: skip
        closing = closing_of(incoming, offset, "account")
        out = out or closing is not None
        outcome = receive(incoming, before, Known(offset, "opted_out" if out else "", ""), "account")
        out = outcome.consents[-1].state == "out" if outcome.consents else out
        assert out == (words == "STOP")
        before, reply = converse(before, incoming, outcome.reply, TERMS, Place(0, 8, offset), NOW + offset)
        before = note(before, incoming, outcome)
        confirmed += reply is not None and reply.kind == "stopped"
    assert confirmed == CONFIRMATIONS


def test_the_lane_lets_only_the_confirmation_pass_to_an_opted_out_number() -> None:
    for kind, message, passes in (("stopped", CONFIRMATION, True), ("help", ANSWER, False)):
        _, reply = said(None, "x", kind, 7)  # type: ignore[arg-type]
        assert reply is not None
        assert reply.message == message
        state = LaneState()
        records = [Owner(worker="w", nonce="n", at=NOW), control_of(reply), work_of(reply, PERSON)]
        for offset, record in enumerate(records):
            raw = encode(record)
            apply(state, offset, LANES.decode(raw), raw)
        state.table.release(NOW)
        room = Room(sender=("shop", "main"), messages=10, segments=10)
        chosen = pick(state, Picked(), FairShare(), lambda n: ["opted_out"] * len(n), NOW, room)
        assert chosen is not None
        assert (chosen.pick is not None) == passes
        assert bool(chosen.drops) != passes


def test_a_reply_goes_out_as_written_braces_and_all() -> None:
    _, reply = said(None, "hello", "auto", 7)
    assert reply is not None
    work, settings = work_of(reply, PERSON), control_of(reply).settings
    assert settings.priority == "urgent"
    assert settings.transactional
    renderer = compile_lane_message(settings.messages[reply.message])
    assert renderer.render(
        work.campaign, work.message, work.ordinals, work.fields, LinkSigner(b"0" * 16, everywhere("https://hp"))
    ) == [TERMS.texts["auto"]]


def test_a_confirmed_start_waits_until_the_lanes_know() -> None:
    _, reply = said(None, "START", "started", 7)
    assert reply is not None
    assert reply.due == NOW + AFTER_START_MS


@pytest.mark.parametrize("lanes", [(0,), (0, 1, 2)])
def test_a_sender_with_several_lanes_uses_them_all(lanes: tuple[int, ...]) -> None:
    terms = replace(TERMS, lanes=lanes)
    used = set()
    for offset in range(30):
        _, reply = converse(None, text("hello", number=PERSON + offset), "auto", terms, Place(0, 7, offset), NOW)
        assert reply is not None
        used.add(reply.lane)
    assert used == set(lanes)
