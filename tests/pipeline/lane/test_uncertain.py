"""Who may have the message is never said for certain not to: an attempt without an answer that waits to be made again
and then is not, ends as unknown, and keeps its reservation."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.lane.checkpoint import restore, snapshot
from pipeline.lane.effects import Effect
from pipeline.lane.fold import apply
from schemas.chunk import Release
from schemas.lane import LANES, Drop
from schemas.lane import ResultGroup as Group
from schemas.wire import encode
from tests.pipeline.lane.records import Log, control, intent, owner, result, said, work

NO_ANSWER = "earlier_attempt_unanswered"


def waiting_again(unknown: str = "resend", **more: Any) -> Log:
    """WORK of four at 2, of whom the first two had an attempt without an answer and wait until 50."""
    log = Log()
    for record in (owner(), control(unknown=unknown, **more), work([0, 1, 2, 3]), intent(1, [(2, 0, 2)])):
        log.add(record)
    log.add(result(3, Group(outcome="unknown", reason="timeout", due=50)))
    return log


def given_back(effects: list[Effect]) -> list[int]:
    return [number - 12125550000 for effect in effects if isinstance(effect, Release) for number in effect.numbers]


@pytest.mark.parametrize("policy", ["resend", "resend-with-key"])
def test_canceled_while_it_waits_to_be_made_again(policy: str) -> None:
    log = waiting_again(policy)
    effects = log.add(control(state="canceled", revision=2, unknown=policy))
    assert said(effects) == [("unknown", [0, 1], NO_ANSWER, 1), ("canceled", [2, 3], "", 0)]
    assert given_back(effects) == [2, 3]


@pytest.mark.parametrize(("state", "reason"), [("expired", "deadline"), ("skipped", "opted_out")])
def test_dropped_while_it_waits_to_be_made_again(state: Any, reason: str) -> None:
    log = waiting_again()
    effects = log.add(Drop(epoch=1, slices=[(2, 1, 3)], state=state, reason=reason, at=60))
    assert said(effects) == [("unknown", [1], NO_ANSWER, 1), (state, [2], reason, 0)]
    assert given_back(effects) == [2]


@pytest.mark.parametrize("outcome", ["skipped", "expired"])
def test_held_back_at_the_last_check_of_the_second_attempt(outcome: Any) -> None:
    log = waiting_again()
    log.add(intent(1, [(2, 0, 3)], at=60))
    effects = log.add(result(log.end - 1, Group(outcome=outcome, reason="why"), at=60))
    assert said(effects) == [("unknown", [0, 1], NO_ANSWER, 1), (outcome, [2], "why", 0)]


def test_canceled_while_the_second_attempt_is_refused() -> None:
    log = waiting_again()
    log.add(intent(1, [(2, 0, 2)], at=60))
    log.add(control(state="canceled", revision=2, unknown="resend"))
    effects = log.add(result(5, Group(outcome="retry", reason="throttled", due=90), at=60))
    assert said(effects) == [("unknown", [0, 1], NO_ANSWER, 1)]
    assert given_back(effects) == []
    assert not log.state.chunks


def test_an_answer_to_a_later_attempt_is_final() -> None:
    log = waiting_again()
    log.add(intent(1, [(2, 0, 2)], at=60))
    groups = [Group(outcome="accepted", indices=[0], ids=["a"]), Group(outcome="rejected", reason="no", indices=[1])]
    effects = log.add(result(log.end - 1, *groups, at=61))
    assert [item[:2] for item in said(effects)] == [("accepted", [0]), ("rejected", [1])]
    # The aggregator may yet have taken the first attempt, so nobody else may have the place of it.
    assert given_back(effects) == []


def dropped_while_a_lost_owner_may_have_sent(attempts: int = 1) -> Log:
    """WORK of three at 2. INTENTs of `attempts` lost owners name the first two; all opt out under the next."""
    log = Log()
    for record in (owner(), control(unknown="resend", resend_attempts=4), work([0, 1, 2])):
        log.add(record)
    epoch = 1
    for number in range(attempts):
        log.add(intent(epoch, [(2, 0, 2)], at=5))
        log.add(owner(f"owner-{number}"))
        epoch = log.end
    effects = log.add(Drop(epoch=epoch, slices=[(2, 0, 3)], state="skipped", reason="opted_out", at=60))
    assert said(effects) == [("unknown", [0, 1], "owner_lost", attempts), ("skipped", [2], "opted_out", 0)]
    assert given_back(effects) == [2]
    return log


def test_a_dropped_recipient_proved_not_sent_has_the_state_of_the_drop() -> None:
    log = dropped_while_a_lost_owner_may_have_sent()
    log.state = restore(snapshot(log.state, 0))
    effects = log.add(result(3, Group(outcome="retry", due=70), at=61))
    assert said(effects) == [("skipped", [0, 1], "opted_out", 1)]
    assert given_back(effects) == [0, 1]
    assert not log.state.chunks


def test_dropped_and_then_found_to_be_sent() -> None:
    log = dropped_while_a_lost_owner_may_have_sent()
    groups = [Group(outcome="accepted", indices=[0], ids=["a"]), Group(outcome="skipped", reason="late", indices=[1])]
    effects = log.add(result(3, *groups, at=61))
    assert [item[:2] for item in said(effects)] == [("accepted", [0]), ("skipped", [1])]
    assert given_back(effects) == [1]


def test_dropped_after_two_lost_attempts_is_sure_when_both_are() -> None:
    log = dropped_while_a_lost_owner_may_have_sent(attempts=2)
    assert said(log.add(result(3, Group(outcome="retry", due=70), at=61))) == []
    assert said(log.add(result(5, Group(outcome="retry", due=70), at=62))) == [("skipped", [0, 1], "opted_out", 2)]


def test_canceled_and_then_proved_not_sent_is_canceled() -> None:
    log = Log()
    for record in (owner(), control(unknown="resend"), work([0, 1]), intent(1, [(2, 0, 2)], at=5), owner("m")):
        log.add(record)
    effects = log.add(control(state="canceled", revision=2, unknown="resend"))
    assert said(effects) == [("unknown", [0, 1], "owner_lost", 1)]
    effects = log.add(result(3, Group(outcome="retry", due=70), at=61))
    assert said(effects) == [("canceled", [0, 1], "", 1)]
    assert given_back(effects) == [0, 1]


def test_an_attempt_that_was_certainly_not_processed_is_not_uncertain() -> None:
    log = Log()
    for record in (owner(), control(unknown="resend"), work([0, 1]), intent(1, [(2, 0, 2)])):
        log.add(record)
    log.add(result(3, Group(outcome="retry", due=50)))
    assert said(log.add(control(state="canceled", revision=2))) == [("canceled", [0, 1], "", 1)]


def test_a_checkpoint_keeps_the_uncertainty() -> None:
    log = waiting_again()
    restored = restore(snapshot(log.state, 0))
    canceled = control(state="canceled", revision=2, unknown="resend")
    raw = encode(canceled)
    assert said(apply(restored, log.end, LANES.decode(raw), raw)) == said(log.add(canceled))


def test_a_checkpoint_that_forgets_a_lost_owner_keeps_the_uncertainty() -> None:
    log = Log()
    for record in (owner(), control(unknown="resend"), work([0, 1, 2]), intent(1, [(2, 0, 2)], at=5), owner("m")):
        log.add(record)
    restored = restore(snapshot(log.state, 6))
    assert not restored.flights
    raw = encode(control(state="canceled", revision=2, unknown="resend"))
    effects = apply(restored, log.end, LANES.decode(raw), raw)
    assert said(effects) == [("unknown", [0, 1], NO_ANSWER, 1), ("canceled", [2], "", 0)]


def test_uncertain_attempts_are_forgotten_with_their_chunk() -> None:
    log = waiting_again(resend_attempts=4)
    assert log.state.chunks[2].uncertain == [(2, 0, 2)]
    for _ in range(2):
        log.add(intent(1, [(2, 0, 2)], at=60))
        log.add(result(log.end - 1, Group(outcome="unknown", due=90), at=61))
    assert log.state.chunks[2].uncertain == [(2, 0, 2)] * 3
    log.add(intent(1, [(2, 0, 4)], at=99))
    log.add(result(log.end - 1, Group(outcome="accepted"), at=99))
    assert not log.state.chunks
