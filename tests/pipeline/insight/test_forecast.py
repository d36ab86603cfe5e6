"""The fluid of a forecast, against a slow walk in small steps and against what can be worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.insight.forecast import CompetingCampaign, Flow, Group, Precedence, flow

HOUR = 3_600_000
NORMAL = Precedence((1, 1 << 62))


def test_alone_it_takes_its_segments_at_the_rate() -> None:
    assert flow([Group("a", 100, 300)], 3.0, 1000, NORMAL).finish == 1000 + 100_000


def test_a_rival_of_the_same_rank_shares_by_weight_and_one_of_a_higher_rank_goes_first() -> None:
    groups = [Group("a", 100, 100)]
    higher, lower = (CompetingCampaign("b", 50, Precedence((rank, 0))) for rank in (0, 2))
    even = flow(groups, 10.0, 0, NORMAL, competitors=[CompetingCampaign("b", 1000, NORMAL)])
    assert even.finish == 20_000
    assert flow(
        groups, 10.0, 0, Precedence(NORMAL.rank, 3), competitors=[CompetingCampaign("b", 1000, NORMAL)]
    ).finish == pytest.approx(13_333)
    assert flow(groups, 10.0, 0, NORMAL, competitors=[higher]).finish == 15_000
    assert flow(groups, 10.0, 0, NORMAL, competitors=[lower]).finish == 10_000
    assert flow(groups, 10.0, 0, NORMAL, competitors=[CompetingCampaign("b", 20, NORMAL)]).finish == 12_000


def test_a_window_that_closes_leaves_the_rest_for_the_next_and_reports_it() -> None:
    windows = [(0, HOUR), (10 * HOUR, 12 * HOUR)]
    actual = flow([Group("America/Chicago", 7200, 7200, windows)], 1.0, 0, NORMAL)
    assert actual.finish == 11 * HOUR
    (held,) = actual.held
    assert (held.zone, held.at, held.until, round(held.recipients)) == ("America/Chicago", HOUR, 10 * HOUR, 3600)


def test_the_lane_is_not_idle_while_another_zone_is_open() -> None:
    night = Group("Asia/Kolkata", 3600, 3600, [(HOUR, 9 * HOUR)])
    day = Group("Europe/Paris", 7200, 7200, [(0, 9 * HOUR)])
    actual = flow([night, day], 1.0, 0, NORMAL)
    assert actual.finish == 3 * HOUR
    assert actual.ends == [3 * HOUR, 2 * HOUR], "who became due first goes first"


def test_a_deadline_leaves_the_rest_unreached() -> None:
    actual = flow([Group("a", 100, 200)], 1.0, 0, NORMAL, deadline=50_000)
    assert (actual.finish, actual.left) == (None, [75.0])


def test_nobody_and_no_window() -> None:
    assert flow([], 1.0, 5, NORMAL).finish == 5
    assert flow([Group("a", 10, 10, [])], 1.0, 0, NORMAL).left == [10.0]


def _walk(groups: list[Group], rate: float, step: int, deadline: int) -> Flow:
    """The same by small steps; slow and obvious."""
    left = [group.segments for group in groups]
    since: list[int | None] = [None] * len(groups)
    ends: list[int | None] = [None] * len(groups)
    for now in range(0, deadline, step):
        for n, group in enumerate(groups):
            opened = any(a <= now < b for a, b in group.windows)
            since[n] = (now if since[n] is None else since[n]) if opened else None
        budget = rate * step / 1000
        while budget > 1e-9:
            ready = [n for n in range(len(groups)) if since[n] is not None and left[n] > 1e-9]
            if not ready:
                break
            earliest = min(since[n] or 0 for n in ready)
            turn = [n for n in ready if since[n] == earliest]
            total = sum(left[n] for n in turn)
            share = min(1.0, budget / total)
            budget -= share * total
            for n in turn:
                left[n] *= 1 - share
        for n, rest in enumerate(left):
            if rest <= 1e-9 and ends[n] is None:
                ends[n] = now + step
    return Flow(None, left, ends)


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.lists(st.integers(0, 300), min_size=2, max_size=6, unique=True)),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 5),
)
def test_it_is_what_a_walk_in_small_steps_gives(shapes: list[tuple[int, list[int]]], rate: int) -> None:
    second = 1000
    groups = []
    for n, (size, edges) in enumerate(shapes):
        ordered = sorted(edges)
        windows = [(a * second, b * second) for a, b in zip(ordered[::2], ordered[1::2], strict=False)]
        groups.append(Group(str(n), size, size, windows))
    actual = flow(groups, rate, 0, NORMAL, deadline=400 * second)
    walked = _walk(groups, rate, 100, 400 * second)
    assert actual.left == pytest.approx(walked.left, abs=1e-3)
    for end, other in zip(actual.ends, walked.ends, strict=True):
        assert (end is None) == (other is None)
        assert end is None or other is None or abs(end - other) <= 101


@given(
    st.lists(st.floats(0.001, 1e7), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(0.001, 1e7), st.integers(1, 7)), max_size=4),
    st.floats(0.5, 50_000),
)
def test_it_terminates_on_a_clock_of_this_century(
    sizes: list[float], others: list[tuple[float, int]], rate: float
) -> None:
    """What rounding leaves of a queue takes less time than a float of ms since 1970 can tell."""
    begin = 1_800_000_000_123
    competitors = [
        CompetingCampaign(str(n), size, Precedence(NORMAL.rank, weight)) for n, (size, weight) in enumerate(others)
    ]
    actual = flow([Group("a", size, size) for size in sizes], rate, begin, NORMAL, competitors=competitors)
    assert actual.finish is not None
    alone, together = sum(sizes) / rate, (sum(sizes) + sum(size for size, _ in others)) / rate
    assert alone * 1000 - 2 <= actual.finish - begin <= together * 1000 + 2
