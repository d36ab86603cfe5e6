"""FINISH: the lane forgets a campaign and yet knows every repeat of its WORK (rule L8)."""

from __future__ import annotations

import pytest

from pipeline.campaign.statuses import apply
from pipeline.campaign.transitions import WriteFinish
from pipeline.lane.checkpoint import restore, snapshot
from pipeline.lane.fold import Malformed, Void
from pipeline.sending.unknown.ask import result_without_answer
from schemas.campaign import Progress
from schemas.lane import Finish
from schemas.lane import ResultGroup as Group
from tests.pipeline.campaigns import HOUR, ID, NOW, TERMS, document
from tests.pipeline.lane.model import check_counts, plain
from tests.pipeline.lane.records import A, B, Log, control, flight_of, intent, owner, result, said, work


def sent(ordinals: int = 3, **more: object) -> Log:
    """A lane that has sent all of campaign A, beside B that still waits."""
    log = Log()
    log.add(control(A, **more))  # type: ignore[arg-type]
    log.add(owner())
    log.add(work(list(range(ordinals))))
    log.add(intent(2, [(2, 0, ordinals)]))
    log.add(result(3, Group(outcome="accepted")))
    log.add(control(B))
    log.add(work([0, 1], B))
    return log


@pytest.mark.parametrize("canceled", [False, True])
def test_a_finished_campaign_leaves_nothing_but_its_name_and_each_ordinal_counts_as_seen(canceled: bool) -> None:
    log = sent()
    if canceled:
        log.add(control(A, "canceled", 2))
    before = len(snapshot(log.state, 0).seen)
    assert log.add(Finish(campaign=A, at=9)) == []
    assert (before, [item[0] for item in snapshot(log.state, 0).seen]) == (2, [B])
    assert A not in log.state.campaigns
    assert log.add(work([0, 1, 2])) == [], "a repeat"
    assert log.add(work([70])) == [], "skipped before the lane the first time, and to be skipped forever"
    for late in (control(A, "running", 9), Finish(campaign=A, at=10)):
        assert log.add(late) == []
    assert [type(item) for item in log.add(intent(2, [(2, 0, 1)]))] == [Void]
    assert log.state.waiting == 2
    loaded = restore(snapshot(log.state, 0))
    assert plain(loaded) == plain(log.state)
    assert loaded.finished == {A}
    check_counts(log.state)


def test_a_finished_campaign_costs_ten_bytes_in_a_checkpoint() -> None:
    from msgspec.msgpack import encode

    log = Log()
    for n in range(1000):
        log.add(Finish(campaign=f"{n:08d}", at=0))
    assert len(encode(snapshot(log.state, 0))) <= 1000 * 10


def test_a_campaign_with_waiting_or_in_flight_recipients_is_not_finished_by_a_finish_record() -> None:
    log = sent()
    (reported,) = log.add(Finish(campaign=B, at=9))
    assert isinstance(reported, Malformed)
    log.add(intent(2, [(6, 0, 2)], B))
    (reported,) = log.add(Finish(campaign=B, at=9))
    assert isinstance(reported, Malformed)
    assert log.state.finished == set()
    log.add(result(log.end - 2, Group(outcome="accepted")))
    assert log.add(Finish(campaign=B, at=9)) == []


def test_the_late_result_of_a_lost_owners_flight_counts_after_the_finish() -> None:
    log = Log()
    for record in (control(A), owner(), work([0, 1]), intent(2, [(2, 0, 2)]), owner()):
        log.add(record)
    log.add(result_without_answer(log.state.flights[flight_of(3)], 9))
    log.add(Finish(campaign=A, at=9))
    assert log.state.finished == {A}
    assert said(log.add(result(3, Group(outcome="accepted")))) == [("accepted", [0, 1], "", 0)]
    assert log.state.chunks == {}


@pytest.mark.parametrize("status", ["sent", "canceled"])
def test_the_coordinator_finishes_a_campaign_in_its_lanes_for_each_progress_record(status: str) -> None:
    """A step that dies after it wrote the document is given its record again, and must write the FINISH again."""
    before = document(status=status, recipients=10, lanes=[1, 4], launched=NOW)
    reported = Progress(campaign=ID, reached="finished", at=NOW + HOUR)
    first = apply(before, reported, NOW + HOUR, lambda _: TERMS)
    assert first.document is not None
    again = apply(first.document, reported, NOW + 2 * HOUR, lambda _: TERMS)
    assert first.effects == again.effects == (WriteFinish(ID, (1, 4), NOW + HOUR),)
    assert (first.changed, again.changed) == (True, False)
    sent = apply(
        document(status="sending", recipients=10), Progress(campaign=ID, reached="sent", at=NOW), NOW, lambda _: TERMS
    )
    assert sent.effects == ()
