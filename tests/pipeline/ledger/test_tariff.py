"""The most that a campaign can cost, against what each recipient can be charged at any time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.prices import NO_PRICE, PriceList, compiled
from pipeline.ledger.tariff import MostCost, price_list
from schemas.accounts import PriceListSpec

DAY = 86_400_000
COUNTRIES = ["US", "FR", ""]
NETWORKS = ["", "Acme", "other"]
entries = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["US", "FR", "*"]), st.sampled_from(NETWORKS), st.integers(0, 50)),
    min_size=1, max_size=8, unique_by=lambda entry: (entry[0], entry[1], entry[2].casefold()),
)  # fmt: skip
people = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(NETWORKS), st.integers(1, 8)), min_size=1, max_size=8)


def listed(given_: list[tuple[int, str, str, int]]) -> PriceList:
    prices = [
        {"from": f"1970-01-{day + 1:02d}", "country": country, "price": price, **({"network": name} if name else {})}
        for day, country, name, price in given_
    ]
    return compiled(PriceListSpec.model_validate({"prices": prices}))


@given(entries, people, st.integers(0, 10), st.none() | st.integers(0, 12))
def test_nobody_costs_more_than_was_counted_and_it_is_not_more_than_needed(
    prices: list[tuple[int, str, str, int]], recipients: list[tuple[int, str, int]], begin: int, days: int | None
) -> None:
    known, end = listed(prices), None if days is None else (begin + days) * DAY
    most = MostCost(known, 6, begin * DAY, end)
    columns = [item[0] for item in recipients], [item[1] for item in recipients]
    most.add(COUNTRIES, columns[0], {"carrier": columns[1]}, np.array([item[2] for item in recipients], np.uint16))
    tariff, wanted = price_list(most.tariff()), 0
    for country, network, segments in recipients:
        last = 12 if end is None else max(begin, begin + (days or 0) - 1)
        instants = [day * DAY for day in range(begin, last + 1)]
        charged = [known.of(COUNTRIES[country], at, network) for at in instants]
        assert [tariff.of(COUNTRIES[country], at, network) for at in instants] == charged, "it is its own price list"
        if segments <= 6:
            wanted += segments * max(0, *charged, NO_PRICE)
    assert most.amount == wanted


def test_a_price_that_begins_before_the_deadline_counts_and_one_after_it_does_not() -> None:
    known = listed([(1, "US", "", 2), (5, "US", "", 9)])
    for end, price in ((5 * DAY, 2), (5 * DAY + 1, 9), (None, 9)):
        most = MostCost(known, 6, 2 * DAY, end)
        most.add(["US"], [0, 0], {}, np.array([1, 2], np.uint16))
        assert (most.amount, most.segments) == (3 * price * 1_000_000, 3)


def test_who_has_no_price_or_too_long_a_text_costs_nothing() -> None:
    most = MostCost(listed([(1, "US", "", 2)]), 6, 2 * DAY, None)
    most.add(["US", "FR"], [0, 1, 0], {}, np.array([1, 5, 7], np.uint16))
    assert (most.amount, most.segments) == (2_000_000, 1)
