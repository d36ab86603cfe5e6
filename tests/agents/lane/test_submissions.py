"""What the metrics say of a slice's outcomes."""

from __future__ import annotations

from typing import Any

from adapters.ports import SubmitOutcome
from agents.lane.breaker import AggregatorBreaker
from agents.lane.route import Route
from agents.lane.submissions import Submissions
from schemas import metrics

LANE = 77


def counted(metric: metrics.Counter, **labels: str) -> dict[str, float]:
    """Values by the label that `labels` leaves open, of those that are not 0."""
    found: dict[str, float] = {}
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.value and labels.items() <= sample.labels.items():
                (rest,) = (value for name, value in sample.labels.items() if name not in labels)
                found[rest] = sample.value
    return found


def test_outcomes_are_counted_by_lane_and_what_was_not_taken_by_reason() -> None:
    nothing: Any = None
    route = Route(nothing, AggregatorBreaker("tested-counts", nothing, 5), nothing)
    submissions = Submissions(LANE, nothing, nothing, nothing, nothing)
    submissions._count([SubmitOutcome("accepted")] * 98, route)
    assert counted(metrics.LANE_MESSAGES, lane=str(LANE)) == {"accepted": 98}
    assert not counted(metrics.FAILURES, aggregator="tested-counts", stage="submission")
    submissions._count(
        [
            SubmitOutcome("accepted"),
            SubmitOutcome("rejected", "landline"),
            SubmitOutcome("rejected", "code:99001"),
            SubmitOutcome("rejected", "code:99002"),
            SubmitOutcome("retry", "throttled"),
            SubmitOutcome("unknown", "an adapter's own words"),
        ],
        route,
    )
    assert counted(metrics.LANE_MESSAGES, lane=str(LANE)) == {"accepted": 99, "rejected": 3, "retry": 1, "unknown": 1}
    assert counted(metrics.FAILURES, aggregator="tested-counts", stage="submission") == {
        "landline": 1,
        "code": 2,
        "throttled": 1,
        "other": 1,
    }
    metrics.forget_lane(LANE)
    assert not counted(metrics.LANE_MESSAGES, lane=str(LANE))
