"""Stop, start, help: what is recorded, what is answered, and what is met with silence."""

from __future__ import annotations

from pipeline.inbound import Outcome, receive
from schemas.feedback import OPTOUTS, InboundText, OptOut
from schemas.wire import encode


def text(words: str, identity: str = "m1", at: int = 100) -> InboundText:
    return InboundText(number=33_612_345_678, sender="+18885550100", text=words, at=at, id=identity)


def out_since(at: int) -> OptOut:
    return OptOut(number=33_612_345_678, out=True, at=at, source="import")


def test_stop_is_recorded_with_its_evidence_and_confirmed() -> None:
    outcome = receive(text("Stop please"), None)
    assert outcome.optout == OptOut(
        number=33_612_345_678, out=True, at=100, source="inbound", evidence="+18885550100 m1: Stop please"
    )
    assert OPTOUTS.decode(encode(outcome.optout)) == outcome.optout
    assert outcome.reply is not None
    assert (outcome.reply.kind, outcome.reply.key) == ("stopped", "stopped-+18885550100-m1")


def test_stop_is_confirmed_once_then_silence() -> None:
    first = receive(text("STOP"), None)
    assert receive(text("STOP", "m2"), first.optout) == Outcome("stop")
    assert receive(text("STOP"), out_since(50)) == Outcome("stop")


def test_a_replay_gives_the_same_again() -> None:
    for words, before in (("STOP", None), ("START", out_since(50))):
        first = receive(text(words), before)
        assert first.optout is not None
        assert receive(text(words), first.optout) == first


def test_start_undoes_and_is_answered_only_then() -> None:
    outcome = receive(text("START"), out_since(50))
    assert outcome.optout is not None
    assert outcome.optout.out is False
    assert outcome.reply is not None
    assert outcome.reply.kind == "started"
    assert receive(text("START"), None) == Outcome("start")


def test_an_old_stop_replayed_does_not_undo_a_later_start() -> None:
    stop = receive(text("STOP", "m1", 100), None).optout
    start = receive(text("START", "m2", 200), stop).optout
    assert receive(text("STOP", "m1", 100), start) == Outcome("stop")
    again = receive(text("STOP", "m3", 300), start).optout
    assert again is not None
    assert again.out is True


def test_help_is_answered_and_other_is_for_a_person() -> None:
    assert receive(text("HELP"), out_since(50)).optout is None
    assert receive(text("HELP"), None).reply is not None
    assert receive(text("is it still on sale?"), None) == Outcome("other")
