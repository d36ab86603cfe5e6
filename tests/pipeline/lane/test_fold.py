"""Single rules of the lane's fold, one short log each; `test_lane_properties` has their interleavings."""

from __future__ import annotations

import gc
import random
import tracemalloc

import pytest

from pipeline.lane.fold import Ask, Malformed, Submit, Void, apply
from pipeline.lane.outcomes import open_indices
from pipeline.lane.state import LAST_ATTEMPT, LaneState
from pipeline.sending.unknown import ask as lane_ask
from schemas.lane import LANES, Defer, Drop, Work
from schemas.lane import ResultGroup as Group
from schemas.status import StatusChunk
from schemas.wire import encode
from tests.pipeline.lane.model import check_counts, waiting
from tests.pipeline.lane.records import A, B, Log, control, intent, owner, result, said, work


def lane(**more: object) -> Log:
    """A log with a running campaign A and an owner; its epoch is 2."""
    log = Log()
    log.add(control(A, **more))  # type: ignore[arg-type]
    log.add(owner())
    return log


def flying(ordinals: int = 4, **more: object) -> tuple[Log, int]:
    """A lane with everybody of one WORK (offset 2) in flight; and the INTENT's offset."""
    log = lane(**more)
    log.add(work(list(range(ordinals))))
    log.add(intent(2, [(2, 0, ordinals)]))
    return log, log.end - 1


def test_work_waits_or_is_due_in_runs() -> None:
    log = lane()
    effects = log.add(work([5, 6, 7], dues=[(1, 100), (0, 150), (2, 200)], at=100))
    assert said(effects) == [("queued", [5], "", 0), ("delayed", [6, 7], "", 0)]
    assert log.state.waiting == 3
    assert [span.count for span in log.state.chunks[2].spans] == [1, 2]


def test_a_repeat_of_work_adds_nothing_and_is_not_kept() -> None:
    log = lane()
    log.add(work([1, 2]))
    assert log.add(work([2, 1])) == []
    assert said(log.add(work([1, 3, 3, 2]))) == [("queued", [3], "", 0)]
    assert log.state.waiting == 3
    assert list(log.state.chunks) == [2, 4]
    check_counts(log.state)


def test_work_of_a_canceled_campaign_is_canceled_and_not_kept() -> None:
    log = lane()
    log.add(work([1]))
    log.add(control(A, "canceled", 2))
    assert said(log.add(work([1, 2]))) == [("canceled", [2], "", 0)]
    assert log.state.chunks == {}
    assert log.state.live_bytes == 0


@pytest.mark.parametrize(
    "slices",
    [
        [],
        [(2, 0, 0)],
        [(2, 3, 1)],
        [(2, 0, 5)],
        [(2, 0, 2), (2, 1, 3)],
        [(2, 0, 2), (2, 0, 2)],
        [(9, 0, 1)],
        [(2, 0, 1), (3, 0, 1)],
        [(2, 10**12, 10**12 + 1)],
    ],
)
def test_an_intent_whose_slices_are_not_waiting_recipients_once_each_is_void(
    slices: list[tuple[int, int, int]],
) -> None:
    log = lane()
    log.add(control(B))
    log = lane()
    log.add(work([0, 1, 2, 3]))
    log.add(work([0], B))
    (effect,) = log.add(intent(2, slices))
    assert isinstance(effect, Void)
    assert log.state.waiting == 5
    assert log.state.flights == {}


@pytest.mark.parametrize("change", ["epoch", "paused", "canceled", "unknown campaign", "message"])
def test_an_intent_is_void_where_the_log_says_so(change: str) -> None:
    log = lane()
    log.add(work([0, 1]))
    late = intent(2, [(2, 0, 2)])
    if change == "epoch":
        log.add(owner())
    elif change == "unknown campaign":
        late = intent(2, [(2, 0, 2)], B)
    elif change == "message":
        late.picks[0].message = 1
    else:
        log.add(control(A, change, 2))
    assert [type(effect) for effect in log.add(late)] == [Void]


def test_a_valid_intent_is_to_be_submitted_across_spans_and_chunks() -> None:
    log = lane()
    log.add(work([0, 1, 2], dues=[(1, 0), (2, 5)]))
    log.add(work([3, 4]))
    effects = log.add(intent(2, [(2, 0, 2), (3, 1, 2)]))
    assert said(effects) == [("in_flight", [0, 1, 4], "", 0)]
    submit = effects[-1]
    assert isinstance(submit, Submit)
    assert submit.flights[0].slices == [(2, 0, 1), (2, 1, 2), (3, 1, 2)]
    assert log.state.in_flight() == 3
    check_counts(log.state)


def test_a_result_carries_the_ids_to_the_right_recipients() -> None:
    log, at = flying(6)
    groups = [
        Group(outcome="accepted", indices=[5, 0, 1], ids=["f", "a", "b"]),
        Group(outcome="rejected", reason="bad_number", indices=[2]),
        Group(outcome="retry", reason="busy", indices=[3, 4], due=50),
    ]
    effects = log.add(result(at, *groups, at=10))
    (chunk,) = [effect for effect in effects if isinstance(effect, StatusChunk)]
    assert said(effects) == [
        ("accepted", [5, 0, 1], "", 0),
        ("rejected", [2], "bad_number", 0),
        ("delayed", [3, 4], "busy", 1),
    ]
    assert chunk.groups[0].ids == ["f", "a", "b"]
    assert waiting(log.state) == {(2, 3): (50, 1), (2, 4): (50, 1)}
    assert log.add(result(at, Group(outcome="rejected"))) == []
    check_counts(log.state)


def test_statuses_are_parted_by_segments_and_price_with_their_ids() -> None:
    log = lane()
    log.add(work([0, 1, 2], segments=[2, 1, 2]))
    log.add(intent(2, [(2, 0, 3)]))
    (chunk,) = log.add(result(3, Group(outcome="accepted", ids=["a", "b", "c"])))
    assert isinstance(chunk, StatusChunk)
    assert {(group.segments, tuple(group.ordinals), tuple(group.ids or ())) for group in chunk.groups} == {
        (1, (1,), ("b",)),
        (2, (0, 2), ("a", "c")),
    }


@pytest.mark.parametrize(
    ("groups", "expected", "why"),
    [
        ([], {"unknown": [0, 1, 2]}, "in no group"),
        ([Group(outcome="accepted", indices=[1])], {"accepted": [1], "unknown": [0, 2]}, "in no group"),
        ([Group(outcome="accepted", indices=[0, 1, 2, 3])], {"accepted": [0, 1, 2]}, "out of range"),
        ([Group(outcome="accepted", indices=[1, 1, 0, 2])], {"accepted": [1, 0, 2]}, "named before"),
        (
            [Group(outcome="accepted", indices=[0, 1]), Group(outcome="retry", indices=[1, 2])],
            {"accepted": [0, 1], "queued": [2]},
            "named before",
        ),
        (
            [Group(outcome="rejected", indices=[1]), Group(outcome="accepted")],
            {"rejected": [1], "accepted": [0, 2]},
            "named before",
        ),
        ([Group(outcome="accepted", ids=["a"])], {"accepted": [0, 1, 2]}, "1 ids for 3"),
        ([Group(outcome="accepted", indices=[0, 1, 2], ids=[])], {"accepted": [0, 1, 2]}, "0 ids for 3"),
        ([Group(outcome="accepted"), Group(outcome="rejected", indices=[])], {"accepted": [0, 1, 2]}, None),
    ],
)
def test_a_result_that_contradicts_itself_is_reported_and_stops_nothing(
    groups: list[Group], expected: dict[str, list[int]], why: str | None
) -> None:
    log, at = flying(3)
    effects = log.add(result(at, *groups))
    reported: dict[str, list[int]] = {}
    for state, ordinals, _, _ in said(effects):
        reported.setdefault(state, []).extend(ordinals)
    assert reported == expected
    reports = [effect for effect in effects if isinstance(effect, Malformed)]
    assert [report.offset for report in reports] == ([at + 1] if why else [])
    assert all(why in report.problem for report in reports if why)
    check_counts(log.state)


def test_ids_stay_with_their_recipients_when_indices_are_left_out() -> None:
    log, at = flying(3)
    group = Group(outcome="accepted", indices=[7, 2, 2, 0], ids=["x", "two", "again", "zero"])
    chunk = next(effect for effect in log.add(result(at, group)) if isinstance(effect, StatusChunk))
    assert (chunk.groups[0].ordinals, chunk.groups[0].ids) == ([2, 0], ["two", "zero"])


def test_a_retry_of_a_canceled_campaign_is_canceled() -> None:
    log, at = flying(2)
    log.add(control(A, "canceled", 2))
    effects = log.add(result(at, Group(outcome="retry", reason="busy", due=99)))
    assert said(effects) == [("canceled", [0, 1], "busy", 0)]
    assert log.state.chunks == {}


def test_what_is_in_flight_at_a_cancel_keeps_its_outcome() -> None:
    log, at = flying(2)
    log.add(control(A, "canceled", 2))
    assert said(log.add(result(at, Group(outcome="accepted")))) == [("accepted", [0, 1], "", 0)]


def test_an_unknown_outcome_is_final_under_skip_and_waits_under_resend() -> None:
    log, at = flying(1)
    assert said(log.add(result(at, Group(outcome="unknown", reason="timeout")))) == [("unknown", [0], "timeout", 0)]
    log, at = flying(1, unknown="resend")
    group = Group(outcome="unknown", reason="timeout", due=70)
    assert said(log.add(result(at, group, at=20))) == [("delayed", [0], "timeout", 1)]
    assert waiting(log.state) == {(2, 0): (70, 1)}


def test_a_lost_owners_flight_is_unknown_until_its_late_result_settles_it() -> None:
    log, at = flying(3)
    end_waiting(log, at)
    assert log.state.waiting == 0
    groups = [
        Group(outcome="accepted", indices=[0], ids=["a"]),
        Group(outcome="retry", indices=[1]),
        Group(outcome="unknown", indices=[2]),
    ]
    assert said(log.add(result(at, *groups))) == [
        ("accepted", [0], "", 0),
        ("queued", [1], "not_sent_by_lost_owner", 1),
    ]
    assert log.state.waiting == 1


def end_waiting(log: Log, at: int) -> None:
    """The owner of the flight at `at` is lost, and was waited for long enough."""
    effects = log.add(owner())
    assert said(effects) == []
    [ask] = [effect for effect in effects if isinstance(effect, Ask)]
    record = lane_ask.result_without_answer(ask.flight, 0, "owner_lost")
    assert said(log.add(record)) == [("unknown", open_indices(ask.flight), "owner_lost", 0)]
    assert said(log.add(record)) == [], "the RESULT once more"


def test_a_lost_owner_that_is_alive_hands_back_what_it_did_not_submit() -> None:
    log, at = flying(3)
    effects = log.add(owner(at=40))
    assert said(effects) == []
    assert log.state.in_flight() == 3
    groups = [
        Group(outcome="accepted", indices=[0], ids=["a"]),
        Group(outcome="retry", reason="held_back", indices=[1], due=41),
        Group(outcome="unknown", reason="timeout", indices=[2]),
    ]
    assert said(log.add(result(at, *groups, at=41))) == [
        ("accepted", [0], "", 0),
        ("queued", [1], "held_back", 1),
        ("unknown", [2], "timeout", 0),
    ]
    assert waiting(log.state) == {(2, 1): (41, 1)}
    assert log.state.flights == {}


@pytest.mark.parametrize("policy", ["resend", "resend-with-key"])
def test_a_lost_owners_flight_waits_again_under_resend(policy: str) -> None:
    log, at = flying(3, unknown=policy)
    assert said(log.add(owner(at=40))) == [("queued", [0, 1, 2], "owner_lost", 1)]
    assert said(log.add(owner(at=50))) == [], "once"
    groups = [Group(outcome="accepted", indices=[0]), Group(outcome="unknown", indices=[1, 2])]
    assert said(log.add(result(at, *groups))) == [("accepted", [0], "", 0)]
    assert waiting(log.state) == {(2, 1): (40, 1), (2, 2): (40, 1)}


def test_a_policy_that_changes_after_the_loss_does_not_count_anybody_twice() -> None:
    log, at = flying(1, unknown="resend")
    log.add(owner())
    log.add(control(A, revision=2, unknown="skip"))
    assert said(log.add(result(at, Group(outcome="retry")))) == []
    assert log.state.waiting == 1


def test_the_late_result_of_a_first_attempt_ends_the_second() -> None:
    log, first = flying(3, unknown="resend")
    log.add(owner())
    epoch = log.end
    log.add(intent(epoch, [(2, 0, 3)]))
    second = log.end - 1
    accepted = Group(outcome="accepted", indices=[0, 1])
    log.add(result(first, accepted, Group(outcome="unknown", indices=[2])))
    effects = log.add(result(second, Group(outcome="retry", due=0)))
    assert said(effects) == [("queued", [2], "", 2)], "0 and 1 have it; a third attempt would be for nothing"
    assert log.state.waiting == 1
    check_counts(log.state)


def test_a_late_result_of_a_first_attempt_settles_it_after_the_second_owner_too() -> None:
    log, first = flying(2, unknown="resend", resend_attempts=3)
    log.add(owner())
    log.add(intent(log.end, [(2, 0, 2)]))
    log.add(result(first, Group(outcome="accepted", indices=[0]), Group(outcome="unknown", indices=[1])))
    assert said(log.add(owner())) == [("queued", [1], "owner_lost", 2)]


def test_drops_and_defers_leave_or_wait_longer() -> None:
    log = lane()
    log.add(work([0, 1, 2, 3]))
    drop = Drop(epoch=2, slices=[(2, 1, 2), (2, 3, 2), (2, 0, 9)], state="skipped", reason="opted_out", at=0)
    assert said(log.add(drop)) == [("skipped", [1], "opted_out", 0)]
    defer = Defer(epoch=2, slices=[(2, 2, 4)], due=500, reason="quiet_hours", at=0)
    assert said(log.add(defer)) == [("delayed", [2, 3], "quiet_hours", 1)]
    log.add(owner())
    assert log.add(Drop(epoch=2, slices=[(2, 0, 1)], state="expired", reason="deadline", at=0)) == []
    assert waiting(log.state) == {(2, 0): (0, 0), (2, 2): (500, 1), (2, 3): (500, 1)}
    check_counts(log.state)


def test_stale_controls_and_controls_after_a_cancel_change_nothing() -> None:
    log = lane()
    log.add(control(A, "paused", 5))
    log.add(control(A, "running", 4))
    assert not log.state.running(A)
    log.add(control(A, "canceled", 6))
    log.add(control(A, "running", 7))
    assert log.state.canceled(A)


def test_attempts_stop_growing_at_what_a_status_can_carry() -> None:
    log = lane()
    log.add(work([0]))
    chunk = log.state.chunks[2]
    log.state.take((2, 0, 1))
    log.state.wait(chunk, 0, 1, 0, LAST_ATTEMPT)
    defer = Defer(epoch=2, slices=[(2, 0, 1)], due=5, reason="", at=0)
    assert said(log.add(defer)) == [("delayed", [0], "", LAST_ATTEMPT)]


def chunk_of(n: int, r: random.Random) -> Work:
    """A chunk as eligibility would send it: 500 recipients of a continent in some 12 time zones, two fields."""
    zone = sorted(r.randrange(12) for _ in range(500))
    dues = [(zone.count(z), 1_764_000_000_000 + z * 3_600_000) for z in range(12) if z in zone]
    names = ["Mary", "James", "Patricia", "Robert", "Jennifer", "Michael", "Linda", "Elizabeth", "Christopher", "Ann"]
    cities = ["New York", "Chicago", "Los Angeles", "Houston", "Philadelphia", "San Antonio", "Montréal"]
    ordinals = list(range(n * 500, n * 500 + 500))
    r.shuffle(ordinals)
    return Work(
        campaign=A,
        message=0,
        account="demo",
        sender="main",
        at=1_763_900_000_000,
        ordinals=ordinals,
        numbers=[r.randrange(12_010_000_000, 19_899_999_999) for _ in range(500)],
        segments=[1] * 500,
        prices=[7500] * 500,
        dues=dues,
        zones=[f"America/Zone_{z}" for z in range(12)],
        zone=zone,
        fields={"first_name": r.choices(names, k=500), "city": r.choices(cities, k=500)},
    )


def test_a_delayed_recipient_costs_at_most_60_bytes() -> None:
    r = random.Random(7)
    raws = [encode(chunk_of(n, r)) for n in range(400)]
    state = LaneState()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for offset, raw in enumerate(raws):
            apply(state, offset, LANES.decode(raw), raw)
        state._decoded.clear()  # a bounded cache: it does not grow with what waits
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # Compressed bytes and bitmaps are allocated outside Python's allocator in part; count them if they were not.
    bitmaps = sum(len(seen.serialize()) for seen in state.seen.values())
    each = (max(used, state.live_bytes) + bitmaps) / state.waiting
    print(
        f"{each:.1f} bytes per delayed recipient, {state.live_bytes / state.waiting:.1f} of them compressed columns"
    )
    assert state.waiting == 200_000
    assert each <= 60
