"""What each command changes, by example."""

from __future__ import annotations

from pipeline.ledger.commands import apply
from tests.pipeline.ledger.making import Step, campaign, release, reserve, spent, top_up


def test_what_is_topped_up_is_available_and_the_same_top_up_counts_once() -> None:
    step = Step()
    assert step.take(top_up(100)).result == "done"
    assert step.take(top_up(100)).result == "repeated"
    assert (step.book.balance, step.book.available) == (100, 100)
    assert Step(step.facts).take(top_up(100)).result == "repeated", "also by another worker"


def test_a_correction_takes_no_more_than_is_available() -> None:
    step = Step()
    step.take(top_up(100))
    step.take(reserve(1, 60))
    assert step.take(top_up(-41, 1)).result == "refused"
    assert step.book.top_ups[f"{1:032x}"].refused == "below_zero"
    assert step.take(top_up(-40, 2)).result == "done"
    assert (step.book.balance, step.book.available) == (60, 0)


def test_a_launch_for_now_is_refused_with_what_is_missing() -> None:
    step = Step()
    step.take(top_up(100))
    assert step.take(reserve(1, 70)).result == "done"
    assert step.take(reserve(2, 50)).result == "refused"
    charge = step.book.charges[campaign(2)]
    assert (charge.state, charge.missing, step.book.available) == ("refused", 20, 30)
    assert step.answers[-1] == charge


def test_the_same_launch_asks_again_and_hears_the_same() -> None:
    step = Step()
    step.take(top_up(100))
    step.take(reserve(1, 70))
    step.take(reserve(2, 50))
    step.take(top_up(100, 1))
    assert step.take(reserve(2, 50)).answers[0].state == "refused", "that launch is over"
    assert step.take(reserve(2, 50, revision=9)).answers[0].state == "reserved"
    assert step.book.reserved == 120


def test_those_that_wait_are_served_in_their_order() -> None:
    step = Step()
    step.take(top_up(10))
    step.take(reserve(1, 100, waits=True))
    step.take(reserve(2, 5, waits=True))
    missing = [(charge.campaign, charge.missing) for charge in step.book.waiting]
    assert missing == [(campaign(1), 90), (campaign(2), 95)], "a small one does not starve a large one"
    assert step.take(reserve(3, 5)).result == "refused"
    step.answers.clear()
    step.take(top_up(80, 1))
    assert [(charge.campaign, charge.missing) for charge in step.answers] == [(campaign(1), 10), (campaign(2), 15)]
    step.answers.clear()
    step.take(top_up(10, 2))
    assert [(charge.campaign, charge.state, charge.missing) for charge in step.answers] == [
        (campaign(1), "reserved", 0),
        (campaign(2), "waiting", 5),
    ]
    step.take(release(1))
    assert step.states()[campaign(2)] == "reserved", "what one gives back serves the next"


def test_a_campaign_that_gives_up_its_place_lets_the_next_go() -> None:
    step = Step()
    step.take(top_up(10))
    step.take(reserve(1, 100, waits=True))
    step.take(reserve(2, 5, waits=True))
    step.take(release(1))
    assert step.states() == {campaign(1): "released", campaign(2): "reserved"}


def test_what_is_spent_comes_out_of_the_reservation_and_the_rest_is_free_at_the_end() -> None:
    step = Step()
    step.take(top_up(100))
    step.take(reserve(1, 60))
    step.take(spent(1, 20))
    assert (step.book.balance, step.book.reserved, step.book.available) == (80, 40, 40)
    step.take(spent(1, 25, rest=5))
    assert (step.book.balance, step.book.reserved, step.book.available) == (75, 5, 70), "5 may still be decided"
    step.take(spent(1, 30, rest=0))
    assert (step.book.balance, step.book.reserved, step.book.available) == (70, 0, 70)


def test_late_and_early_words_of_what_was_spent_change_nothing() -> None:
    step = Step()
    step.take(top_up(100))
    step.take(reserve(1, 60))
    step.take(spent(1, 30, rest=0))
    for late in (spent(1, 10), spent(1, 25, rest=20), spent(1, 30, rest=0)):
        assert step.take(late).result == "repeated"
    assert (step.book.balance, step.book.reserved) == (70, 0)


def test_what_is_spent_without_a_reservation_takes_what_there_is_and_no_more() -> None:
    step = Step()
    step.take(top_up(10))
    step.take(reserve(1, 8))
    step.take(spent(7, 5))
    assert (step.book.balance, step.book.available, step.book.uncovered) == (8, 0, 3)
    step.take(top_up(100, 1))
    step.take(spent(7, 6))
    assert (step.book.balance, step.book.uncovered) == (107, 3), "what was let go stays so"


def test_what_is_paid_by_invoice_takes_nothing_from_the_balance() -> None:
    step = Step()
    step.take(top_up(10))
    step.take(spent(1, 1000, billing="invoice"))
    assert (step.book.balance, step.book.spent, step.book.uncovered) == (10, 1000, 0)
    step.take(spent(1, 1001, billing="prepaid"))
    assert step.book.balance == 10, "a campaign is paid as it was launched"


def test_a_release_that_comes_before_its_reservation_holds() -> None:
    step = Step()
    step.take(top_up(100))
    step.take(release(1))
    assert step.take(reserve(1, 60)).result == "repeated"
    assert step.book.reserved == 0
    assert step.take(reserve(1, 60, revision=5)).result == "done", "another launch"


def test_the_trial_limit_counts_what_was_sent_and_what_is_reserved() -> None:
    step = Step()
    trial = {"billing": "invoice", "amount": 0, "trial": 100}
    assert step.take(reserve(1, 0, segments=60, **{k: v for k, v in trial.items() if k != "amount"})).result == "done"
    assert step.take(reserve(2, 0, segments=41, billing="invoice", trial=100)).result == "refused"
    assert step.book.charges[campaign(2)].missing == 0
    step.take(spent(1, 30, rest=0, billing="invoice"))
    assert step.take(reserve(3, 0, segments=70, billing="invoice", trial=100)).result == "done"
    assert step.book.segments + step.book.reserved_segments == 100


def test_a_low_balance_is_told_once_per_crossing() -> None:
    step = Step()

    def low(command: object, threshold: int | None = 50) -> int | None:
        decision = apply(step.book, command, threshold)  # type: ignore[arg-type]
        return None if decision.low is None else decision.low.crossing

    assert low(top_up(100)) is None
    assert low(reserve(1, 60)) == 1
    assert low(reserve(2, 10)) is None, "it is low still"
    assert low(reserve(2, 10)) == 1, "the same again may not have been told"
    assert low(release(1)) is None
    assert low(reserve(3, 45)) == 2
    assert low(top_up(1, 5), None) is None
