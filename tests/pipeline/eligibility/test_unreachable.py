"""Unreachable numbers: who is skipped, for how long, and what is news."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.eligibility import unreachable as rules
from pipeline.eligibility.decide import Reason, decide
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.unreachable import DAY, UnreachableNumbers
from schemas.feedback import Unreachable
from tests.pipeline.campaign.test_when import EVENING, chunk, ms, planned

ANN, BEN = 12125550123, 12125550124
TODAY = 20_000 * DAY


def failed(number: int, at: int = TODAY, reason: str = "landline", **more: Any) -> Unreachable:
    return Unreachable(number=number, reason=reason, at=at, campaign="1a2b3c4d", **more)  # type: ignore[arg-type]


def cleared(number: int, at: int) -> Unreachable:
    return Unreachable(number=number, state="cleared", at=at, by="op")


def of(*records: Unreachable) -> UnreachableNumbers:
    numbers = UnreachableNumbers()
    for record in records:
        numbers.apply(record)
    return numbers


def test_a_number_is_skipped_until_its_days_are_over() -> None:
    numbers = of(failed(ANN))
    assert numbers.mask([ANN, BEN], TODAY, 90).tolist() == [True, False]
    assert numbers.mask([ANN, BEN], TODAY + 90 * DAY - 1, 90).tolist() == [True, False]
    assert numbers.mask([ANN, BEN], TODAY + 90 * DAY, 90).tolist() == [False, False]
    assert numbers.mask([ANN], TODAY + 9000 * DAY, 0).tolist() == [True]
    numbers.apply(failed(ANN, TODAY + 95 * DAY))
    assert numbers.mask([ANN], TODAY + 100 * DAY, 90).tolist() == [True]


def test_of_a_number_that_left_the_topic_nothing_is_kept() -> None:
    numbers = of(failed(ANN), failed(ANN, reason="opted_out_at_carrier"), cleared(BEN, TODAY))
    for number in (ANN, BEN):
        assert numbers.take(str(number).encode(), None) == ""
        assert not numbers.mask([number], TODAY, 90).any()
        assert all(numbers.is_news(number, reason, 1) for reason in ("landline", "opted_out_at_carrier"))


def test_a_cleared_number_is_tried_again_and_an_old_failure_read_again_is_no_news() -> None:
    numbers = of(failed(ANN), cleared(ANN, TODAY + 5))
    assert not numbers.mask([ANN], TODAY + 6, 90).any()
    assert not numbers.is_news(ANN, "landline", TODAY)
    assert numbers.is_news(ANN, "landline", TODAY + 6)
    assert numbers.is_news(BEN, "landline", TODAY)
    assert not of(failed(ANN)).is_news(ANN, "landline", TODAY)
    assert of(failed(ANN)).is_news(ANN, "landline", TODAY + DAY)


def test_an_opt_out_at_the_carrier_is_a_matter_of_consent_not_of_time() -> None:
    numbers = of(failed(ANN, reason="opted_out_at_carrier"))
    assert not numbers.mask([ANN], TODAY, 90).any()
    assert not numbers.is_news(ANN, "opted_out_at_carrier", TODAY)
    assert numbers.is_news(ANN, "opted_out_at_carrier", TODAY + 1)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=80), st.integers(1, 9))
def test_as_a_plain_table_through_merges(changes: list[tuple[int, int]], merge_at: int) -> None:
    numbers, plain, kept = UnreachableNumbers(), {}, rules.MERGE_AT
    rules.MERGE_AT = merge_at  # type: ignore[misc]
    try:
        for number, day in changes:
            numbers.apply(failed(number, TODAY + day * DAY) if day else cleared(number, TODAY))
            plain[number] = day
    finally:
        rules.MERGE_AT = kept  # type: ignore[misc]
    everybody = list(range(1, 41))
    for after in range(8):
        wanted = [bool(plain.get(n)) and after - plain[n] < 2 for n in everybody]
        assert numbers.mask(everybody, TODAY + after * DAY, 2).tolist() == wanted


def test_eligibility_skips_with_the_reason_and_consent_comes_first() -> None:
    everybody = chunk().numbers
    numbers = of(*(failed(number, ms(EVENING)) for number in everybody[:2]))
    decision = decide(chunk(), planned(), {}, OptOuts(everybody[:1]), ms(EVENING), numbers)
    reasons = {o: group.reason for status in decision.statuses for group in status.groups for o in group.ordinals}
    assert reasons == {0: Reason.OPTED_OUT, 1: Reason.UNREACHABLE}
    assert [work.ordinals for _, work in decision.work] == [[2, 3]]
