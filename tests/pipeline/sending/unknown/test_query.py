"""Policy `query`: what nobody knows stays in flight until the aggregator has said what became of it."""

from __future__ import annotations

from pipeline.lane.checkpoint import parts, restore, snapshot
from pipeline.lane.effects import Effect
from pipeline.lane.fold import Ask, Malformed, Owned
from pipeline.lane.outcomes import open_indices
from schemas.lane import Result
from schemas.lane import ResultGroup as Group
from tests.pipeline.lane.model import check_counts, plain, waiting
from tests.pipeline.lane.records import A, Log, control, flight_of, intent, owner, result, said, work


def flying(ordinals: int = 4) -> tuple[Log, int]:
    """A lane of policy `query` with everybody of one WORK (offset 2) in flight; and the INTENT's offset."""
    log = Log()
    log.add(control(A, unknown="query"))
    log.add(owner())
    log.add(work(list(range(ordinals))))
    log.add(intent(2, [(2, 0, ordinals)]))
    return log, log.end - 1


def asks(effects: list[Effect]) -> list[list[int]]:
    return [open_indices(effect.flight) for effect in effects if isinstance(effect, Ask)]


def answer(of: int, *groups: Group, at: int = 0) -> Result:
    return result(of, *groups, at=at, asked=True)


def test_a_lost_owners_flight_stays_in_flight_and_is_asked_for_by_each_later_owner() -> None:
    log, _ = flying(3)
    for nonce in ("second", "third"):
        effects = log.add(owner(nonce))
        assert said(effects) == []
        assert asks(effects) == [[0, 1, 2]]
        owned = [isinstance(effect, Owned) for effect in effects]
        assert owned == [True, False], "who is to ask must know first that it is the owner"
    assert log.state.in_flight() == 3
    check_counts(log.state)


def test_the_answer_settles_and_messages_not_seen_wait_again() -> None:
    log, at = flying(4)
    log.add(owner())
    effects = log.add(
        answer(
            at,
            Group(outcome="accepted", indices=[0], ids=["a"]),
            Group(outcome="rejected", reason="landline", indices=[1]),
            Group(outcome="retry", reason="not_seen", indices=[2], due=50),
            Group(outcome="unknown", reason="cannot_tell", indices=[3]),
            at=20,
        )
    )
    assert said(effects) == [
        ("accepted", [0], "", 0),
        ("rejected", [1], "landline", 0),
        ("delayed", [2], "not_seen", 1),
        ("unknown", [3], "cannot_tell", 0),
    ]
    assert waiting(log.state) == {(2, 2): (50, 1)}
    assert log.state.flights == {}
    assert log.state.in_flight() == 0
    assert log.add(answer(at, Group(outcome="accepted"))) == [], "the second answer says nothing new"


def test_only_what_the_live_owner_does_not_know_is_asked_for() -> None:
    log, at = flying(4)
    first = (
        Group(outcome="accepted", indices=[0, 3], ids=["a", "d"]),
        Group(outcome="unknown", reason="no_answer", indices=[1, 2]),
    )
    effects = log.add(result(at, *first))
    assert said(effects) == [("accepted", [0, 3], "", 0)]
    assert asks(effects) == [[1, 2]]
    assert log.state.in_flight() == 2
    again = log.add(result(at, *first))
    assert said(again) == [], "the same RESULT once more"
    assert asks(again) == [[1, 2]]
    assert asks(log.add(owner())) == [[1, 2]]
    effects = log.add(answer(at, Group(outcome="retry", indices=[1, 2])))
    assert said(effects) == [("queued", [1, 2], "", 1)]
    assert not any(isinstance(effect, Malformed) for effect in effects), "0 and 3 need no second answer"
    check_counts(log.state)


def test_a_lost_owners_late_result_settles_and_its_unknowns_are_still_asked_for() -> None:
    log, at = flying(4)
    log.add(owner())
    groups = [
        Group(outcome="accepted", indices=[0]),
        Group(outcome="retry", reason="held_back", indices=[1]),
        Group(outcome="skipped", reason="opted_out", indices=[2]),
        Group(outcome="unknown", indices=[3]),
    ]
    effects = log.add(result(at, *groups))
    assert said(effects) == [
        ("accepted", [0], "", 0),
        ("queued", [1], "held_back", 1),
        ("skipped", [2], "opted_out", 0),
    ]
    assert asks(effects) == [[3]]
    check_counts(log.state)


def test_a_canceled_campaign_is_asked_for_too_and_nothing_of_it_waits_again() -> None:
    log, at = flying(2)
    log.add(control(A, "canceled", 2, unknown="query"))
    assert asks(log.add(owner())) == [[0, 1]]
    groups = [Group(outcome="accepted", indices=[0]), Group(outcome="retry", reason="not_seen", indices=[1])]
    assert said(log.add(answer(at, *groups))) == [("accepted", [0], "", 0), ("canceled", [1], "not_seen", 0)]
    assert log.state.chunks == {}


def test_what_is_asked_for_is_in_checkpoints_however_old() -> None:
    log, at = flying(3)
    log.add(result(at, Group(outcome="accepted", indices=[1]), Group(outcome="unknown", indices=[0, 2])))
    log.add(owner())
    saved = snapshot(log.state, forget_orphans_before=10**12)
    loaded = restore(saved)
    assert plain(loaded) == plain(log.state)
    assert open_indices(loaded.flights[flight_of(at)]) == [0, 2]
    assert parts(saved, 1) != parts(snapshot(flying(3)[0].state, 0), 1)
