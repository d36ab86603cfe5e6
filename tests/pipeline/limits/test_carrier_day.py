"""Limits per carrier and day."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from pipeline.lane.checkpoint import restore, snapshot
from pipeline.lane.fold import apply
from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import LaneState
from pipeline.limits.carrier_day import CarrierDays, day_of, next_day
from pipeline.sending.picking.picker import Picked, Room, pick
from schemas.lane import Control, Defer, Intent, LaneMessage, LaneSettings, Owner, ResultGroup, Work
from schemas.wire import Record, encode
from tests.pipeline.lane.records import result

BRAND = ("demo", "")
PACIFIC = ZoneInfo("America/Los_Angeles")
NOON = int(datetime(2026, 11, 20, 12, tzinfo=PACIFIC).timestamp() * 1000)


@given(st.integers(0, 4_000_000_000_000))
def test_the_day_ends_at_the_next_instant_that_has_another_day(at: int) -> None:
    end = next_day(at)
    assert at < end <= at + 25 * 3_600_000
    assert day_of(end) == day_of(at) + 1
    assert day_of(end - 1) == day_of(at)


def test_the_day_of_the_clock_change_has_25_hours() -> None:
    start = int(datetime(2026, 11, 1, tzinfo=PACIFIC).timestamp() * 1000)
    assert next_day(start) - start == 25 * 3_600_000


def test_what_is_counted_today_is_left_tomorrow() -> None:
    days = CarrierDays()
    today = day_of(NOON)
    days.count(BRAND, today, ["T-Mobile", "AT&T", ""], [3, 1, 9])
    assert days.left(BRAND, today, {"t-mobile": 10, "verizon": 5}) == {"t-mobile": 7, "verizon": 5}
    days.give_back(BRAND, today, ["t-mobile "], [2])
    assert days.left(BRAND, today, {"t-mobile": 10}) == {"t-mobile": 9}
    assert days.left(BRAND, today + 1, {"t-mobile": 10}) == {"t-mobile": 10}


def test_each_brand_of_each_account_counts_by_itself() -> None:
    days, today = CarrierDays(), day_of(NOON)
    days.count(BRAND, today, ["T-Mobile"], [3])
    for other in (("demo", "shoes"), ("other", "")):
        assert days.left(other, today, {"t-mobile": 10}) == {"t-mobile": 10}
    days.count(("other", ""), today + 9, ["T-Mobile"], [1])
    assert days.left(BRAND, today, {"t-mobile": 10}) == {"t-mobile": 7}, "another account's days end its own only"


def test_old_days_are_forgotten() -> None:
    days = CarrierDays()
    for n in range(10):
        days.count(BRAND, day_of(NOON) + n, ["T-Mobile"], [1])
    assert len(days.used) <= 2


def lane() -> LaneState:
    """Ten recipients of T-Mobile and ten others, due."""
    state = LaneState()
    settings = LaneSettings(
        messages=[LaneMessage(text="Hi", links=[])], priority="normal", weight=1, deadline=None, unknown="skip",
        transactional=False,
    )  # fmt: skip
    work = Work(
        campaign="0000cary", message=0, account="demo", sender="main", at=NOON, ordinals=list(range(20)),
        numbers=list(range(12125550000, 12125550020)),
        segments=[1] * 20, prices=[1] * 20, dues=[(20, NOON)], zones=[""], zone=[0] * 20,
        fields={"carrier": ["T-Mobile", "Verizon"] * 10},
    )  # fmt: skip
    fold(state, Owner(worker="w", nonce="n", at=NOON))
    fold(state, Control(campaign="0000cary", revision=1, state="running", settings=settings, at=NOON))
    fold(state, work)
    state.table.release(NOON)
    return state


def fold(state: LaneState, record: Record) -> int:
    offset = state.next_offset
    apply(state, offset, record, encode(record))  # type: ignore[arg-type]
    return offset


def choose(state: LaneState, picked: Picked, limit: int) -> tuple[Intent | None, list[Defer]]:
    chosen = pick(
        state,
        picked,
        FairShare(),
        lambda numbers: [""] * len(numbers),
        NOON,
        Room(sender=("demo", "main"), messages=500, segments=500, carrier_daily={"t-mobile": limit}),
    )
    assert chosen is not None
    intent = None if chosen.pick is None else Intent(epoch=state.epoch, picks=[chosen.pick], at=NOON)
    return intent, [drop for drop in chosen.drops if isinstance(drop, Defer)]


def count(slices: list[tuple[int, int, int]]) -> int:
    return sum(stop - start for _, start, stop in slices)


def test_recipients_over_the_limit_wait_for_the_next_day() -> None:
    state = lane()
    intent, defers = choose(state, Picked(), 4)
    assert intent is not None
    assert count(intent.slices) == 14
    (defer,) = defers
    assert (count(defer.slices), defer.due, defer.reason) == (6, next_day(NOON), "carrier_day")
    fold(state, intent)
    fold(state, defer)
    assert state.carriers.left(BRAND, day_of(NOON), {"t-mobile": 4}) == {"t-mobile": 0}
    assert state.waiting == 6
    assert state.table.next_due() == next_day(NOON)


def test_what_is_on_its_way_into_the_log_counts() -> None:
    state = lane()
    picked = Picked()
    picked.add([(2, 0, 8)])  # four of T-Mobile
    intent, defers = choose(state, picked, 4)
    assert intent is not None
    assert count(intent.slices) == 6
    assert count(defers[0].slices) == 6


def test_what_was_not_processed_is_given_back_and_a_checkpoint_keeps_the_count() -> None:
    state = lane()
    intent, _ = choose(state, Picked(), 100)
    assert intent is not None
    offset = fold(state, intent)
    assert state.carriers.left(BRAND, day_of(NOON), {"t-mobile": 100}) == {"t-mobile": 90}
    assert restore(snapshot(state, 0)).carriers == state.carriers
    retry = ResultGroup(outcome="retry", indices=[0, 1], due=NOON)
    accepted = ResultGroup(outcome="accepted", indices=list(range(2, 20)), ids=["x"] * 18)
    fold(state, result(offset, retry, accepted, at=NOON))
    assert state.carriers.left(BRAND, day_of(NOON), {"t-mobile": 100}) == {"t-mobile": 91}
