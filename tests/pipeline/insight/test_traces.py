"""Which chunks are sampled, and the ids on which all processes agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.insight.traces import campaign_trace, chunk_of, chunk_trace, chunks_of, is_sampled, span_id

CAMPAIGNS = ("aaaaaaaa", "bbbbbbbb")


def test_ids_are_the_same_in_every_version_of_every_process() -> None:
    # What another process made of the same chunk, perhaps of an older version during an upgrade.
    trace = chunk_trace("aaaaaaaa", 0, 7)
    assert f"{trace:032x}" == "b263c8f575331bb938fbbe547bae8d04"
    assert f"{span_id(trace, 'intent', 3, 42):016x}" == "75590aa9299b3ac6"


def test_every_chunk_and_every_campaign_has_an_id_of_its_own() -> None:
    traces = {
        chunk_trace(campaign, message, chunk) for campaign in CAMPAIGNS for message in (0, 1) for chunk in range(99)
    }
    traces |= {campaign_trace(campaign) for campaign in CAMPAIGNS}
    assert len(traces) == 2 * 2 * 99 + 2
    (trace, *_) = traces
    spans = {
        span_id(trace, "wait", 1, 11),
        span_id(trace, "wait", 11, 1),
        span_id(trace, "wait", 1),
        span_id(trace, "w"),
    }
    assert len(spans) == 4


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.3, 0.999])
def test_the_share_of_sampled_chunks_is_the_rate(rate: float) -> None:
    n = 20_000
    sampled = sum(is_sampled(chunk_trace("aaaaaaaa", 0, chunk), rate) for chunk in range(n))
    assert abs(sampled - n * rate) < 5 * (n * rate * (1 - rate)) ** 0.5


@given(st.integers(0, 2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_rate_samples_what_a_lower_one_does(trace: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_sampled(trace, high) or not is_sampled(trace, low)
    assert is_sampled(trace, 1)
    assert not is_sampled(trace, 0)


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_a_list_of_ordinals_is_in_at_least_their_chunks(ordinals: list[int]) -> None:
    actual = [*chunks_of(ordinals)]
    assert len(set(actual)) == len(actual)
    assert {chunk_of(ordinal) for ordinal in ordinals} == set(actual)
