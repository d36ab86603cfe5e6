"""Campaigns by status, as an alert sees them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

from agents.settlement import Settlement, count
from schemas import metrics
from schemas.figures import Figures
from schemas.status import State
from tests.pipeline.campaigns import document


def of(status: str) -> float:
    return float(metrics.CAMPAIGNS.labels(status)._value.get())


def test_campaigns_are_counted_by_status_and_a_status_that_is_left_goes_to_0() -> None:
    count([document("suspended"), document("suspended"), document("sending")])
    assert (of("suspended"), of("sending"), of("paused")) == (2, 1, 0)
    count([document("sending")])
    assert (of("suspended"), of("sending")) == (0, 1)


def test_only_campaigns_under_way_have_a_residual_series() -> None:
    documents = [
        document("sending", id="aaaaaaaa"),
        document("sent", id="bbbbbbbb"),
        document("sending", id="cccccccc"),
    ]
    campaigns = SimpleNamespace(all=lambda: documents)
    settings = SimpleNamespace(receipt_window_hours=72)
    context: Any = SimpleNamespace(campaigns=campaigns, producer=None, settings=settings)
    settlement = Settlement(context, None)  # type: ignore[arg-type]
    for one in documents:
        settlement._tell(one, [nobody_left(one.id)])
    assert series() >= {"aaaaaaaa", "bbbbbbbb", "cccccccc"}
    # One is finished, one is deleted.
    documents[:] = [document("sending", id="aaaaaaaa"), document("finished", id="bbbbbbbb")]
    settlement._forget_ended()
    assert series() & {"aaaaaaaa", "bbbbbbbb", "cccccccc"} == {"aaaaaaaa"}


def series() -> set[str]:
    found = metrics.CAMPAIGN_RESIDUAL.collect()
    return {sample.labels["campaign"] for metric in found for sample in metric.samples}


def nobody_left(campaign: str) -> Figures:
    states = dict.fromkeys(get_args(State), 0) | {"pending": 1000}
    return Figures(campaign=campaign, message=0, targeted=1000, states=states)
