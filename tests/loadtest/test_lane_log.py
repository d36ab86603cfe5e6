"""The bench's reading of a lane's log finds what was submitted after a cancel, and nothing else."""

from __future__ import annotations

from loadtest.bench.lane_log import by_cancel, submitted_after_cancel
from schemas.lane import LaneRecord
from tests.pipeline.lane.records import A, B, control, intent, owner, work

LOG: list[LaneRecord] = [
    owner(),
    control(A),
    control(B),
    work([0, 1, 2, 3]),
    work([0, 1], campaign=B),
    intent(1, [(3, 0, 2)]),
    control(A, "canceled", revision=2),
    intent(1, [(3, 1, 3)]),
    intent(1, [(4, 0, 2)], campaign=B),
    control(A, "running", revision=1),
    intent(1, [(3, 3, 4)]),
]


def test_intents_are_told_apart_by_where_the_cancel_stands() -> None:
    actual = by_cancel(iter(enumerate(LOG)))
    assert (actual[A].canceled, actual[B].canceled) == (True, False)
    assert actual[A].before == {f"{A}-0-0", f"{A}-0-1"}
    assert actual[A].after == {f"{A}-0-1", f"{A}-0-2", f"{A}-0-3"}
    assert (actual[B].before, actual[B].after) == ({f"{B}-0-0", f"{B}-0-1"}, set())


def test_only_what_arrived_and_was_not_meant_before_counts() -> None:
    lines = by_cancel(iter(enumerate(LOG)))[A]
    assert submitted_after_cancel(lines, {f"{A}-0-0", f"{A}-0-1"}) == set()
    assert submitted_after_cancel(lines, {f"{A}-0-1", f"{A}-0-2"}) == {f"{A}-0-2"}
