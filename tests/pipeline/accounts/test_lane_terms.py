"""What lanes hear of an account's limits."""

from __future__ import annotations

from collections import Counter
from math import fsum, isclose

from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.lane_terms import account_terms, lane_terms
from pipeline.accounts.placing import home_lane
from schemas.lane import AccountTerms, SenderTerms
from tests.pipeline.accounts.making import AT, LANES, change, command, held


def test_senders_of_one_lane_share_the_whole_limit_of_the_account() -> None:
    shop = held(command(change(segments_per_second=10), *(change(f"s{i}", segments_per_second=3) for i in range(10))))
    assert shop.account is not None
    ((lane, terms),) = account_terms(shop.account, AT)
    assert (lane, terms.rate) == (home_lane("demo", LANES), 10)


def test_a_sender_that_spans_lanes_has_an_equal_share_in_each() -> None:
    shop = held(command(change(segments_per_second=100), change("fast", segments_per_second=90, lanes=[0, 1, 2])))
    assert shop.account is not None
    records = lane_terms(shop.account, shop.senders.values(), LANES, AT)
    assert [(lane, record.rate) for lane, record in records if isinstance(record, SenderTerms)] == [
        (0, 30), (1, 30), (2, 30),
    ]  # fmt: skip
    assert all(isclose(record.rate, 100 / 3) for _, record in records if isinstance(record, AccountTerms))


def test_a_brands_limit_is_divided_among_the_lanes_of_its_own_senders() -> None:
    brands = {"shoes": {"carrier_daily": {" T-Mobile": 1001}}, "hats": {"carrier_daily": {"att": 5}}}
    shop = held(command(
        change(brands=brands),
        change("a", lanes=[0, 1], brand="shoes"),
        change("b", lanes=[2], brand="hats"),
        change("c", lanes=[0]),
    ))  # fmt: skip
    assert shop.account is not None
    daily = {lane: terms.carrier_daily for lane, terms in account_terms(shop.account, AT)}
    assert daily == {
        0: {"shoes": {"t-mobile": 500}}, 1: {"shoes": {"t-mobile": 501}}, 2: {"hats": {"att": 5}}
    }  # fmt: skip


RATES = st.lists(
    st.tuples(st.floats(0.01, 10_000), st.lists(st.integers(0, LANES - 1), unique=True, max_size=4)),
    min_size=1, max_size=12,
)  # fmt: skip


@given(RATES, st.floats(0.5, 100_000), st.integers(0, 10_000))
def test_the_shares_of_all_lanes_sum_to_the_limits(
    senders: list[tuple[float, list[int]]], limit: float, daily: int
) -> None:
    shop = held(command(
        change(segments_per_second=limit, brands={"b": {"carrier_daily": {"att": daily}}}),
        *(
            change(f"s{index}", segments_per_second=rate, lanes=lanes, brand="b")
            for index, (rate, lanes) in enumerate(senders)
        ),
    ))  # fmt: skip
    assert shop.account is not None
    records = lane_terms(shop.account, shop.senders.values(), LANES, AT)
    accounts = [record for _, record in records if isinstance(record, AccountTerms)]
    assert isclose(fsum(record.rate for record in accounts), limit)
    assert sum(record.carrier_daily["b"]["att"] for record in accounts) == daily
    rates = Counter[str]()
    for _, record in records:
        if isinstance(record, SenderTerms):
            rates[record.sender] += record.rate  # type: ignore[assignment]
    for index, (rate, _) in enumerate(senders):
        assert isclose(rates[f"s{index}"], rate)


def test_ten_thousand_accounts_fill_the_lanes_evenly() -> None:
    counts = Counter(home_lane(f"shop-{index}", LANES) for index in range(10_000))
    assert min(counts.values()) > 1100
    assert max(counts.values()) < 1400
