"""A lost owner that lives says, however late, what it did not submit: they wait again, though shown as unknown."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.lane.checkpoint import restore, snapshot
from pipeline.lane.fold import apply
from pipeline.sending.unknown import ask as lane_ask
from schemas.chunk import Move, Release
from schemas.lane import LANES, Finish
from schemas.lane import ResultGroup as Group
from schemas.reasons import Reason
from schemas.wire import encode
from tests.pipeline.lane.model import waiting
from tests.pipeline.lane.records import A, Log, control, flight_of, intent, owner, result, said, work

NOT_SENT = "not_sent_by_lost_owner"
HELD_BACK = Group(outcome="retry", reason="held_back", due=90)
LATE = 30_000


def told_unknown(**more: Any) -> Log:
    """WORK of four at 2, INTENT of the first three at 3 by an owner that was lost and not heard of in time."""
    log = Log()
    for record in (owner(), control(**more), work([0, 1, 2, 3]), intent(1, [(2, 0, 3)], at=60), owner("next", at=70)):
        log.add(record)
    reported = said(
        log.add(lane_ask.result_without_answer(log.state.flights[flight_of(3)], 15_000, Reason.OWNER_LOST))
    )
    assert reported == [("unknown", [0, 1, 2], Reason.OWNER_LOST, 0)]
    return log


@pytest.mark.parametrize("outcome", ["retry", "skipped", "expired"])
def test_they_wait_again_with_the_next_attempt(outcome: Any) -> None:
    log = told_unknown()
    effects = log.add(result(3, Group(outcome=outcome, reason="why"), at=LATE))
    assert said(effects) == [("queued", [0, 1, 2], NOT_SENT, 1)]
    assert not any(isinstance(effect, Release | Move) for effect in effects), "they keep their place"
    assert waiting(log.state) == {(2, 0): (LATE, 1), (2, 1): (LATE, 1), (2, 2): (LATE, 1), (2, 3): (0, 0)}
    assert not log.state.flights
    log.add(intent(log.state.epoch, [(2, 0, 3)], at=LATE))
    ids = Group(outcome="accepted", ids=["a", "b", "c"])
    assert said(log.add(result(log.end - 1, ids, at=LATE))) == [("accepted", [0, 1, 2], "", 1)]


def test_only_those_that_were_not_submitted() -> None:
    log = told_unknown()
    groups = (
        Group(outcome="accepted", indices=[0], ids=["a"]),
        Group(outcome="unknown", indices=[1]),
        Group(outcome="retry", indices=[2]),
    )
    reported = said(log.add(result(3, *groups, at=LATE)))
    assert reported == [("accepted", [0], "", 0), ("queued", [2], NOT_SENT, 1)]


def test_a_paused_campaign_keeps_them_and_a_second_result_changes_nothing() -> None:
    log = told_unknown()
    log.add(control(state="paused", revision=2))
    assert said(log.add(result(3, HELD_BACK, at=LATE)))[0][0] == "queued"
    assert log.add(result(3, HELD_BACK, at=LATE)) == []
    assert log.state.waiting == 4


@pytest.mark.parametrize("why", ["canceled", "resolved", "finished"])
def test_where_they_cannot_wait_they_are_known_as_not_sent(why: str) -> None:
    log = told_unknown()
    if why == "canceled":
        log.add(control(state="canceled", revision=2))
    elif why == "resolved":
        log.add(control(revision=2, resolved=True))
    else:
        log.add(intent(log.state.epoch, [(2, 3, 4)], at=LATE))
        log.add(result(log.end - 1, Group(outcome="accepted", ids=["d"]), at=LATE))
        assert log.add(Finish(campaign=A, at=LATE)) == []
        assert A in log.state.finished
    effects = log.add(result(3, HELD_BACK, at=LATE))
    assert said(effects) == [("rejected", [0, 1, 2], NOT_SENT, 0)]
    assert [len(effect.numbers) for effect in effects if isinstance(effect, Release)] == [3]
    assert not any(place in waiting(log.state) for place in ((2, 0), (2, 1), (2, 2)))


def test_recipients_whose_earlier_attempt_may_have_arrived_stay_unknown() -> None:
    """Under resend it had an attempt without an answer; then the policy became skip."""
    log = Log()
    for record in (owner(), control(unknown="resend"), work([0, 1]), intent(1, [(2, 0, 1)])):
        log.add(record)
    log.add(result(3, Group(outcome="unknown", due=50)))
    log.add(control(revision=2))
    log.add(intent(1, [(2, 0, 2)], at=60))
    at = log.end - 1
    log.add(owner("next"))
    log.add(lane_ask.result_without_answer(log.state.flights[flight_of(at)], 15_000, Reason.OWNER_LOST))
    assert said(log.add(result(at, HELD_BACK, at=LATE))) == [("queued", [1], NOT_SENT, 1)]


def test_a_checkpoint_in_between_changes_nothing() -> None:
    log = told_unknown()
    restored = restore(snapshot(log.state, 0))
    late = result(3, HELD_BACK, at=LATE)
    raw = encode(late)
    assert apply(restored, log.end, LANES.decode(raw), raw) == log.add(late)
    assert waiting(restored) == waiting(log.state)
