"""Who is next in a lane: class, deadline, weighted shares."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.lane.scheduler import FairShare
from tests.pipeline.lane.records import A, B, C, settings


def run(
    share: FairShare, campaigns: dict[str, Any], turns: int, slices: dict[str, int] | None = None
) -> Counter[str]:
    """Segments that each campaign gets in `turns` turns; all have work all the time."""
    got: Counter[str] = Counter()
    for _ in range(turns):
        key = share.choose([(campaign, 0) for campaign in campaigns], campaigns)
        assert key is not None
        segments = (slices or {}).get(key[0], 10)
        share.spend(key[0], segments, campaigns[key[0]].weight)
        got[key[0]] += segments
    return got


@given(
    st.lists(st.integers(1, 100), min_size=2, max_size=5),
    st.lists(st.integers(1, 500), min_size=5, max_size=5),
)
def test_shares_follow_the_weights_at_every_moment(weights: list[int], slices: list[int]) -> None:
    names = [f"campaig{n}" for n in range(len(weights))]
    campaigns = {name: settings(weight=weight) for name, weight in zip(names, weights, strict=True)}
    size = dict(zip(names, slices, strict=False))
    share, got = FairShare(), Counter[str]()
    for _ in range(300):
        got += run(share, campaigns, 1, size)
        # Start-time fair queueing: two that always have work differ by one slice of each at most.
        normal = {name: got[name] / campaigns[name].weight for name in names}
        worst = max(size[name] / campaigns[name].weight for name in names)
        assert max(normal.values()) - min(normal.values()) <= 2 * worst + 1e-6


def test_classes_come_before_deadlines_and_deadlines_before_shares() -> None:
    share = FairShare()
    campaigns = {
        A: settings(priority="bulk", deadline=1),
        B: settings(priority="normal", deadline=2000),
        C: settings(priority="normal", deadline=1000),
    }
    ready = [(campaign, 0) for campaign in campaigns]
    assert share.choose(ready, campaigns) == (C, 0)
    share.spend(C, 10_000, 1)
    assert share.choose(ready, campaigns) == (C, 0)
    assert share.choose(ready[:2], campaigns) == (B, 0)
    assert share.choose(ready[:1], campaigns) == (A, 0)
    assert share.choose([], campaigns) is None
    campaigns[A] = settings(priority="urgent")
    assert share.choose(ready, campaigns) == (A, 0)


def test_messages_of_one_campaign_share_its_weight() -> None:
    share, campaigns = FairShare(), {A: settings(), B: settings()}
    got: Counter[str] = Counter()
    for turn in range(100):
        key = share.choose([(A, turn % 2), (A, 2), (B, 0)], campaigns)
        assert key is not None
        share.spend(key[0], 1, 1)
        got[key[0]] += 1
    assert got == {A: 50, B: 50}


def test_a_campaign_that_was_idle_gets_no_more_than_its_share_afterwards() -> None:
    share, campaigns = FairShare(), {A: settings(), B: settings()}
    run(share, {A: campaigns[A]}, 1000)
    got = run(share, campaigns, 100)
    assert abs(got[A] - got[B]) <= 20


def test_a_campaign_that_pauses_for_a_moment_does_not_shed_what_it_used() -> None:
    """C is out of work every other turn, as when all of its work is under way; the others must not pay for it."""
    share = FairShare()
    campaigns = {A: settings(), B: settings(), C: settings()}
    got: Counter[str] = Counter()
    for turn in range(3000):
        got += run(share, campaigns if turn % 2 else {A: campaigns[A], B: campaigns[B]}, 1)
    assert max(got.values()) - min(got.values()) <= 30


def test_a_starved_class_does_not_bend_the_shares_of_another() -> None:
    """A bulk campaign that never gets a turn must not hold the clock of the normal ones back."""
    share = FairShare()
    campaigns = {A: settings(), C: settings(priority="bulk")}
    run(share, campaigns, 1000)
    got = run(share, {**campaigns, B: settings()}, 100)
    assert abs(got[A] - got[B]) <= 20
    assert got[C] == 0


def test_a_campaign_whose_class_changed_starts_at_the_virtual_time_of_its_new_class() -> None:
    share, campaigns = FairShare(), {A: settings(), B: settings(priority="bulk")}
    run(share, campaigns, 1000)
    run(share, {B: campaigns[B]}, 10)
    changed = {A: settings(priority="bulk"), B: campaigns[B]}
    got = run(share, changed, 100)
    assert abs(got[A] - got[B]) <= 20
