"""Stop, start, help: what is recorded, what is answered, and what is met with silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.eligibility.optouts import OptOuts, reason_of
from pipeline.feedback.inbound import Known, Outcome, closing_of, erased, identity_of, note, receive
from pipeline.feedback.replies import Place, ReplyTerms, converse, repetition_of
from schemas.feedback import Consent, ConsentState, Conversation, InboundText, Intent, ReplyKind
from schemas.wire import encode

NOW = 1_790_000_000_000
ANN = 33_612_345_678
SENDERS = {"shop": "+18885550100", "club": "+18885550101"}
WORDS: dict[str, Intent] = {
    "STOP": "stop",
    "START": "start",
    "HELP": "help",
    "leave me": "doubtful",
    "hello": "other",
}


def text(words: str, identity: str = "m1", at: int = NOW, account: str = "shop") -> InboundText:
    return InboundText(
        number=ANN, sender=SENDERS.get(account, "12345"), account=account, text=words, at=at, received=NOW,
        id=identity, intent=WORDS[words],
    )  # fmt: skip


def known(place: int = 5, blocked: str = "", otherwise: str = "", *, opens_all: bool = False) -> Known:
    return Known(place, blocked, otherwise, opens_all)


def said(outcome: Outcome, at: int = NOW) -> Conversation:
    """The conversation after an outcome that has stated something."""
    assert outcome.stated is not None
    return Conversation(number=ANN, replies=[], heard=[], stated=[outcome.stated], last_at=at)


STOPPED = said(receive(text("STOP"), None, known(), "account"))


def test_a_stop_closes_the_account_whose_sender_it_was_sent_to_with_its_evidence() -> None:
    closing = closing_of(text("STOP"), 7, "account")
    assert closing == Consent(
        account="shop", number=ANN, state="out", at=NOW, source="inbound", evidence="+18885550100 m1: STOP", place=7
    )
    outcome = receive(text("STOP"), None, known(7, "opted_out"), "account")
    assert (outcome.consents, outcome.expected, outcome.reply) == ((), closing, "stopped")


def test_a_stop_to_an_unknown_sender_or_by_setting_closes_every_account() -> None:
    for closing in (closing_of(text("STOP", account=""), 7, "account"), closing_of(text("STOP"), 7, "global")):
        assert closing is not None
        assert closing.account == ""


def test_a_doubtful_text_holds_and_only_that_and_other_texts_close_nothing() -> None:
    closing = closing_of(text("leave me"), 7, "account")
    assert closing is not None
    assert (closing.state, closing.hold) == ("held", identity_of(text("leave me")))
    assert receive(text("leave me"), None, known(7), "account") == Outcome(expected=closing)
    for words in ("START", "HELP", "hello"):
        assert closing_of(text(words), 7, "account") is None


def test_stop_is_confirmed_once_then_silence() -> None:
    for words in ("STOP", "HELP", "hello"):
        assert receive(text(words, "m2"), STOPPED, known(6, "opted_out"), "account").reply is None


def test_a_number_opted_out_by_link_or_held_gets_an_answer_only_to_its_stop() -> None:
    for why in ("opted_out", "held_for_review"):
        assert receive(text("hello"), None, known(blocked=why), "account") == Outcome()
        assert receive(text("HELP"), None, known(blocked=why), "account") == Outcome()
        assert receive(text("STOP"), None, known(blocked=why), "account").reply == "stopped"


def test_start_undoes_and_is_answered_only_then() -> None:
    for before in (None, STOPPED):
        outcome = receive(text("START", "m2"), before, known(6, "opted_out"), "account")
        assert [(consent.account, consent.state, consent.place) for consent in outcome.consents] == [
            ("shop", "in", 6)
        ]
        assert outcome.reply == "started"
    assert receive(text("START"), None, known(), "account") == Outcome()


def test_a_start_opens_its_own_account_alone_and_promises_nothing_where_more_is_closed() -> None:
    closed = receive(text("START", account="club"), None, known(6, "opted_out", "opted_out"), "account")
    assert [consent.account for consent in closed.consents] == ["club"]
    assert closed.reply is None, "out for every account: it would be a promise that is false"
    assert receive(text("START", account=""), STOPPED, known(6, "opted_out"), "account") == Outcome()


def test_where_there_is_one_account_its_start_opens_what_is_closed_for_all() -> None:
    outcome = receive(text("START"), None, known(6, "opted_out", opens_all=True), "account")
    assert [(consent.account, consent.state) for consent in outcome.consents] == [("shop", "in"), ("", "in")]
    assert outcome.reply == "started"


def test_a_repeated_start_or_one_sent_before_the_stop_undoes_nothing() -> None:
    start = receive(text("START", "m2"), STOPPED, known(6, "opted_out"), "account")
    after = note(STOPPED, text("START", "m2"), start)
    again = receive(text("STOP", "m3"), after, known(7, "opted_out"), "account")
    after = note(after, text("STOP", "m3"), again)
    assert receive(text("START", "m2"), after, known(8, "opted_out"), "account") == Outcome()
    assert receive(text("START", "m9", NOW - 1), after, known(8, "opted_out"), "account") == Outcome()


def test_a_stop_after_a_start_is_written_again_because_the_start_may_stand_behind_it() -> None:
    start = receive(text("START", "m2"), STOPPED, known(6, "opted_out"), "account")
    after = note(STOPPED, text("START", "m2"), start)
    outcome = receive(text("STOP", "m3"), after, known(7, "opted_out"), "account")
    assert [(consent.account, consent.state, consent.place) for consent in outcome.consents] == [("shop", "out", 7)]
    assert outcome.reply == "stopped"


def test_an_identity_is_more_than_the_id_of_an_aggregator() -> None:
    names = {identity_of(text(words, "same", account=account)) for words in ("STOP", "START") for account in SENDERS}
    assert len(names) == 4
    assert identity_of(text("STOP")) == identity_of(text("STOP", at=NOW + 5))


def test_an_erased_conversation_has_no_words_and_still_knows_what_was_asked() -> None:
    start = receive(text("START", "m2"), STOPPED, known(6, "opted_out"), "account")
    before = note(STOPPED, text("START", "m2"), start)
    before, _ = converse(before, text("hello"), None, None, Place(0, 1, 9), NOW)
    left = erased(before)
    assert b"hello" not in encode(left)
    assert b"START" not in encode(left)
    assert receive(text("START", "m2"), left, known(10, "opted_out"), "account") == Outcome(), "it is known still"
    assert repetition_of(left, text("hello"), Place(0, 1, 11)) == "said_again"


@pytest.mark.parametrize("words", WORDS)
def test_every_intent_has_an_outcome(words: str) -> None:
    assert WORDS[words] in get_args(Intent)
    assert isinstance(receive(text(words), None, known(), "account"), Outcome)


TERMS: ReplyTerms | None = None


@dataclass
class World:
    """Ingress, inbound step, an operator, and the log of consents of one number, without clocks and network."""

    consents: list[Consent] = field(default_factory=list)
    texts: list[InboundText] = field(default_factory=list)
    view: OptOuts = field(default_factory=OptOuts)
    step: Conversation | None = None
    read: int = 0

    def write(self, consent: Consent) -> None:
        self.consents.append(consent)
        self.view.apply(consent)

    def post(self, item: InboundText) -> None:
        """The ingress takes a text."""
        self.texts.append(item)
        closing = closing_of(item, len(self.texts) - 1, "account")
        if closing is not None:
            self.write(closing)

    def settle(self) -> None:
        """The inbound step reads all that it has not read."""
        while self.read < len(self.texts):
            self.deal_with(self.read)
            self.read += 1

    def deal_with(self, offset: int) -> None:
        item, place = self.texts[offset], Place(0, 1, offset)
        repetition = repetition_of(self.step, item, place)
        outcome = Outcome()
        if repetition == "new" or (repetition == "said_again" and item.intent in ("stop", "doubtful")):
            blocked = self.view.blocked_many(item.account, [ANN])[0]
            otherwise = self.view.blocked_otherwise(item.account, ANN)
            outcome = receive(item, self.step, Known(offset, blocked, otherwise), "account")
        if repetition == "forgotten":
            return
        reply: ReplyKind | None = None
        after, _ = converse(self.step, item, reply, TERMS, place, NOW)
        self.step = note(after, item, outcome)
        for consent in outcome.consents:
            self.write(consent)
        if outcome.expected is not None and not self.view.has(outcome.expected):
            self.write(outcome.expected)

    def last(self) -> dict[tuple[str, str], str]:
        """What `GET /v1/optouts/NUMBER` and the export go by: the last record of each key."""
        return {(consent.account, consent.hold): consent.state for consent in self.consents}


def operator(state: ConsentState, account: str) -> Consent:
    return Consent(account=account, number=ANN, state=state, at=NOW, source="api")


ACTIONS = (
    st.tuples(
        st.just("text"), st.sampled_from(sorted(WORDS)), st.sampled_from(["shop", "club", ""]), st.integers(0, 2)
    )
    | st.tuples(
        st.just("operator"), st.sampled_from(["out", "in"]), st.sampled_from(["shop", "club", ""]), st.just(0)
    )
    | st.tuples(st.just("review"), st.sampled_from(["out", "clear"]), st.just(""), st.just(0))
    | st.tuples(st.just("settle"), st.just(""), st.just(""), st.just(0))
    | st.tuples(st.just("replay"), st.just(""), st.just(""), st.just(0))
    | st.tuples(st.just("again"), st.just(""), st.just(""), st.integers(0, 8))
)


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_lanes_and_what_is_shown_agree_after_any_sequence(actions: list[tuple[str, str, str, int]]) -> None:
    world = World()
    for action, what, account, n in actions:
        match action:
            case "text":
                world.post(text(what, f"m{n}", NOW + n, account))
            case "operator":
                world.write(operator("out" if what == "out" else "in", account))
            case "review":
                for (whose, hold), state in world.last().items():
                    if state == "held":
                        if what == "out":
                            world.write(operator("out", whose))
                        world.write(
                            Consent(account=whose, number=ANN, state="in", at=NOW, source="review", hold=hold)
                        )
            case "again" if world.texts:
                world.post(world.texts[n % len(world.texts)])
            case "settle":
                world.settle()
            case "replay":
                world.settle()
                before = world.last()
                for offset in range(len(world.texts)):
                    world.deal_with(offset)
                assert world.last() == before, "read again, nothing changes"
    world.settle()
    anew = OptOuts()
    for consent in world.consents:
        anew.apply(consent)
    compacted = OptOuts()
    for latest in {(consent.account, consent.hold): consent for consent in world.consents}.values():
        compacted.apply(latest)
    for account in ("shop", "club"):
        shown = reason_of(account, world.last())
        assert [v.blocked_many(account, [ANN])[0] for v in (world.view, anew, compacted)] == [shown] * 3


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=20), st.sampled_from(["shop", "club", ""]))
def test_after_a_stop_no_earlier_text_opts_in_again(actions: list[tuple[str, str, str, int]], account: str) -> None:
    world = World()
    for action, what, whose, n in actions:
        if action == "text":
            world.post(text(what, f"m{n}", NOW + n, whose))
        elif action == "settle":
            world.settle()
    earlier = list(world.texts)
    world.post(text("STOP", "last", NOW + 100, account))
    for item in earlier:
        assert world.view.blocked_many(account, [ANN]) == ["opted_out"]
        world.post(item)
        world.settle()
    assert world.view.blocked_many(account, [ANN]) == ["opted_out"]
    assert reason_of(account, world.last()) == "opted_out"
