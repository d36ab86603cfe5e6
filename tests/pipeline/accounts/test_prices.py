"""Dated prices by country and network."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.accounts import price_changes
from pipeline.accounts.prices import NO_PRICE, PriceList, built_in, compiled
from schemas.accounts import PriceCommand, PriceListDocument, PriceListSpec
from tests.pipeline.accounts.making import AT

DAY = 86_400_000


def prices(*entries: tuple[str, str, str] | tuple[str, str, str, str]) -> PriceList:
    return compiled(spec(*entries))


def spec(*entries: tuple[str, ...]) -> PriceListSpec:
    keys = ("from", "country", "price", "network")
    return PriceListSpec.model_validate({"prices": [dict(zip(keys, entry, strict=False)) for entry in entries]})


def ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


def test_the_newest_entry_in_force_counts() -> None:
    listed = prices(("2026-01-01", "US", "0.01"), ("2026-06-01", "US", "0.02"))
    change = ms(date(2026, 6, 1))
    assert [listed.of("US", at) for at in (change - 1, change)] == [10_000, 20_000]
    assert listed.of("US", ms(date(2025, 12, 31))) == NO_PRICE


def test_the_most_specific_entry_counts_however_old() -> None:
    listed = prices(
        ("2026-01-01", "*", "0.09"), ("2025-01-01", "US", "0.02"), ("2024-01-01", "US", "0.01", "T-Mobile"),
        ("2026-01-01", "*", "0.08", "T-Mobile"),
    )  # fmt: skip
    at = ms(date(2026, 2, 1))
    assert listed.of("US", at, " t-mobile ") == 10_000
    assert listed.of("US", at, "att") == 20_000
    assert listed.of("FR", at, "T-Mobile") == 80_000
    assert listed.of("", at) == 90_000


def test_without_an_entry_for_all_some_have_no_price() -> None:
    assert prices(("2026-01-01", "US", "0.01")).of("FR", AT * 2) == NO_PRICE


COUNTRIES = ["US", "FR", "", "GB"]
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(19_990, 20_010), st.sampled_from(["", "att", "Vodafone"])))


@given(ROWS)
def test_a_column_is_what_each_recipient_costs(rows: list[tuple[int, int, str]]) -> None:
    listed = prices(
        ("2024-10-01", "US", "0.01"), ("2024-10-05", "US", "0.02"), ("2024-10-03", "FR", "0.03"),
        ("2024-10-04", "US", "0.005", "att"),
    )  # fmt: skip
    at = np.array([day * DAY for _, day, _ in rows], np.int64)
    column = listed.column(COUNTRIES, [c for c, _, _ in rows], at, [network for _, _, network in rows])
    assert column.tolist() == [listed.of(COUNTRIES[c], day * DAY, network) for c, day, network in rows]


def test_the_built_in_list_has_a_price_for_everybody() -> None:
    assert [built_in().of(country, AT) for country in ("US", "FR", "")] == [7_900, 79_800, 40_000]


@pytest.mark.parametrize("price", ["0.0000001", "-1", "nan", "inf", "x", "1e400"])
def test_a_price_is_exact_to_a_millionth(price: str) -> None:
    with pytest.raises(ValidationError):
        spec(("2026-01-01", "US", price))


def test_a_price_is_text_or_number() -> None:
    listed = PriceListSpec.model_validate({"prices": [{"from": date(2026, 1, 1), "country": "US", "price": 0.0079}]})
    assert listed.prices[0].price == Decimal("0.0079")
    assert PriceListSpec.model_validate(listed.model_dump(mode="json")) == listed


def test_two_prices_for_one_day_are_refused() -> None:
    with pytest.raises(ValidationError, match="two prices for US"):
        spec(("2026-01-01", "US", "1"), ("2026-01-01", "US", "2"))


def priced(id: str, expected: int, given: dict[str, Any] | None, name: str = "eu") -> PriceCommand:
    return PriceCommand(id=id, name=name, at=AT, by="test", spec=given, expected=expected)


def test_a_price_list_is_made_changed_and_removed() -> None:
    form = spec(("2026-01-01", "US", "1")).model_dump(mode="json")
    made = price_changes.apply(None, None, priced("a", 0, form), ())
    ((key, document),) = made.writes
    assert key == "prices:eu"
    assert isinstance(document, PriceListDocument)
    assert price_changes.apply(document, None, priced("a", 0, form), ()).writes == ()
    assert price_changes.apply(document, None, priced("b", document.revision, form), ()).verdict == "unchanged"
    assert price_changes.apply(document, None, priced("b", 0, form), ()).verdict == "stale"
    assert price_changes.apply(document, None, priced("b", document.revision, {"prices": []}), ()).verdict == "wrong"
    used = price_changes.apply(document, None, priced("b", document.revision, None), ["demo"])
    assert (used.verdict, "demo" in used.error) == ("in_use", True)
    ((_, gone),) = price_changes.apply(document, None, priced("b", document.revision, None), ()).writes
    assert isinstance(gone, PriceListDocument)
    assert gone.removed
    assert price_changes.apply(gone, None, priced("c", gone.revision, form), ()).verdict == "done"
    assert price_changes.apply(gone, None, priced("c", gone.revision, None), ()).verdict == "absent"
