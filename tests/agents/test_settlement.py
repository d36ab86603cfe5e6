"""Campaigns by status, as an alert sees them."""

from __future__ import annotations

from agents.settlement import count
from schemas import metrics
from tests.pipeline.campaigns import document


def of(status: str) -> float:
    return float(metrics.CAMPAIGNS.labels(status)._value.get())


def test_campaigns_are_counted_by_status_and_a_status_that_is_left_goes_to_0() -> None:
    count([document("suspended"), document("suspended"), document("sending")])
    assert (of("suspended"), of("sending"), of("paused")) == (2, 1, 0)
    count([document("sending")])
    assert (of("suspended"), of("sending")) == (0, 1)
