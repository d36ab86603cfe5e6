"""The driver of a lane on a clock of the test's own: what it writes, submits and says, record by record."""

from __future__ import annotations

from typing import Any, TypeVar

from pipeline.lane.checkpoint import parts, snapshot
from pipeline.lane.effects import InBatches
from pipeline.lane.lateness import HEARTBEAT_MS
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.driver import LaneDriver, Surroundings, Terms
from pipeline.sending.effects import (
    AwaitConsents,
    Checkpoint,
    Claimed,
    Connect,
    Disconnect,
    HandOver,
    Instant,
    Letter,
    Lookup,
    MoveMark,
    Prepared,
    Report,
    Rewind,
    Wake,
    WakeLine,
    Write,
)
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.sending.outage.breaker import Breaker
from pipeline.sending.ownership.claiming import CLAIM_SECONDS
from pipeline.sending.ownership.replay import STUCK_SECONDS
from pipeline.sending.submitting.last_check import CHECK_HOLDS_SECONDS
from pipeline.sending.submitting.submission import STALE_MS
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import Drop, Heartbeat, Intent, LaneRecord, Owner
from schemas.reasons import Reason
from schemas.wire import encode
from tests.pipeline.lane.records import control, flight_of, intent, owner, sender_terms, work
from tests.pipeline.sending.host import Answer, NamedBreaker

RATE = 1000.0
SLICE = 50
"""Segments of a slice at that rate."""
T = TypeVar("T")


class Lane:
    """A driver, what it has been told of the world, and its log, which this test reads back to it when it likes."""

    def __init__(self, rate: float = RATE, in_flight: int = 16, batch: int = 500) -> None:
        self.now = Instant(1_000_000, 100.0, 100.0)
        self.blocked: set[int] = set()
        self.unreadable: set[int] = set()
        self.is_current = self.is_member = self.has_connection = True
        self.breaker = NamedBreaker("any", Breaker(3))
        self.log: list[LaneRecord] = []
        self.effects: list[Any] = []
        self.rate = rate
        aggregator = LaneAggregator(self.breaker, batch, in_flight, 1.0, lambda: self.has_connection)
        around = Surroundings(
            aggregator={"any": aggregator}.get,
            blocked=lambda account, numbers: [
                Reason.OPTED_OUT if number in self.blocked else "" for number in numbers
            ],
            quiet=lambda account: QuietHours("cautious"),
            knows_consents=lambda: self.is_current,
            is_member=lambda: self.is_member,
            document=lambda campaign: None,
            prepare=self._prepare,
        )
        self.driver = LaneDriver(1, "w", Terms(60.0, 10_000), around)

    def _prepare(self, state: LaneState, flight: Flight) -> Prepared[int]:
        numbers: list[int] = []
        for chunk, start, stop in flight.slices:
            numbers += state.work(chunk).numbers[start:stop]
        if self.unreadable.intersection(numbers):
            raise KeyError("a template of another time")
        return Prepared(numbers, numbers, len(numbers))

    def passes(self, seconds: float) -> None:
        self.now = Instant(self.now.ms + round(1000 * seconds), self.now.seconds + seconds, self.now.boot + seconds)

    def do(self, effects: list[Any]) -> list[Any]:
        self.effects += effects
        return effects

    def time(self) -> list[Any]:
        return self.do(self.driver.on_time(self.now))

    def read(self, *records: LaneRecord) -> list[Any]:
        effects: list[Any] = []
        for record in records:
            offset = len(self.log)
            self.log.append(record)
            taken, first = self.driver.read(offset, encode(record), self.now)
            effects += first
            for item in taken:
                effects += self.driver.on_raw(*item, self.now)
        return self.do(effects)

    def take(self, kind: type[T]) -> list[T]:
        """The effects of a kind since the last time, in order."""
        taken = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, kind)]
        return taken

    def written(self, kind: type[T]) -> list[T]:
        """The records of a kind that it wrote since the last time."""
        return [write.record for write in self.take(Write) if isinstance(write.record, kind)]

    def claim(self, count: int = 0, **more: Any) -> None:
        """Own the lane; `count` recipients of a campaign wait in it."""
        self.do(self.driver.on_assigned("mine", self.now))
        self.time()
        (record,) = self.written(Owner)
        people = [work(list(range(count)), at=self.now.ms)] if count else []
        self.read(record, control(at=self.now.ms, transactional=True, **more), *people)
        self.read(sender_terms(rate=self.rate, at=self.now.ms))

    def connect(self) -> list[Any]:
        """Give the head of the line the connection that it asked for."""
        (connect,) = self.take(Connect)
        return self.do(self.driver.on_connected(connect.intent, self.now))


def test_it_claims_by_the_log_and_acts_only_once_it_has_read_its_own_owner() -> None:
    lane = Lane()
    assert not lane.time()
    lane.do(lane.driver.on_assigned("mine", lane.now))
    lane.time()
    (record,) = lane.written(Owner)
    assert record.nonce == "mine"
    lane.read(control(at=lane.now.ms, transactional=True), work([0, 1], at=lane.now.ms), sender_terms())
    lane.time()
    assert not lane.driver.active
    assert not lane.written(Intent)
    lane.passes(0.5)
    lane.read(record)
    assert lane.take(Claimed) == [Claimed(4, 0.5)]
    lane.time()
    assert [item.slices for item in lane.written(Intent)] == [[(1, 0, 2)]]


def test_a_claim_that_the_broker_did_not_take_is_written_again_and_a_stranger_to_the_group_claims_nothing() -> None:
    lane = Lane()
    lane.is_member = False
    lane.do(lane.driver.on_assigned("mine", lane.now))
    assert lane.time()[-1] == Wake(CLAIM_SECONDS)
    lane.is_member = True
    lane.passes(CLAIM_SECONDS)
    lane.time()
    (write,) = lane.take(Write)
    lane.do(lane.driver.on_written(write, None, "no answer", lane.now))
    lane.time()
    assert not lane.take(Write)
    lane.passes(CLAIM_SECONDS)
    lane.time()
    assert [type(write.record) for write in lane.take(Write)] == [Owner]


def test_another_owner_takes_the_lane_and_one_that_came_late_is_claimed_back() -> None:
    lane = Lane()
    lane.claim(100)
    lane.time()
    lane.read(*lane.written(Intent)[:1], owner("somebody", lane.now.ms))
    assert not lane.driver.active
    lane.time()
    assert not lane.written(Intent)
    lane.passes(CLAIM_SECONDS)
    lane.time()
    assert [item.nonce for item in lane.written(Owner)] == ["mine"]  # Kafka has not taken the lane from us


def test_intents_not_read_back_when_the_lane_is_taken_are_given_back() -> None:
    lane = Lane()
    lane.claim(2 * SLICE)
    lane.time()
    first, second = lane.take(Write)
    assert isinstance(first.record, Intent)
    assert isinstance(second.record, Intent)
    lane.do(lane.driver.on_written(first, 4, "", lane.now))
    lane.do(lane.driver.on_written(second, 5, "", lane.now))
    lane.read(first.record)
    lane.driver.on_released()
    lane.do(lane.driver.give_back(lane.now))
    (report,) = lane.take(Report)
    assert (report.record.flights[0].flight, report.record.flights[0].groups[0].reason) == (
        flight_of(5),
        "handed_over",
    )
    lane.read(second.record)  # the log has it while nobody else has claimed the lane
    (report,) = lane.take(Report)
    assert (report.record.flights[0].flight, report.record.flights[0].groups[0].reason) == (
        flight_of(5),
        "handed_over",
    )


def test_slices_are_written_as_the_pace_allows_within_the_slots_and_the_line() -> None:
    lane = Lane()
    lane.claim(500)
    wake = lane.time()[-1]
    assert [item.slices for item in lane.written(Intent)] == [[(2, 0, 50)], [(2, 50, 100)], [(2, 100, 150)]]
    assert isinstance(wake, Wake)
    lane.passes(wake.seconds)
    lane.time()
    assert [item.slices for item in lane.written(Intent)] == [[(2, 150, 200)]]


def test_a_slow_lane_that_has_fallen_behind_writes_larger_slices() -> None:
    lane = Lane(rate=300)
    lane.claim(500)
    lane.time()
    (first, *_) = lane.written(Intent)
    assert first.picks[0].slices == [(2, 0, 15)], "the whole limit is free"


def test_no_more_slices_than_slots_are_under_way() -> None:
    lane = Lane(in_flight=1, batch=SLICE)
    lane.claim(500)
    lane.time()
    (item,) = lane.written(Intent)
    lane.passes(1.0)
    lane.time()
    assert not lane.written(Intent)
    lane.read(item)
    lane.connect()
    (hand_over,) = lane.take(HandOver)
    lane.passes(1.0)
    lane.time()
    assert not lane.written(Intent)
    lane.do(lane.driver.on_answer(hand_over.intent, [Answer()] * SLICE, lane.now.seconds, 0.0, lane.now))
    lane.time()
    assert len(lane.written(Intent)) == 1


def test_while_all_connections_are_lent_no_second_intent_waits_for_one() -> None:
    lane = Lane()
    lane.has_connection = False
    lane.claim(500)
    lane.time()
    assert len(lane.written(Intent)) == 1
    lane.passes(0.2)
    lane.time()
    assert not lane.written(Intent)


def test_the_answers_of_a_slice_are_its_result_and_free_its_place_in_the_limit_a_second_later() -> None:
    lane = Lane(rate=100.0)
    lane.claim(500)
    for _ in range(100):
        lane.read(intent(lane.driver.state.epoch, [(2, len(lane.log) - 4, len(lane.log) - 3)], at=lane.now.ms))
        lane.connect()
    handed = lane.take(HandOver)
    assert len(handed) == 100
    lane.read(intent(lane.driver.state.epoch, [(2, 100, 101)], at=lane.now.ms))
    assert not lane.take(Connect), "a second's worth is under way"
    assert lane.take(WakeLine)
    for item in handed:
        lane.do(lane.driver.on_answer(item.intent, [Answer()], lane.now.seconds, 0.0, lane.now))
    assert {group.outcome for report in lane.take(Report) for group in report.record.flights[0].groups} == {
        "accepted"
    }
    lane.passes(0.9)
    lane.do(lane.driver.on_line(lane.now))
    assert not lane.take(Connect)
    lane.passes(0.2)
    lane.do(lane.driver.on_line(lane.now))
    assert lane.take(Connect)


def test_the_last_check_holds_back_opted_out_recipients_and_the_others_go() -> None:
    lane = Lane()
    lane.claim(10)
    lane.time()
    lane.read(*lane.written(Intent))
    lane.blocked.add(12125550003)
    lane.connect()
    (hand_over,) = lane.take(HandOver)
    assert hand_over.batch == [12125550000 + n for n in range(10) if n != 3]
    lane.do(lane.driver.on_answer(hand_over.intent, [Answer("rejected", "30006")] * 9, None, 0.0, lane.now))
    (report,) = lane.take(Report)
    groups = {(group.outcome, group.reason): group.indices for group in report.record.flights[0].groups}
    assert groups["skipped", Reason.OPTED_OUT] == [3]
    assert len(groups["rejected", "30006"] or ()) == 9


def test_a_pause_while_a_slice_waits_for_a_connection_gives_it_back() -> None:
    lane = Lane()
    lane.claim(10)
    lane.time()
    lane.read(*lane.written(Intent))
    lane.read(control(state="paused", revision=2, at=lane.now.ms, transactional=True))
    lane.connect()
    assert lane.take(Disconnect) == [Disconnect(4)]
    assert not lane.take(HandOver)
    (report,) = lane.take(Report)
    assert [(group.outcome, group.reason) for group in report.record.flights[0].groups] == [("retry", "held_back")]
    lane.read(report.record)
    lane.time()
    assert not lane.written(Intent)


def test_a_slice_waits_in_its_place_for_opt_outs_until_it_is_stale() -> None:
    lane = Lane()
    lane.claim(10)
    lane.time()
    lane.read(*lane.written(Intent))
    lane.is_current = False
    lane.connect()
    assert lane.take(AwaitConsents)
    lane.do(lane.driver.on_line(lane.now))
    assert lane.take(AwaitConsents)
    assert not lane.take(Report)
    lane.passes(STALE_MS / 1000 + 0.1)
    lane.do(lane.driver.on_line(lane.now))
    assert [report.record.flights[0].groups[0].reason for report in lane.take(Report)] == ["held_back"]


def test_what_is_written_late_is_checked_again() -> None:
    lane = Lane()
    lane.claim(10)
    lane.time()
    lane.read(*lane.written(Intent))
    lane.connect()
    (hand_over,) = lane.take(HandOver)
    lane.blocked.add(12125550003)
    assert lane.driver.may_still_go(hand_over.intent, lane.now)
    lane.passes(CHECK_HOLDS_SECONDS)
    assert not lane.driver.may_still_go(hand_over.intent, lane.now)


def test_while_the_breaker_is_open_no_intent_is_written_but_expired_recipients_leave() -> None:
    lane = Lane()
    lane.claim(10, deadline=lane.now.ms + 1000)
    for _ in range(3):
        lane.breaker.rule.failed(lane.now.seconds, "http:503", 0.0)
    lane.time()
    assert not lane.take(Write)
    lane.passes(1.0)
    lane.time()
    (drop,) = lane.written(Drop)
    assert (drop.state, drop.slices) == ("expired", [(2, 0, 10)])
    lane.passes(HEARTBEAT_MS / 1000)
    lane.time()
    assert [(heartbeat.down, heartbeat.epoch) for heartbeat in lane.written(Heartbeat)] == [(["any"], 1)]


def test_a_slice_that_cannot_be_prepared_has_a_result_and_those_behind_it_go() -> None:
    lane = Lane()
    lane.claim(100)
    lane.time()
    first, second = lane.written(Intent)
    lane.unreadable = {12125550000}
    lane.read(first, second)
    assert [report.record.flights[0].groups[0].outcome for report in lane.take(Report)] == ["rejected"]
    lane.connect()
    assert [hand_over.intent for hand_over in lane.take(HandOver)] == [5]


def test_it_asks_what_became_of_a_lost_owners_messages_and_writes_the_answer() -> None:
    lane = Lane()
    lane.read(
        owner("dead"),
        control(unknown="query", transactional=True),
        work([0, 1, 2]),
        sender_terms(),
        intent(1, [(2, 0, 2)]),
    )
    lane.do(lane.driver.on_assigned("mine", lane.now))
    lane.time()
    lane.read(*lane.written(Owner))
    lane.time()
    assert not lane.take(Lookup), "the lost owner's request may still arrive"
    lane.passes(10.0)
    lane.time()
    (lookup,) = lane.take(Lookup)
    lane.do(lane.driver.on_lookup(lookup, "no answer", lane.now))
    lane.time()
    assert not lane.take(Lookup)
    lane.passes(2.0)
    lane.time()
    (lookup,) = lane.take(Lookup)
    assert len(lookup.ids) == 2
    lane.do(lane.driver.on_lookup(lookup, [Answer(), Answer("retry", "not_seen")], lane.now))
    (report,) = lane.take(Report)
    assert sorted(group.outcome for group in report.record.flights[0].groups) == ["accepted", "retry"]


def test_a_checkpoint_moves_the_mark_only_while_the_lane_is_the_same_owners() -> None:
    for taken in (False, True):
        lane = Lane()
        lane.claim(500)
        while lane.driver.checkpointing.log_bytes < 10_000:
            lane.read(control(revision=len(lane.log) + 2, state="paused", transactional=True))
        lane.passes(10.0)
        lane.time()
        (item,) = lane.take(Checkpoint)
        lane.time()
        assert not lane.take(Checkpoint), "one at a time"
        if taken:
            lane.read(owner("somebody"))
        lane.do(lane.driver.on_checkpoint(item, 1, ""))
        assert lane.take(MoveMark) == ([] if taken else [MoveMark(item.snapshot.as_of)])


def test_a_log_that_begins_with_a_checkpoint_is_folded_once_it_is_whole() -> None:
    lane = Lane()
    lane.claim(10)
    pieces = parts(snapshot(lane.driver.state, 0), 1)
    other, start = Lane(), len(lane.log)
    other.do(other.driver.on_assigned("mine", other.now))
    records: list[LaneRecord] = [control(state="paused", revision=2, transactional=True), *pieces]
    for offset, record in enumerate(records, start):
        taken, _ = other.driver.read(offset, encode(record), other.now)
        assert bool(taken) == (offset == start + len(records) - 1)
        for item in taken:
            other.do(other.driver.on_raw(*item, other.now))
    assert other.driver.state.waiting == 10
    assert other.driver.state.next_offset == start + len(records)


def test_records_that_the_log_has_and_the_consumer_lost_are_read_again_with_growing_pauses() -> None:
    lane = Lane()
    lane.claim(0)
    lane.passes(60.0)
    lane.driver.replay.wrote(7, lane.now.seconds)
    lane.time()
    assert not lane.take(Rewind), "an idle lane has only just written"
    pauses = []
    for _ in range(3):
        before = lane.now.seconds
        while not lane.take(Rewind):
            lane.passes(1.0)
            lane.time()
        pauses.append(lane.now.seconds - before)
    assert pauses[0] <= STUCK_SECONDS + 1 < pauses[1] < pauses[2]


def test_garbage_becomes_a_dead_letter_and_reading_continues() -> None:
    lane = Lane()
    lane.claim(10)
    lane.log.append(control())
    taken, _ = lane.driver.read(4, b"garbage", lane.now)
    effects = [item for raw in taken for item in lane.driver.on_raw(*raw, lane.now)]
    assert [type(effect) for effect in effects] == [Letter]
    assert lane.driver.active
    assert lane.driver.state.next_offset == 5


def test_the_host_emits_what_a_cancel_takes_out_of_the_lane() -> None:
    lane = Lane()
    lane.claim(10)
    effects = lane.read(control(state="canceled", revision=2, transactional=True))
    assert not any(isinstance(effect, InBatches) for effect in effects)
    assert sum(len(group.ordinals) for effect in effects for group in effect.groups) == 10


def test_a_slice_says_how_late_it_is_and_a_lane_how_late_its_oldest_due_recipient_is() -> None:
    lane = Lane()
    lane.claim(10)
    assert lane.driver.backlog(lane.now.ms).late == 0.0
    lane.passes(7.0)
    lane.time()
    assert lane.driver.backlog(lane.now.ms).late == 7.0
    lane.read(*lane.written(Intent))
    lane.passes(0.5)
    lane.connect()
    (hand_over,) = lane.take(HandOver)
    assert hand_over.late == [7.5]
    assert lane.driver.backlog(lane.now.ms).late == 0.0, "nobody waits"


def test_while_a_person_holds_a_campaign_nobody_of_it_is_late_and_the_wait_before_is_forgiven() -> None:
    lane = Lane()
    lane.claim(10)
    lane.read(control(state="paused", revision=2, at=lane.now.ms, transactional=True))
    lane.passes(60.0)
    lane.time()
    assert lane.driver.backlog(lane.now.ms).late == 0.0
    assert lane.driver.state.sendable() == 0
    lane.read(control(state="running", revision=3, at=lane.now.ms, transactional=True))
    lane.passes(2.0)
    assert lane.driver.backlog(lane.now.ms).late == 2.0
    assert lane.driver.state.sendable() == 10
    lane.time()
    lane.read(*lane.written(Intent))
    lane.connect()
    (hand_over,) = lane.take(HandOver)
    assert hand_over.late == [2.0]
