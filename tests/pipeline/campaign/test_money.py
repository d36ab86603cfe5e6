"""Sums are exact."""

from __future__ import annotations

from pipeline.campaign.money import cost


def test_cost_is_segments_times_price() -> None:
    assert cost([1, 3, 2], [7_900, 79_800, 1]) == 7_900 + 3 * 79_800 + 2
