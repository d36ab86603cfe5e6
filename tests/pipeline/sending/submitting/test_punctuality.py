"""Lateness: what the due time and the sender's limit explain is none; everything else is."""

from __future__ import annotations

from pipeline.sending.submitting.punctuality import SHARE, Punctuality

RATE = 100.0
SLICE = 10


def test_a_slice_of_an_idle_lane_is_as_late_as_it_goes_after_its_due_time() -> None:
    lane = Punctuality(RATE)
    assert lane.handed_over(1_000_000, SLICE, 1_000_020) == 0.02
    assert lane.handed_over(2_000_000, SLICE, 2_000_000) == 0.0


def test_a_long_queue_that_goes_at_the_limit_is_not_late_and_one_at_half_the_limit_is() -> None:
    slices = 3000
    for used, most in ((1.0, 0.01), (0.95, 0.01), (0.5, 300.0)):
        lane, now = Punctuality(RATE), 1_000_000.0
        late = 0.0
        for _ in range(slices):
            late = lane.handed_over(1_000_000, SLICE, round(now))
            now += 1000 * SLICE / (used * RATE)
        assert late <= most
    ideal, real = slices * SLICE / (SHARE * RATE), slices * SLICE / (0.5 * RATE)
    assert abs(late - (real - ideal)) < 1.0


def test_a_lane_that_stands_still_is_late_by_that_and_catches_up_at_what_the_rule_leaves_of_the_limit() -> None:
    lane, now = Punctuality(RATE), 1_000_000
    lane.handed_over(now, SLICE, now)
    now += 60_000
    assert abs(lane.behind(1_000_000, now) - 60.0) < 0.2
    assert abs(lane.handed_over(1_000_000, SLICE, now) - 60.0) < 0.2
    for _ in range(3000):
        now += round(1000 * SLICE / RATE)
        late = lane.handed_over(1_000_000, SLICE, now)
    assert abs(late - (60.0 - 3000 * SLICE / RATE * (1 / SHARE - 1))) < 0.5


def test_nobody_is_late_before_the_due_time_and_a_slice_that_was_early_gives_no_credit() -> None:
    lane = Punctuality(RATE)
    assert lane.behind(2_000_000, 1_000_000) == 0.0
    assert lane.handed_over(2_000_000, SLICE, 1_000_000) == 0.0
    assert lane.behind(0, 1_000_000) == 0.0, "the limit has just been used"


def test_a_new_owner_goes_on_from_the_last_intent_before_it() -> None:
    lane = Punctuality(RATE)
    lane.begin(1_090_000)
    # Due for 100 s, but until 10 s ago somebody else was sending at the limit.
    assert lane.handed_over(1_000_000, SLICE, 1_100_000) == 10.0
