"""What the submission journal of a dead process proves to its lane."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.lane.checkpoint import restore, snapshot
from schemas.lane import ResultGroup as Group
from schemas.lane import SubmissionJournal
from tests.pipeline.lane.records import Log, control, flight_of, intent, owner, result, said, work

PROVED = "not_sent_by_lost_owner"


def lane(unknown: Any = "skip") -> Log:
    """WORK of six at 2; the owner of epoch 1 has INTENTs at 3 (the first two), 4 (two more) and 5 (the last two)."""
    log = Log()
    for record in (owner(), control(unknown=unknown), work([0, 1, 2, 3, 4, 5])):
        log.add(record)
    for start in (0, 2, 4):
        log.add(intent(1, [(2, start, start + 2)], at=5))
    return log


def journal(*submitted: int, nonces: tuple[str, ...] = ("n",)) -> SubmissionJournal:
    return SubmissionJournal(worker="worker-0", nonces=[*nonces], submitted=[*submitted], at=60)


@pytest.mark.parametrize("unknown", ["skip", "query"])
@pytest.mark.parametrize("taken", [False, True])
def test_who_was_not_handed_over_waits_again(unknown: str, taken: bool) -> None:
    """Whether the lane has a new owner by then or not."""
    log = lane(unknown)
    if taken:
        log.add(owner("next"))
    log.add(result(5, Group(outcome="accepted", ids=["a", "b"])))
    assert said(log.add(journal(3))) == [("queued", [2, 3], PROVED, 1)]
    assert [*log.state.flights] == [flight_of(3)]
    assert log.state.waiting == 2


def test_under_resend_they_wait_already_and_have_one_uncertain_attempt_less() -> None:
    log = lane("resend")
    log.add(owner("next"))
    assert said(log.add(journal(3, 5))) == []
    assert said(log.add(control(state="canceled", revision=2))) == [
        ("unknown", [0, 1, 4, 5], "owner_lost", 1),
        ("canceled", [2, 3], "", 1),
    ]


def test_with_the_campaign_canceled_they_are_canceled() -> None:
    log = lane()
    log.add(control(state="canceled", revision=2))
    assert said(log.add(journal(3, 4))) == [("canceled", [4, 5], PROVED, 0)]


def test_other_owners_are_none_of_its_business() -> None:
    log = lane()
    assert said(log.add(journal(nonces=("m", "next")))) == []
    assert [*log.state.flights] == [flight_of(3), flight_of(4), flight_of(5)]


def test_another_owner_of_the_same_epoch_and_offsets_is_none_of_its_business() -> None:
    """The broker lost the end of the log, and who owns the lane now got the same numbers again."""
    log = Log()
    for record in (owner("other"), control(), work([0, 1]), intent(1, [(2, 0, 2)], at=5)):
        log.add(record)
    assert said(log.add(journal())) == []
    assert [*log.state.flights] == [flight_of(3)]


def test_a_checkpoint_keeps_whose_an_intent_is() -> None:
    log = lane()
    log.state = restore(snapshot(log.state, 0))
    assert said(log.add(journal(3, 4))) == [("queued", [4, 5], PROVED, 1)]


def test_read_twice_it_changes_nothing() -> None:
    log = lane()
    log.add(journal())
    log.add(owner("next"))
    log.add(intent(log.end, [(2, 0, 2)], at=70))
    assert said(log.add(journal())) == []
    assert log.state.in_flight() == 2
