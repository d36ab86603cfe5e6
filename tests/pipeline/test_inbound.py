"""Stop, start, help: what is recorded, what is answered, and what is met with silence."""

from __future__ import annotations

import pytest

from pipeline.inbound import LATE_STOP_MS, Outcome, receive
from schemas.feedback import OPTOUTS, InboundText, OptOut
from schemas.wire import encode

NOW = 1_790_000_000_000


def text(words: str, identity: str = "m1", at: int = NOW) -> InboundText:
    return InboundText(number=33_612_345_678, sender="+18885550100", text=words, at=at, id=identity)


def changed(words: str, identity: str, at: int, stored: OptOut | None) -> OptOut:
    record = receive(text(words, identity, at), stored, stored is not None and stored.out).optout
    assert record is not None
    return record


def test_stop_is_recorded_with_its_evidence_and_confirmed() -> None:
    outcome = receive(text("Stop please"), None, False)
    assert outcome.optout == OptOut(
        number=33_612_345_678, out=True, at=NOW, source="inbound", evidence="+18885550100 m1: Stop please"
    )
    assert OPTOUTS.decode(encode(outcome.optout)) == outcome.optout
    assert outcome.reply == "stopped"


def test_stop_is_confirmed_once_then_silence() -> None:
    stop = changed("STOP", "m1", NOW, None)
    for words in ("STOP", "HELP", "who is this?"):
        assert receive(text(words, "m2"), stop, True).reply is None
    assert receive(text("STOP", "m2"), stop, True) == Outcome("stop")


def test_who_opted_out_by_link_import_or_api_gets_no_answer_either() -> None:
    assert receive(text("STOP"), None, True) == Outcome("stop")
    assert receive(text("Hello?"), None, True) == Outcome("other")


@pytest.mark.parametrize(("stored_out", "view_out"), [(True, False), (False, True)])
def test_a_stop_is_recorded_wherever_what_we_know_disagrees_and_not_confirmed_twice(
    stored_out: bool, view_out: bool
) -> None:
    stored = OptOut(number=33_612_345_678, out=stored_out, at=NOW - 10, source="inbound")
    outcome = receive(text("STOP"), stored, view_out)
    assert outcome.optout is not None
    assert outcome.optout.out
    assert outcome.reply is None


def test_a_replay_gives_the_same_again() -> None:
    stop = receive(text("STOP"), None, False)
    assert receive(text("STOP"), stop.optout, True) == stop
    start = receive(text("START", "m2", NOW + 1), stop.optout, True)
    assert start.optout is not None
    assert start.optout.out is False
    assert receive(text("START", "m2", NOW + 1), start.optout, False) == start


def test_start_undoes_and_is_answered_only_then() -> None:
    for stored in (None, changed("STOP", "m1", NOW, None)):
        outcome = receive(text("START", "m2", NOW + 1), stored, True)
        assert outcome.optout is not None
        assert outcome.optout.out is False
        assert outcome.reply == "started"
    assert receive(text("START"), None, False) == Outcome("start")


def test_what_comes_late_does_not_undo_what_was_said_since() -> None:
    stop = changed("STOP", "m1", NOW, None)
    assert receive(text("START", "m0", NOW - 1), stop, True) == Outcome("start")
    start = changed("START", "m2", NOW + LATE_STOP_MS, stop)
    assert receive(text("STOP", "m0", NOW - 1), start, False) == Outcome("stop")


def test_a_stop_whose_clock_is_a_little_behind_counts() -> None:
    start = changed("START", "m2", NOW, changed("STOP", "m1", NOW - 1, None))
    assert receive(text("STOP", "m3", NOW - 60_000), start, False).optout is not None


def test_help_and_other_texts_change_nothing_and_may_be_answered() -> None:
    assert receive(text("HELP"), None, False) == Outcome("help", reply="help")
    assert receive(text("Do you ship abroad?"), None, False) == Outcome("other", reply="auto")
