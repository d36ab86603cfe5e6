"""Lanes are spread by what they carry, each at one worker, and stay where they are as far as balance allows."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sending.ownership.spread import Assigned, spread_lanes

WORKERS = st.lists(st.sampled_from([f"worker-{n}" for n in range(6)]), min_size=1, max_size=6, unique=True)
WEIGHTS = st.dictionaries(st.integers(0, 40), st.sampled_from([0, 0, 1, 3, 100, 100, 2500, 5000]), max_size=40)


@st.composite
def claims(draw: st.DrawFn) -> tuple[dict[int, int], dict[str, list[int]]]:
    """Weights, and what workers believe that they have: also lanes that do not exist, or that others have too."""
    weights = draw(WEIGHTS)
    had = st.lists(st.integers(0, 45), max_size=20)
    return weights, {worker: draw(had) for worker in draw(WORKERS)}


@given(claims())
def test_every_lane_is_at_exactly_one_worker(case: tuple[dict[int, int], dict[str, list[int]]]) -> None:
    weights, before = case
    after = spread_lanes(weights, before)
    assert after.keys() == before.keys()
    assert sorted(lane for lanes in after.values() for lane in lanes) == sorted(weights)


@given(claims())
def test_no_single_move_makes_it_more_even(case: tuple[dict[int, int], dict[str, list[int]]]) -> None:
    weights, before = case
    after = spread_lanes(weights, before)
    for giver, taker in permutations(after, 2):
        gap = load(weights, after[giver]) - load(weights, after[taker])
        assert all(weights[lane] >= gap for lane in after[giver] if weights[lane])
        assert len(idle(weights, after[giver])) - len(idle(weights, after[taker])) <= 1


@given(claims())
def test_once_balanced_nothing_moves(case: tuple[dict[int, int], dict[str, list[int]]]) -> None:
    weights, before = case
    after = spread_lanes(weights, before)
    assert spread_lanes(weights, after) == after


@given(st.integers(1, 40), st.integers(1, 5))
def test_a_joining_worker_gets_its_share_and_no_other_lane_moves(lanes: int, workers: int) -> None:
    weights = dict.fromkeys(range(lanes), 100)
    before = spread_lanes(weights, {f"worker-{n}": () for n in range(workers)})
    after = spread_lanes(weights, {**before, "new": ()})
    assert moved(before, after) == after["new"]
    assert len(after["new"]) == lanes // (workers + 1)


@given(st.integers(1, 40), st.integers(2, 5))
def test_only_the_lanes_of_the_leaving_worker_move_if_all_weigh_the_same(lanes: int, workers: int) -> None:
    weights = dict.fromkeys(range(lanes), 100)
    before = spread_lanes(weights, {f"worker-{n}": () for n in range(workers)})
    left = {worker: had for worker, had in before.items() if worker != "worker-0"}
    assert moved(left, spread_lanes(weights, left)) == before["worker-0"]


def test_the_lanes_of_one_sender_go_to_both_workers() -> None:
    weights = {0: 2500, 1: 2500, 2: 2500, 3: 2500, 4: 0, 5: 0, 6: 0, 7: 0}
    after = spread_lanes(weights, {"worker-0": (0, 1, 2, 3), "worker-1": (4, 5, 6, 7)})
    assert {worker: len(lanes & {0, 1, 2, 3}) for worker, lanes in after.items()} == {"worker-0": 2, "worker-1": 2}
    assert {worker: len(lanes) for worker, lanes in after.items()} == {"worker-0": 4, "worker-1": 4}


def test_a_short_code_outweighs_many_toll_free_numbers() -> None:
    weights = {0: 100_000, **dict.fromkeys(range(1, 21), 3000)}
    after = spread_lanes(weights, {"worker-0": (), "worker-1": ()})
    assert {0} in after.values()


def test_two_workers_that_claim_one_lane_do_not_both_get_it() -> None:
    after = spread_lanes({0: 1, 1: 1}, {"worker-0": (0, 1), "worker-1": (0, 1)})
    assert sorted(map(sorted, after.values())) == [[0], [1]]


def test_without_workers_there_is_nothing_to_give() -> None:
    assert spread_lanes({0: 1}, {}) == {}


def load(weights: dict[int, int], lanes: set[int]) -> int:
    return sum(weights[lane] for lane in lanes)


def idle(weights: dict[int, int], lanes: set[int]) -> set[int]:
    return {lane for lane in lanes if not weights[lane]}


def moved(before: Assigned, after: Assigned) -> set[int]:
    """Lanes that have another worker than before."""
    return {lane for worker, lanes in after.items() for lane in lanes - before.get(worker, set())}
