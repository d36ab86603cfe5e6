"""The driver of one lane: all decisions of its owner, without IO. Its host has the clock, the log and the aggregator.

The host calls
    on_assigned, on_released    when the lane is assigned to this worker, or revoked;
    read, on_record             when the log has another record;
    on_time                     when time has passed, or something has changed;
    on_line, on_connected       when the head of the line may go; when its connection is there;
    may_still_go, on_answer     when a slice is about to be written; when the aggregator has answered;
    on_written, on_lookup, on_checkpoint    when an effect with an answer is carried out,
and carries out the effects that they return (`pipeline.sending.effects`), in order and before the next call. The
worker's host is `agents.lane.owner`, the simulator's `simulation.lane`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from pipeline.eligibility.optouts import Blocked
from pipeline.lane.effects import Ask, Malformed, Owned, Submit
from pipeline.lane.effects import Effect as Following
from pipeline.lane.fold import apply
from pipeline.lane.lateness import HEARTBEAT_MS, planned
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.effects import (
    Answered,
    Checkpoint,
    Claimed,
    Connect,
    Disconnect,
    Effect,
    HandOver,
    Instant,
    Letter,
    Log,
    Lookup,
    Prepared,
    Report,
    Rewind,
    T,
    Wake,
    WakeLine,
    Write,
)
from pipeline.sending.outage.announcing import Outage, SharedBreaker
from pipeline.sending.ownership.checkpointing import Checkpointing
from pipeline.sending.ownership.claiming import Claim
from pipeline.sending.ownership.replay import Raw, Replay
from pipeline.sending.picking.due import RELEASED_AT_ONCE, release_due
from pipeline.sending.picking.proposing import Flow, Limits, Proposer
from pipeline.sending.submitting.last_check import Checked, LastCheck
from pipeline.sending.submitting.line import Line
from pipeline.sending.submitting.punctuality import Punctuality
from pipeline.sending.submitting.submission import result_groups, starts_full
from pipeline.sending.unknown.asking import Asking
from schemas.campaign import CampaignDocument
from schemas.lane import LANES, CheckpointPart, Heartbeat, LaneRecord, Owner, Result, ResultGroup
from schemas.reasons import Reason, written
from schemas.wire import DecodeError


@dataclass(frozen=True, slots=True)
class Surroundings(Generic[T]):
    """What a driver may ask its host while it decides; each call returns at once.

    `prepare` makes what the host submits for a flight, and its columns.
    """

    breaker: SharedBreaker
    blocked: Blocked
    knows_consents: Callable[[], bool]
    """Whether this worker knows every opt-out that was acknowledged until a moment ago."""
    has_connection: Callable[[], bool]
    """Whether a connection to the aggregator is free."""
    is_member: Callable[[], bool]
    """Whether this worker is a member of the consumer group; if not, others have its lanes, and it must not claim
    them."""
    document: Callable[[str], CampaignDocument | None]
    """A campaign's newest document."""
    prepare: Callable[[LaneState, Flight], Prepared[T]]


@dataclass(frozen=True, slots=True)
class Terms:
    """`settled_after`: seconds after which nothing of a submission can arrive anymore; `suspend_after`: seconds of
    an outage after which campaigns are suspended; `checkpoint_bytes`: log size (bytes) above which one may be
    worthwhile."""

    settled_after: float
    suspend_after: float
    checkpoint_bytes: int


class LaneDriver(Generic[T]):
    """One lane on one worker, from assignment to revocation."""

    def __init__(
        self, lane: int, worker: str, limits: Limits, flow: Flow, terms: Terms, around: Surroundings[T]
    ) -> None:
        self.state = LaneState()
        self.claim = Claim()
        self.replay = Replay()
        self.line = Line(flow.window)
        self.proposer = Proposer(limits, flow, around.breaker.rule, around.blocked, around.has_connection)
        self.outage = Outage(lane, around.breaker, terms.suspend_after, around.document)
        self.checkpointing = Checkpointing(terms.checkpoint_bytes)
        self._punctuality = Punctuality(limits.rate)
        self._worker = worker
        self._window = flow.window
        self._around = around
        self._check = LastCheck(around.breaker.rule, around.blocked, around.knows_consents, limits.quiet)
        self._asking = Asking(terms.settled_after)
        self._checked: dict[int, Checked] = {}
        """Slices that were handed over, by the offset of their INTENT."""
        self._before = 0
        """The lane's epoch before the current record."""
        self._heartbeat_at = 0.0
        """When this owner last wrote a HEARTBEAT (s)."""

    @property
    def active(self) -> bool:
        """Whether this worker owns the lane: it has read its own OWNER back and no later one."""
        return self.claim.active

    @property
    def under_way(self) -> int:
        """Slices whose INTENT was read back and that have no outcome yet."""
        return self.line.count + len(self._checked)

    def late(self, now: int) -> float:
        """How late (s) the oldest due recipient of a running campaign is at `now` (ms), 0 without one."""
        due = self.state.oldest_sendable()
        return 0.0 if due is None or not self.active else self._punctuality.behind(due, now)

    def on_assigned(self, nonce: str, now: Instant) -> list[Effect[T]]:
        """Rule L1: claim the lane; it becomes active when the OWNER with this `nonce` is read back."""
        self.claim.assigned(nonce, now.seconds)
        self.replay.assigned(now.seconds)
        return [Wake(0.0)]

    def on_released(self) -> None:
        """The lane was revoked: nothing is picked anymore."""
        self.claim.released()

    def give_back(self, now: Instant) -> list[Effect[T]]:
        """RESULTs for the INTENTs that we wrote and have not read back. We will not submit them, and only we know
        that; without these RESULTs the next owner would count them as unknown. Call this once it is known for each
        proposal whether the log has it."""
        return [self._handed_over(offset, now) for offset in self.proposer.never_read()]

    def read(self, offset: int, raw: bytes | None, now: Instant) -> tuple[list[Raw], list[Effect[T]]]:
        """The log has `raw` at `offset`. Returns the records to give to `on_raw` now, in order: none, this one, or
        after a checkpoint all that waited for it."""
        if self.replay.is_known(offset, now.seconds):
            return [], []
        if self.replay.begins(offset):
            self._begin(offset)
        self.replay.advance(offset, now.seconds)
        if not self.replay.is_loading:
            return [(offset, raw)], []
        try:
            state = self.replay.load(offset, raw or b"")
        except DecodeError as error:
            return [], [Letter(offset, raw, str(error)), Log("error", str(error))]
        if state is None:
            return [], []
        self.state = state
        waiting = self.replay.buffered()
        text = f"loaded its checkpoint as of {self.replay.start}, {len(waiting)} records after it"
        return [*waiting, (offset, raw)], [Log("info", text)]

    def on_raw(self, offset: int, raw: bytes | None, now: Instant) -> list[Effect[T]]:
        """Process the next record of the log, as bytes."""
        try:
            record = LANES.decode(raw)
        except DecodeError as error:
            self.state.next_offset = offset + 1
            return [Letter(offset, raw, str(error))]
        # A checkpoint's own parts do not count: they would cause the next checkpoint.
        self.checkpointing.log_bytes += 0 if isinstance(record, CheckpointPart) else len(raw or b"")
        return self.on_record(offset, record, raw or b"", now)

    def on_record(self, offset: int, record: LaneRecord, raw: bytes, now: Instant) -> list[Effect[T]]:
        """Process the next record of the log; returns what follows from it."""
        self.proposer.read(offset, record, now.seconds)
        self._before = self.state.epoch
        try:
            following = apply(self.state, offset, record, raw)
        except Exception as error:  # noqa: BLE001
            # A defect. Every reader of the log fails at the same record in the same way, so skipping it keeps all
            # readers alike; stopping would stop all campaigns in this lane because of one record.
            text = f"cannot fold record {offset}"
            return [Log("error", text, error), Letter(offset, raw, f"{type(error).__name__}: {error}")]
        effects: list[Effect[T]] = []
        for effect in following:
            self._follow(effect, raw, now, effects)
        return effects

    def on_time(self, now: Instant) -> list[Effect[T]]:
        """Do what is due, and propose what the limits allow."""
        effects: list[Effect[T]] = []
        pauses: list[float | None] = [self._write_owner(now, effects)]
        if self.active:
            effects += release_due(self.state, now.ms, RELEASED_AT_ONCE)
            proposed, pause = self.proposer.propose(self.state, self.line, self.under_way, now)
            effects += proposed
            due = self.state.table.next_due()
            pauses += [pause, None if due is None else max(0.0, (due - now.ms) / 1000)]
            effects += self.outage.look(self.state, now)
            pauses.append(self._heartbeat(now, effects))
            effects += self.checkpointing.on_time(self.state, now)
            effects += self._asking.on_time(self.state, now)
            pauses.append(self._asking.pause(now.seconds))
        if self.claim.nonce and self.replay.missing(now.seconds):
            effects.append(Log("warning", f"{self.replay.place}: reading it again from there"))
            effects.append(Rewind(None if self.replay.start is None else self.replay.next))
        known_pauses = [pause for pause in pauses if pause is not None]
        if known_pauses:
            effects.append(Wake(min(known_pauses)))
        return effects

    def on_line(self, now: Instant) -> list[Effect[T]]:
        """Advance the head of the line as far as possible, then the slices behind it."""
        effects: list[Effect[T]] = []
        while (head := self.line.head) is not None:
            if pause := self.line.pause(now.seconds):
                return [*effects, WakeLine(pause)]
            # This comes before the last check: a slice that waits for a connection can still be held back.
            if not self.line.connected:
                if not self.line.connecting:
                    self.line.connecting = True
                    effects.append(Connect(head.flight.offset))
                return effects
            wait = self._check.pause(self.active, head.flight, now)
            if wait is not None:
                return [*effects, wait]
            self._hand_over(now, effects)
        return effects

    def on_connected(self, now: Instant) -> list[Effect[T]]:
        """The connection for the head of the line is there."""
        self.line.connected = True
        return self.on_line(now)

    def may_still_go(self, intent: int, now: Instant) -> bool:
        """Whether a slice may be written at `now`, the moment of the call."""
        return self._check.may_still_go(self.state, self.active, self._checked[intent], now)

    def on_answer(
        self, intent: int, answers: Sequence[Answered], written: float | None, now: Instant
    ) -> list[Effect[T]]:
        """Process the aggregator's answers to a slice, one for each message that was handed over; `written` (s): when
        it was certainly written, None if that is not known.

        The slice is charged to the second in which it arrived. A slice that was not written because of a failure is
        charged too: the retry's back-off is longer than the window.
        """
        checked = self._checked.pop(intent)
        assert checked.charge is not None
        self._window.settle(checked.charge, now.seconds if written is None else written, now.seconds)
        return [self._report(checked, answers, now), Wake(0.0)]

    def on_written(self, write: Write, offset: int | None, error: str, now: Instant) -> list[Effect[T]]:
        """Process the end of a write: the broker put the record at `offset`, or None because of `error`."""
        if offset is not None:
            self.replay.wrote(offset)
        match write.record:
            case Heartbeat():
                return []
            case Owner(nonce=nonce):
                if offset is not None or nonce != self.claim.nonce:
                    return []
                self.claim.retry_later(now.seconds)
                return [Log("warning", f"claiming it waits: {error}"), Wake(0.0)]
            case proposal:
                return [*self.proposer.written(proposal, offset, error, self.state)]

    def on_lookup(self, lookup: Lookup, answers: Sequence[Answered] | str, now: Instant) -> list[Effect[T]]:
        """Process what the aggregator answered about messages, or why it did not."""
        return [*self._asking.on_lookup(self.state, lookup, answers, now)] if self.active else []

    def on_checkpoint(self, checkpoint: Checkpoint, parts: int, error: str) -> list[Effect[T]]:
        """Process the end of a checkpoint: it was written in that many parts, or not (0) because of `error`."""
        is_ours = self.active and self.state.epoch == checkpoint.epoch
        return [*self.checkpointing.on_written(checkpoint, parts, error, is_ours)]

    def _begin(self, offset: int) -> None:
        self.replay.begin(offset)
        self.claim.begin()
        self.proposer.begin()
        self.checkpointing.begin()
        self.state = LaneState()
        self.state.next_offset = offset

    def _follow(self, effect: Following, raw: bytes, now: Instant, effects: list[Effect[T]]) -> None:
        match effect:
            case Submit(flight):
                self._submit(flight, now, effects)
            case Ask(flight):
                if self.active:
                    self._asking.start(self.state, flight, now.seconds)
            case Owned(nonce, _):
                self._owned(nonce, now, effects)
            case Malformed(offset, problem):
                effects.append(Letter(offset, raw, problem))
            case _:
                effects.append(effect)

    def _submit(self, flight: Flight, now: Instant, effects: list[Effect[T]]) -> None:
        if flight.epoch != self.claim.epoch:
            return
        if not self.active:
            effects.append(self._handed_over(flight.offset, now))
            return
        try:
            prepared = self._around.prepare(self.state, flight)
        except Exception as error:  # noqa: BLE001
            # Eligibility rendered the same template with the same columns, so this is a defect, and no retry helps.
            # The flight needs a RESULT in any case: other slices wait for its slot.
            groups = [ResultGroup(outcome="rejected", reason=written(Reason.CANNOT_RENDER, repr(error)))]
            effects.append(Log("error", f"cannot render {flight.key}", error))
            effects.append(Report(Result(intent=flight.offset, groups=groups, at=now.ms)))
            return
        self.line.join(flight, prepared, self._due(flight))
        if self.line.count == 1:
            effects += self.on_line(now)

    def _owned(self, nonce: str, now: Instant, effects: list[Effect[T]]) -> None:
        self._asking.clear()
        is_lost = self.claim.owned(nonce)
        if is_lost and self.claim.nonce:
            # The lane is still assigned to us: a record of its former owner came late.
            effects.append(Log("warning", "a late OWNER of a former owner took it; claiming it again"))
            self.claim.retry_later(now.seconds)
        self.proposer.owned()
        if not self.active:
            return
        # After a rebalance that only revoked and reassigned the lane, our own window has its last second exactly.
        was_ours_before = bool(self.claim.epoch) and self._before == self.claim.epoch
        if not was_ours_before:
            self._punctuality.begin(self.state.last_intent_at)
        self.claim.epoch = self.state.epoch
        self._heartbeat_at = now.seconds
        effects.append(Claimed(self.state.epoch, now.seconds - self.claim.assigned_at))
        if not was_ours_before and starts_full(self.state.last_intent_at, self.state.owned_at):
            self._window.start_full(now.seconds)

    def _write_owner(self, now: Instant, effects: list[Effect[T]]) -> float | None:
        """Claim the lane if it is time. Returns the seconds until then; None if no claim is due."""
        if self.claim.due is None or now.seconds < self.claim.due:
            return None if self.claim.due is None else self.claim.due - now.seconds
        if not self._around.is_member():
            return self.claim.retry_later(now.seconds)
        self.claim.due = None
        effects.append(Write(Owner(worker=self._worker, nonce=self.claim.nonce, at=now.ms)))
        return None

    def _heartbeat(self, now: Instant, effects: list[Effect[T]]) -> float:
        """Write a HEARTBEAT if it is time: this owner is alive, and whether its aggregator works
        (`pipeline.lane.lateness`). It is written once, because a late one would be wrong. Returns the seconds until
        the next."""
        if now.seconds - self._heartbeat_at >= HEARTBEAT_MS / 1000:
            self._heartbeat_at = now.seconds
            able = self._around.breaker.rule.state == "closed"
            effects.append(Write(Heartbeat(epoch=self.state.epoch, able=able, at=now.ms)))
        return self._heartbeat_at + HEARTBEAT_MS / 1000 - now.seconds

    def _hand_over(self, now: Instant, effects: list[Effect[T]]) -> None:
        """Take the head out of the line: hand over those who may go, and report the others."""
        head = self.line.head
        assert head is not None
        self.line.leave(now.seconds, self.proposer.out)
        effects.append(Wake(0.0))
        flight, prepared = head.flight, head.prepared
        try:
            held = self._check.check(self.state, self.active, head, now)
        except Exception as error:  # noqa: BLE001
            # A defect. The slices behind go on; this one stays in flight, and the next owner counts it as unknown.
            effects += [Log("error", f"cannot check {flight.key}", error), Disconnect(flight.offset)]
            return
        goes = None in held
        charge = self._window.spend(now.seconds, prepared.segments) if goes else None
        checked = Checked(flight, prepared.numbers, held, now.boot, charge)
        if goes:
            self._checked[flight.offset] = checked
            late = self._punctuality.handed_over(head.due, prepared.segments, now.ms)
            effects.append(HandOver(flight.offset, checked.going(prepared.items), prepared.segments, late))
        else:
            effects += [self._report(checked, [], now), Disconnect(flight.offset)]

    def _due(self, flight: Flight) -> int:
        """When the first recipient of a flight was to go (ms)."""
        chunk, start, _ = flight.slices[0]
        due = planned(self.state.chunks[chunk], self.state.work(chunk), start)
        return max(due, self.state.resumed.get(flight.key[0], 0))

    def _report(self, checked: Checked, answers: Sequence[Answered], now: Instant) -> Report:
        groups = result_groups(checked.held, answers, checked.flight, now.ms)
        return Report(Result(intent=checked.flight.offset, groups=groups, at=now.ms))

    def _handed_over(self, intent: int, now: Instant) -> Report:
        groups = [ResultGroup(outcome="retry", reason=Reason.HANDED_OVER, due=now.ms)]
        return Report(Result(intent=intent, groups=groups, at=now.ms))
