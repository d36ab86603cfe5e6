"""How far a campaign is, by its accounting."""

from __future__ import annotations

import pytest

from pipeline.campaign.settlement import UNSENT, reached
from schemas.campaign import CampaignDocument
from schemas.figures import Figures

NOW, WINDOW = 10_000_000, 3_600_000
DOCUMENT = CampaignDocument(
    id="0000bare",
    spec={"name": "x", "audience": {"lists": ["a"]}, "messages": [{"text": "hi"}]},
    status="sending",
    revision=3,
    created=1,
    updated=1,
    recipients=10,
)


def figures(residual: int = 0, newest: int = NOW, **states: int) -> Figures:
    every = dict.fromkeys([*UNSENT, "accepted", "delivered", "skipped", "unknown"], 0)
    return Figures(
        campaign="0000bare", message=0, targeted=10, states=every | states, residual=residual, newest_at=newest
    )


@pytest.mark.parametrize("state", UNSENT)
def test_no_stage_is_reached_while_a_recipient_waits(state: str) -> None:
    assert reached(DOCUMENT, [figures(delivered=9, **{state: 1})], NOW, WINDOW) is None


def test_sent_while_receipts_are_awaited() -> None:
    assert reached(DOCUMENT, [figures(accepted=4, delivered=6)], NOW, WINDOW) == "sent"


def test_finished_when_all_receipts_are_in() -> None:
    assert reached(DOCUMENT, [figures(delivered=8, skipped=1, unknown=1)], NOW, WINDOW) == "finished"


def test_finished_when_the_receipt_window_has_passed() -> None:
    actual = [figures(accepted=10, newest=NOW - WINDOW)]
    assert reached(DOCUMENT, actual, NOW, WINDOW) == "finished"
    assert reached(DOCUMENT, actual, NOW - 1, WINDOW) == "sent"


def test_nothing_is_reached_while_the_figures_do_not_balance() -> None:
    assert reached(DOCUMENT, [figures(residual=-1, delivered=10)], NOW, WINDOW) is None


def test_nothing_is_reached_before_every_message_has_figures() -> None:
    assert reached(DOCUMENT, [], NOW, WINDOW) is None
