"""How late machines make a recipient, by the lane's log alone. Who is too late expires and gives the place back."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.lane.checkpoint import restore, snapshot
from pipeline.lane.lateness import SILENCE_MS, Downtime, late_rule, lateness
from pipeline.lane.scheduler import FairShare
from pipeline.sending.picking.picker import Picked, Room, expired, pick
from schemas.chunk import Release
from schemas.lane import Defer, Drop, Heartbeat
from schemas.lane import ResultGroup as Group
from schemas.reasons import Reason
from tests.pipeline.lane.records import DEMO, A, Log, control, intent, owner, result, said, sender_terms, work

MINUTE, HOUR = 60_000, 3_600_000
LIMIT = 2 * HOUR


def running(at: int = 0, due: int = 0, limit: int | None = LIMIT, **more: Any) -> Log:
    """An owner since `at`, and WORK at 2 of four recipients due at `due`."""
    log = Log()
    for record in (owner(at=at), control(lateness=limit, at=at, **more), work([0, 1, 2, 3], dues=[(4, due)], at=at)):
        log.add(record)
    log.add(sender_terms(aggregator="any"))
    return log


def beat(log: Log, at: int, *down: str) -> None:
    log.add(Heartbeat(epoch=log.state.epoch, down=[*down], at=at))


def late(log: Log, now: int, position: int = 0) -> int:
    return lateness(log.state, log.state.chunks[2], position, now)


def chosen(log: Log, now: int) -> tuple[list[Drop], int]:
    """What the owner writes: who expires as too late, and how many are picked."""
    log.state.table.release(now)
    actual = pick(
        log.state,
        Picked(),
        FairShare(),
        lambda numbers: [""] * len(numbers),
        now,
        Room(sender=DEMO, messages=9, segments=9),
    )
    if actual is None:
        return [], 0
    count = sum(stop - start for _, start, stop in actual.pick.slices) if actual.pick else 0
    return [drop for drop in actual.drops if isinstance(drop, Drop)], count


def test_a_night_without_machines_is_lateness_and_the_queue_is_not() -> None:
    log = running()
    for at in range(0, 10 * HOUR, 15_000):
        beat(log, at)
    assert late(log, 10 * HOUR) == 0, "ten hours behind the sender's own limit"
    assert chosen(log, 10 * HOUR) == ([], 4)
    log.add(owner("next", at=13 * HOUR))
    assert late(log, 13 * HOUR) == 3 * HOUR + 15_000
    (drop,), count = chosen(log, 13 * HOUR)
    assert (drop.state, drop.reason, drop.slices, count) == ("expired", Reason.TOO_LATE, [(2, 0, 4)], 0)
    effects = log.add(drop)
    assert said(effects) == [("expired", [0, 1, 2, 3], Reason.TOO_LATE, 0)]
    assert [len(effect.numbers) for effect in effects if isinstance(effect, Release)] == [4]


@pytest.mark.parametrize(("down", "sent"), [(LIMIT, True), (LIMIT + 1, False)])
def test_the_limit_is_exact(down: int, sent: bool) -> None:
    log = running()
    beat(log, MINUTE)
    log.add(owner("next", at=MINUTE + down))
    drops, count = chosen(log, MINUTE + down)
    assert (bool(drops), count) == (not sent, 4 * sent)


def test_only_what_lies_after_the_planned_time_counts() -> None:
    log = running(due=4 * HOUR)
    beat(log, HOUR)
    log.add(owner("next", at=5 * HOUR))
    assert late(log, 5 * HOUR) == HOUR
    assert chosen(log, 5 * HOUR) == ([], 4)


def test_an_aggregator_outage_is_downtime_and_recipients_expire_during_it() -> None:
    log = running()
    for at in range(MINUTE, 3 * HOUR, 15_000):
        beat(log, at, "any")
    log.state.table.release(HOUR)
    assert late(log, 2 * HOUR) == 2 * HOUR - MINUTE
    assert expired(log.state, [DEMO], Picked(), 2 * HOUR + MINUTE) is None
    drop = expired(log.state, [DEMO], Picked(), 2 * HOUR + MINUTE + 1)
    assert drop is not None
    assert (drop.reason, drop.slices) == (Reason.TOO_LATE, [(2, 0, 4)])
    taken = Picked()
    taken.add([(2, 0, 4)])
    assert expired(log.state, [DEMO], taken, 3 * HOUR) is None
    beat(log, 3 * HOUR)
    assert log.state.away["any"].spans == [(MINUTE, 3 * HOUR)]
    assert log.state.downtime.spans == [], "the machines worked"


def test_it_ends_with_the_next_owner_whose_aggregator_works() -> None:
    log = running()
    beat(log, MINUTE)
    beat(log, 2 * MINUTE, "any")
    log.add(owner("next", at=4 * MINUTE))
    beat(log, 5 * MINUTE)
    assert log.state.away["any"].spans == [(2 * MINUTE, 4 * MINUTE)]
    assert late(log, HOUR) == 2 * MINUTE


def test_work_that_comes_late_is_late_and_nothing_counts_twice() -> None:
    log = Log()
    for record in (owner(), control(lateness=LIMIT), owner("next", at=3 * HOUR)):
        log.add(record)
    log.add(work([0], dues=[(1, HOUR)], at=3 * HOUR + MINUTE))
    chunk = log.state.chunks[3]
    assert lateness(log.state, chunk, 0, 4 * HOUR) == 2 * HOUR + MINUTE
    (drop,), _ = chosen(log, 4 * HOUR)
    assert drop.reason == Reason.TOO_LATE


def test_lateness_counts_from_the_time_that_a_rule_set() -> None:
    log = running()
    beat(log, MINUTE)
    log.add(Defer(epoch=1, slices=[(2, 0, 2)], due=9 * HOUR, reason="quiet_hours", at=MINUTE))
    log.add(Defer(epoch=1, slices=[(2, 1, 2)], due=10 * HOUR, reason="carrier_day", at=MINUTE))
    log.add(owner("next", at=9 * HOUR + MINUTE))
    assert [late(log, 12 * HOUR, position) for position in range(3)] == [MINUTE, 0, 9 * HOUR]
    drops, count = chosen(log, 12 * HOUR)
    assert ([drop.slices for drop in drops], count) == ([[(2, 2, 4)]], 2)


@pytest.mark.parametrize(
    ("reason", "since"), [("quiet_hours", 9 * HOUR), ("throttled", MINUTE), ("held_back", MINUTE)]
)
def test_a_retry_moves_the_planned_time_only_where_the_hours_did(reason: str, since: int) -> None:
    log = running()
    beat(log, MINUTE)
    log.add(intent(1, [(2, 0, 4)], at=MINUTE))
    log.add(result(5, Group(outcome="retry", reason=reason, due=9 * HOUR), at=MINUTE))
    log.add(owner("next", at=10 * HOUR))
    assert late(log, 10 * HOUR) == 10 * HOUR - since


def test_while_a_person_paused_the_campaign_nothing_was_late() -> None:
    log = running()
    beat(log, MINUTE)
    log.add(control(state="paused", revision=2, lateness=LIMIT, at=MINUTE))
    log.add(owner("next", at=9 * HOUR))
    log.add(control(revision=3, lateness=LIMIT, at=10 * HOUR))
    assert late(log, 11 * HOUR) == 0
    assert chosen(log, 11 * HOUR) == ([], 4)
    assert restore(snapshot(log.state, 0)).resumed == {A: 10 * HOUR}


def test_without_a_limit_it_goes_however_late() -> None:
    log = running(limit=None, transactional=True)
    log.add(owner("next", at=99 * HOUR))
    assert chosen(log, 99 * HOUR) == ([], 4)


def test_a_lost_owners_heartbeat_is_no_sign_of_life() -> None:
    log = running()
    log.add(owner("next", at=MINUTE))
    log.add(Heartbeat(epoch=1, down=["any"], at=2 * MINUTE))
    assert (log.state.downtime.heard_at, log.state.away) == (MINUTE, {})


def test_a_checkpoint_keeps_it() -> None:
    log = running()
    log.add(Defer(epoch=1, slices=[(2, 0, 2)], due=HOUR, reason="quiet_hours", at=MINUTE))
    log.add(owner("next", at=3 * HOUR))
    beat(log, 3 * HOUR + 1, "any")
    restored = restore(snapshot(log.state, 0))
    for position in range(4):
        actual = lateness(restored, restored.chunks[2], position, 5 * HOUR)
        assert actual == late(log, 5 * HOUR, position) > 0


def test_clocks_that_differ_and_short_silences_make_no_downtime() -> None:
    down = Downtime()
    down.take_owner(1_000_000)
    down.take_heartbeat(1_000_000 + SILENCE_MS, able=True)
    down.take_owner(500_000)  # another machine's clock is behind
    down.take_heartbeat(1_000_001 + SILENCE_MS, able=True)
    assert (down.spans, down.total(2_000_000)) == ([], 0)


def test_what_is_remembered_is_bounded() -> None:
    down = Downtime()
    for n in range(5000):
        down.take_owner(n * 2 * SILENCE_MS)
        down.take_heartbeat(n * 2 * SILENCE_MS + 1, able=True)
    assert len(down.spans) <= 1000
    assert down.total(0) == sum(end - begin for begin, end in down.spans)


def test_the_rule_in_words() -> None:
    assert "more than 2 hours late" in late_rule(2.0)
    assert "more than 1 hour late" in late_rule(1)
    assert "more than 0.5 hours late" in late_rule(0.5)
    assert "too_late" in late_rule(2)
    assert late_rule(0) == "A message is sent however late it is."
