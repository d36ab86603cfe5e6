"""Prices by country, sums exact."""

from __future__ import annotations

from pipeline.campaign.money import PriceList, cost

PRICES = PriceList(default=40_000, countries={"US": 7_900, "FR": 79_800})


def test_price_by_country_with_default() -> None:
    assert [PRICES.of(country) for country in ("US", "FR", "DE", "")] == [7_900, 79_800, 40_000, 40_000]


def test_column_follows_the_dictionary() -> None:
    assert PRICES.column(["FR", "", "US"], [2, 0, 1, 2]) == [7_900, 79_800, 40_000, 7_900]


def test_cost_is_segments_times_price() -> None:
    assert cost([1, 3, 2], [7_900, 79_800, 1]) == 7_900 + 3 * 79_800 + 2
