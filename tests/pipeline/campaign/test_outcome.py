"""A campaign that reached nobody says so, with the main reason; every other keeps its status alone."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.campaign.settlement import nobody_why

SMART: list[dict[str, Any]] = [{"state": "skipped", "reason": "smart_sending", "count": 1950}]
SMART_WORDS = "smart sending: too close to another message"


@pytest.mark.parametrize(
    ("status", "states", "targeted", "why"),
    [
        ("finished", {"skipped": 1960}, 1960, f"1,960 of 1,960 skipped, most of them because: {SMART_WORDS}"),
        ("sent", {"rejected": 7, "skipped": 3}, 10, "7 of 10 rejected"),
        ("finished", {"undelivered": 5, "delivered": 0}, 5, "5 of 5 undelivered"),
        ("finished", {}, 0, "the audience was empty when it was frozen"),
        ("finished", {"skipped": 1959, "delivered": 1}, 1960, ""),
        ("finished", {"skipped": 1959, "accepted": 1}, 1960, ""),
        ("finished", {"unknown": 1}, 1, ""),
        ("sending", {"skipped": 10}, 10, ""),
        ("canceled", {"canceled": 10}, 10, ""),
        ("draft", {}, 0, ""),
    ],
)
def test_why_no_recipient_was_reached(status: str, states: dict[str, int], targeted: int, why: str) -> None:
    assert nobody_why(status, states, targeted, SMART) == why
