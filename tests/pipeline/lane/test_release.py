"""Who gives a smart-sending reservation back: everybody who ends without a message, and nobody who may have it."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.lane.effects import InBatches
from pipeline.lane.release import MOST, MOVED_MS
from pipeline.limits.reservations import releases, routed
from pipeline.sending.unknown.ask import result_without_answer
from schemas.chunk import RECIPIENTS, Move, Release
from schemas.ids import bucket, partition_of_bucket
from schemas.lane import Defer, Drop
from schemas.status import StatusChunk
from schemas.wire import encode
from tests.pipeline.lane.records import A, Group, Log, control, flight_of, intent, owner, result, work


def given_back(effects: list[Any]) -> list[int]:
    """Ordinals of the numbers that the effects release."""
    actual = [effect for effect in effects if isinstance(effect, Release)]
    assert all(RECIPIENTS.decode(encode(item)) == item for item in actual)
    return sorted(number - 12125550000 for item in actual for number in item.numbers)


def lane(**more: Any) -> Log:
    """A lane with recipients 0 to 5 of A waiting in the WORK at 2, and an owner of epoch 1."""
    log = Log()
    for record in (owner(), control(**more), work(list(range(6)))):
        log.add(record)
    return log


def test_a_cancel_releases_waiting_recipients_and_not_those_in_flight_or_sent() -> None:
    log = lane()
    log.add(intent(1, [(2, 0, 2)]))
    log.add(intent(1, [(2, 2, 3)]))
    assert given_back(log.add(result(3, Group(outcome="accepted", ids=["x", "y"])))) == []
    assert given_back(log.add(control(state="canceled", revision=2))) == [3, 4, 5]
    assert given_back(log.add(result(4, Group(outcome="retry", reason="busy", due=9)))) == [2]


def test_work_that_comes_after_the_cancel_is_given_back() -> None:
    log = lane()
    log.add(control(state="canceled", revision=2))
    assert given_back(log.add(work([6, 7]))) == [6, 7]
    assert given_back(log.add(work([6, 7]))) == []


@pytest.mark.parametrize("state", ["skipped", "expired"])
def test_dropped_recipients_are_released(state: Any) -> None:
    drop = Drop(epoch=1, slices=[(2, 1, 3)], state=state, reason="why", at=1)
    assert given_back(lane().add(drop)) == [1, 2]


def test_a_result_releases_the_recipients_who_certainly_got_nothing() -> None:
    log = lane()
    log.add(intent(1, [(2, 0, 6)]))
    groups = [
        Group(outcome=outcome, indices=[index])  # type: ignore[arg-type]
        for index, outcome in enumerate(("accepted", "rejected", "retry", "unknown", "skipped", "expired"))
    ]
    assert given_back(log.add(result(3, *groups))) == [1, 4, 5]


@pytest.mark.parametrize("waits", [True, False])
def test_unknown_keeps_its_reservation_until_it_is_known_that_nothing_will_be_sent(waits: bool) -> None:
    log = lane()
    log.add(intent(1, [(2, 0, 2)]))
    assert given_back(log.add(owner("m"))) == []
    assert given_back(log.add(result_without_answer(log.state.flights[flight_of(3)], 9))) == []
    if not waits:
        log.add(control(state="canceled", revision=2))
    assert given_back(log.add(result(3, Group(outcome="retry", due=9)))) == ([] if waits else [0, 1])


def test_a_recipient_resent_after_a_lost_owner_keeps_it_whatever_the_second_result_is() -> None:
    log = lane(unknown="resend")
    log.add(intent(1, [(2, 0, 2)]))
    log.add(owner("m"))
    log.add(intent(log.state.epoch, [(2, 0, 1)]))
    assert given_back(log.add(result(5, Group(outcome="rejected", reason="no")))) == []
    assert given_back(log.add(control(state="canceled", revision=2, unknown="resend"))) == [2, 3, 4, 5]


def test_a_transactional_campaign_reserved_nothing() -> None:
    log = Log()
    transactional = control()
    transactional.settings.transactional = True
    for record in (owner(), transactional, work([0, 1])):
        log.add(record)
    canceled = control(state="canceled", revision=2)
    canceled.settings.transactional = True
    assert given_back(log.add(canceled)) == []


def test_a_cancel_of_very_many_recipients_is_reported_in_records_that_a_broker_accepts() -> None:
    log = Log()
    log.add(owner())
    log.add(control())
    many = 5 * MOST // 2
    for first in range(0, many, 500):
        log.add(work(list(range(first, first + 500))))
    (gradually,) = log.add(control(state="canceled", revision=2))
    assert isinstance(gradually, InBatches)
    effects = list(gradually.effects)
    reported = [
        sum(len(group.ordinals) for group in effect.groups) for effect in effects if isinstance(effect, StatusChunk)
    ]
    assert (len(reported), sum(reported)) == (3, many)
    assert max(reported) <= MOST + 500
    assert given_back(effects) == list(range(many))


def test_a_release_goes_to_the_partitions_of_its_recipients() -> None:
    numbers = [12125550000 + n for n in range(1200)]
    actual = [pair for release in releases(A, 0, numbers, 5) for pair in routed(release, 8)]
    assert {len(set(numbers)) for numbers in [item.numbers for _, item in actual]} <= set(range(1, 501))
    assert sorted(number for _, item in actual for number in item.numbers) == numbers
    for partition, item in actual:
        assert {partition_of_bucket(bucket(number), 8) for number in item.numbers} == {partition}


def moved(effects: list[Any]) -> list[tuple[list[int], int]]:
    """(ordinals, due) of the reservations that the effects move."""
    actual = [effect for effect in effects if isinstance(effect, Move)]
    assert all(RECIPIENTS.decode(encode(item)) == item for item in actual)
    return [([number - 12125550000 for number in item.numbers], item.due) for item in actual]


def test_a_long_wait_moves_the_reservation_and_a_short_one_does_not() -> None:
    log = lane()
    morning = MOVED_MS + 5
    effects = log.add(Defer(epoch=1, slices=[(2, 0, 2), (2, 3, 4)], due=morning, reason="quiet_hours", at=5))
    assert moved(effects) == [([0, 1, 3], morning)]
    assert given_back(effects) == []
    assert moved(log.add(Defer(epoch=1, slices=[(2, 4, 5)], due=morning, reason="carrier_day", at=6))) == []
    other = lane(transactional=True)
    assert moved(other.add(Defer(epoch=1, slices=[(2, 0, 2)], due=morning, reason="carrier_day", at=5))) == []


def test_recipients_held_back_at_the_last_check_until_the_morning_have_it_moved_too() -> None:
    log = lane()
    log.add(intent(1, [(2, 0, 4)]))
    groups = [
        Group(outcome="accepted", indices=[0], ids=["x"]),
        Group(outcome="retry", reason="quiet_hours", indices=[1, 2], due=MOVED_MS),
        Group(outcome="retry", reason="busy", indices=[3], due=MOVED_MS - 1),
    ]
    assert moved(log.add(result(3, *groups))) == [([1, 2], MOVED_MS)]


def test_a_move_goes_to_the_partitions_of_its_numbers() -> None:
    numbers = [12125550000 + n for n in range(40)]
    item = Move(campaign=A, message=0, numbers=numbers, due=9, at=1)
    parts = dict(routed(item, 8))
    assert sorted(number for part in parts.values() for number in part.numbers) == numbers
    assert all(part.due == 9 for part in parts.values())
    for partition, part in parts.items():
        assert {partition_of_bucket(bucket(number), 8) for number in part.numbers} == {partition}
