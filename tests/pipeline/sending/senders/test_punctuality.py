"""Lateness: what the due time and the limits of sender and account explain is none; everything else is."""

from __future__ import annotations

from pipeline.sending.senders.punctuality import SHARE, Punctuality, behind, handed_over

RATE = 100.0
SLICE = 10


def goes(limit: Punctuality, due: int, now: int) -> float:
    return handed_over(due, now, [(limit, SLICE)])


def test_a_slice_of_an_idle_sender_is_as_late_as_it_goes_after_its_due_time() -> None:
    sender = Punctuality(RATE)
    assert goes(sender, 1_000_000, 1_000_020) == 0.02
    assert goes(sender, 2_000_000, 2_000_000) == 0.0


def test_a_long_queue_that_goes_at_the_limit_is_not_late_and_one_at_half_the_limit_is() -> None:
    slices = 3000
    for used, most in ((1.0, 0.01), (0.95, 0.01), (0.5, 300.0)):
        sender, now = Punctuality(RATE), 1_000_000.0
        late = 0.0
        for _ in range(slices):
            late = goes(sender, 1_000_000, round(now))
            now += 1000 * SLICE / (used * RATE)
        assert late <= most
    ideal, real = slices * SLICE / (SHARE * RATE), slices * SLICE / (0.5 * RATE)
    assert abs(late - (real - ideal)) < 1.0


def test_a_sender_that_stands_still_is_late_by_that_and_catches_up_at_what_the_rule_leaves_of_the_limit() -> None:
    sender, now = Punctuality(RATE), 1_000_000
    goes(sender, now, now)
    now += 60_000
    assert abs(behind(1_000_000, now, [sender]) - 60.0) < 0.2
    assert abs(goes(sender, 1_000_000, now) - 60.0) < 0.2
    for _ in range(3000):
        now += round(1000 * SLICE / RATE)
        late = goes(sender, 1_000_000, now)
    assert abs(late - (60.0 - 3000 * SLICE / RATE * (1 / SHARE - 1))) < 0.5


def test_nobody_is_late_before_the_due_time_and_a_slice_that_was_early_gives_no_credit() -> None:
    sender = Punctuality(RATE)
    assert behind(2_000_000, 1_000_000, [sender]) == 0.0
    assert goes(sender, 2_000_000, 1_000_000) == 0.0
    assert behind(0, 1_000_000, [sender]) == 0.0, "the limit has just been used"


def test_a_new_owner_goes_on_from_the_last_intent_before_it() -> None:
    sender = Punctuality(RATE)
    sender.begin(1_090_000)
    # Due for 100 s, but until 10 s ago somebody else was sending at the limit.
    assert goes(sender, 1_000_000, 1_100_000) == 10.0


def test_the_limit_of_the_account_explains_what_a_sender_waits_for_its_siblings() -> None:
    account, senders = Punctuality(RATE), [Punctuality(RATE) for _ in range(4)]
    for turn in range(400):
        now = 1_000_000 + turn * round(1000 * SLICE / RATE)
        late = handed_over(1_000_000, now, [(senders[turn % 4], SLICE), (account, SLICE)])
        assert late <= 0.01
    assert behind(1_000_000, now, [senders[0]]) > 0.1, "without the account's limit it would be late"
    assert behind(1_000_000, now, [senders[0], account]) <= 0.01


def test_a_changed_limit_explains_as_much_as_it_is() -> None:
    sender = Punctuality(RATE)
    sender.change(RATE / 10)
    goes(sender, 1_000_000, 1_000_000)
    assert behind(1_000_000, 1_000_000 + round(1000 * SLICE / (SHARE * RATE / 10)), [sender]) < 0.01
