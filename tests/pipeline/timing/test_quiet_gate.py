"""Nothing leaves at a forbidden local time: looked at when a slice is picked, again just before it is submitted."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from pipeline.lane.effects import Submit
from pipeline.lane.scheduler import FairShare
from pipeline.sending.picking.picker import Picked, Picks, Room, pick
from pipeline.sending.submitting.submission import held_back, hours_of
from pipeline.timing.quiet_gate import ARRIVAL_MS, held_until
from pipeline.timing.quiet_hours import HORIZON, QuietHours
from schemas.lane import Intent
from tests.pipeline.lane.records import DEMO, A, Log, control, owner, work

QUIET = QuietHours("cautious")
KEYS = ["US-NY America/New_York", "US-CA America/Los_Angeles"]


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NINE_AT_NIGHT = at("2027-01-15T02:00:00")
"""Of Thursday in New York; six in Los Angeles."""
MORNING = at("2027-01-15T13:00:00")


def lane(now: int, keys: list[str] = KEYS, zone: tuple[int, ...] = (0, 1, 0, 1), transactional: bool = False) -> Log:
    """Recipients 0, 1, … in the WORK at offset 2, due at `now`."""
    log = Log()
    given = control(A)
    log.add(replace(given, settings=replace(given.settings, transactional=transactional)))
    log.add(owner())
    log.add(replace(work(list(range(len(zone))), dues=[(len(zone), now)]), zones=keys, zone=list(zone)))
    log.state.table.release(now)
    return log


def picked(log: Log, now: int) -> Picks | None:
    everybody = lambda numbers: [""] * len(numbers)  # noqa: E731
    return pick(
        log.state, Picked(), FairShare(), everybody, now, Room(sender=DEMO, messages=500, segments=500, quiet=QUIET)
    )


def test_a_pick_defers_recipients_in_quiet_hours_until_their_morning() -> None:
    chosen = picked(lane(NINE_AT_NIGHT), NINE_AT_NIGHT)
    assert chosen is not None
    assert chosen.pick is not None
    assert chosen.pick.slices == [(2, 1, 2), (2, 3, 4)]
    [defer] = chosen.drops
    assert (defer.slices, defer.due, defer.reason) == ([(2, 0, 1), (2, 2, 3)], MORNING, "quiet_hours")  # type: ignore[union-attr]


def test_a_deferred_one_is_accounted_as_delayed_for_its_quiet_hours() -> None:
    log = lane(NINE_AT_NIGHT)
    chosen = picked(log, NINE_AT_NIGHT)
    assert chosen is not None
    effects = log.add(chosen.drops[0])
    reported = [(g.state, g.reason, g.ordinals) for e in effects for g in getattr(e, "groups", [])]
    assert reported == [("delayed", "quiet_hours", [0, 2])]
    assert log.state.table.next_due() == MORNING


def test_what_would_arrive_after_the_end_waits_too() -> None:
    just_before = NINE_AT_NIGHT - ARRIVAL_MS
    assert held_until(QUIET, lane(0).state.work(2), 0, 4, just_before - 1) is None
    assert held_until(QUIET, lane(0).state.work(2), 0, 4, just_before) == [MORNING, 0, MORNING, 0]


def test_recipients_whose_quiet_hours_end_in_a_second_wait_for_it() -> None:
    assert held_until(QUIET, lane(0).state.work(2), 0, 1, MORNING - 1) == [MORNING]
    assert held_until(QUIET, lane(0).state.work(2), 0, 1, MORNING) is None


def test_a_transactional_message_does_not_ask_for_the_time() -> None:
    chosen = picked(lane(NINE_AT_NIGHT, transactional=True), NINE_AT_NIGHT)
    assert chosen is not None
    assert chosen.pick is not None
    assert chosen.pick.slices == [(2, 0, 4)]
    assert not chosen.drops


def test_the_night_that_came_between_pick_and_submission_holds_it_back() -> None:
    before = NINE_AT_NIGHT - ARRIVAL_MS - 1
    log = lane(before)
    chosen = picked(log, before)
    assert chosen is not None
    assert chosen.pick is not None
    record = Intent(epoch=log.state.epoch, picks=[chosen.pick], at=before)
    [[flight]] = [effect.flights for effect in log.add(record) if isinstance(effect, Submit)]
    later = before + 1500
    hours = hours_of(log.state, flight, QUIET, later)
    held = held_back(flight, log.state.campaigns[A], [1, 2, 3, 4], lambda n: [""] * len(n), later, hours)
    assert [item and (item.outcome, item.reason, item.due) for item in held] == [
        ("retry", "quiet_hours", MORNING),
        None,
        ("retry", "quiet_hours", MORNING),
        None,
    ]
    assert hours_of(log.state, flight, QUIET, before) is None


def test_a_rule_without_any_hour_is_asked_again_at_the_end_of_the_horizon() -> None:
    now = NINE_AT_NIGHT
    log = lane(now, ["US America/Los_Angeles,Asia/Tokyo,Europe/London"], (0,))
    assert held_until(QUIET, log.state.work(2), 0, 1, now) == [now + HORIZON]
