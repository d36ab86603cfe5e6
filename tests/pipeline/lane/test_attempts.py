"""A message that may have arrived is sent again only as often as allowed, whatever made an attempt end without an
answer; then it is unknown for good."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.ports import SubmitOutcome
from pipeline.lane.checkpoint import restore, snapshot
from pipeline.lane.fold import apply
from pipeline.lane.state import KEYED_ATTEMPTS, Flight
from pipeline.sending.submitting.submission import (
    FIRST_RESEND_MS,
    LAST_BACKOFF_MS,
    THROTTLED_BACKOFF_MS,
    result_groups,
)
from schemas.lane import LANES, LaneRecord
from schemas.lane import ResultGroup as Group
from schemas.wire import encode
from tests.pipeline.lane.records import Log, control, flight_of, intent, owner, result, said, work

NO_ANSWER = Group(outcome="unknown", reason="no_answer", due=50)


def begun(unknown: str = "resend", **more: Any) -> Log:
    log = Log()
    for record in (owner(), control(unknown=unknown, **more), work([0, 1])):
        log.add(record)
    return log


def attempt(log: Log, *groups: Group) -> list[tuple[str, list[int], str, int]]:
    log.add(intent(log.state.epoch, [(2, 0, 2)], at=60))
    return said(log.add(result(log.end - 1, *(groups or [NO_ANSWER]), at=61)))


def lose_owner(log: Log) -> list[tuple[str, list[int], str, int]]:
    log.add(intent(log.state.epoch, [(2, 0, 2)], at=60))
    return said(log.add(owner("next", at=70)))


@pytest.mark.parametrize(
    ("policy", "allowed"), [("resend", 2), ("resend", 3), ("resend", 10), ("resend-with-key", KEYED_ATTEMPTS)]
)
@pytest.mark.parametrize("how", ["unanswered", "owners lost", "by attempts"])
def test_it_is_unknown_after_as_many_attempts_as_allowed(policy: str, allowed: int, how: str) -> None:
    log = begun(policy, resend_attempts=allowed if policy == "resend" else 2)
    for n in range(allowed):
        lost = how == "owners lost" or (how == "by attempts" and n % 2)
        ((state, ordinals, _, _),) = lose_owner(log) if lost else attempt(log)
        assert ordinals == [0, 1]
        assert (state == "unknown") == (n == allowed - 1), n
    assert log.state.waiting == 0


def test_an_attempt_that_was_certainly_not_processed_does_not_count() -> None:
    log = begun()
    for _ in range(5):
        assert attempt(log, Group(outcome="retry", reason="throttled", due=50))[0][0] == "queued"
    assert attempt(log)[0][0] == "queued"
    assert attempt(log, Group(outcome="retry", due=50))[0][0] == "queued"
    assert attempt(log) == [("unknown", [0, 1], "no_answer", 7)]


def test_a_lost_owner_that_had_not_submitted_gives_the_attempt_back() -> None:
    log = begun()
    lose_owner(log)
    log.add(result(log.end - 2, Group(outcome="retry", due=70), at=71))
    assert attempt(log)[0][0] == "queued"


def test_a_lost_owner_that_had_no_answer_either_does_not() -> None:
    log = begun()
    lose_owner(log)
    log.add(result(log.end - 2, NO_ANSWER, at=71))
    assert log.state.chunks[2].uncertain == [(2, 0, 2)]
    canceled = log.add(control(state="canceled", revision=2, unknown="resend"))
    assert said(canceled) == [("unknown", [0, 1], "earlier_attempt_unanswered", 1)]


def test_each_recipient_has_its_own_attempts() -> None:
    log = begun()
    groups = Group(outcome="unknown", indices=[0], due=50), Group(outcome="retry", indices=[1], due=50)
    attempt(log, *groups)
    assert attempt(log) == [("unknown", [0], "no_answer", 1), ("queued", [1], "no_answer", 2)]
    assert lose_owner_of(log, (2, 1, 2)) == [("unknown", [1], "owner_lost", 2)]


def lose_owner_of(log: Log, slice_: tuple[int, int, int]) -> list[tuple[str, list[int], str, int]]:
    log.add(intent(log.state.epoch, [slice_], at=60))
    return said(log.add(owner("next", at=70)))


def test_a_result_that_comes_after_the_last_attempt_counts() -> None:
    log = begun()
    first = log.end
    lose_owner(log)
    assert lose_owner(log)[0][0] == "unknown"
    assert said(log.add(result(first, Group(outcome="accepted"), at=80))) == [("accepted", [0, 1], "", 0)]


def test_a_checkpoint_keeps_count() -> None:
    log = begun(resend_attempts=3)
    attempt(log)
    lose_owner(log)
    again = log.end
    log.add(intent(log.state.epoch, [(2, 0, 2)], at=60))
    last = result(again, NO_ANSWER, at=61)
    for forget in (0, 1_000_000):  # with the lost owner's flight, and given up
        restored = restore(snapshot(log.state, forget))
        assert said(applied(restored, log.end, last)) == [("unknown", [0, 1], "no_answer", 2)]


def applied(state: Any, offset: int, record: LaneRecord) -> Any:
    raw = encode(record)
    return apply(state, offset, LANES.decode(raw), raw)


@pytest.mark.parametrize("attempt", [0, 1, 3, 9])
def test_there_is_a_pause_between_attempts_that_may_have_arrived(attempt: int) -> None:
    log = begun()
    log.add(intent(1, [(2, 0, 2)], at=60))
    flight = log.state.flights[flight_of(3)]
    flight.attempts = [attempt]
    (group,) = result_groups([None, None], [SubmitOutcome("unknown", "no_answer")] * 2, flight, 1000)
    assert group.due == 1000 + min(FIRST_RESEND_MS * 2**attempt, LAST_BACKOFF_MS)


def test_throttled_messages_are_not_left_behind_for_minutes() -> None:
    flight = Flight(
        id=1,
        epoch=1,
        key=("c", 0),
        sender=("demo", "main"),
        aggregator="any",
        brand=("demo", ""),
        day=0,
        slices=[(0, 0, 1)],
        attempts=[9],
        at=0,
    )
    (alone,) = result_groups([None], [SubmitOutcome("retry", "throttled")], flight, 1000)
    assert alone.due == 1000 + THROTTLED_BACKOFF_MS
    (account,) = result_groups([None], [SubmitOutcome("retry", "throttled", "", 0.2, True)], flight, 1000)
    assert account.due == 1200, "the account's own pause is what the aggregator asked for"
