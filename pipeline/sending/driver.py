"""The driver of one lane: all decisions of its owner, without IO. Its host has the clock, the log and the aggregator.

The host calls
    on_assigned, on_released    when the lane is assigned to this worker, or revoked;
    read, on_record             when the log has another record;
    on_time                     when time has passed, or something has changed;
    on_line, on_connected       when the heads of lines may go; when a slice's connection is there;
    may_still_go, on_answer     when a slice is about to be written; when the aggregator has answered;
    on_written, on_lookup, on_checkpoint    when an effect with an answer is carried out,
and carries out the effects that they return (`pipeline.sending.effects`), in order and before the next call. The
worker's host is `agents.lane.owner`, the simulator's `simulation.lane`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic

from pipeline.lane.effects import Ask, Malformed, Owned, Submit
from pipeline.lane.effects import Effect as Following
from pipeline.lane.fold import apply
from pipeline.lane.lateness import HEARTBEAT_MS, planned
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.domains.reporting import Reporting
from pipeline.sending.domains.shortage import PAUSE, Shortage
from pipeline.sending.effects import (
    Answered,
    AwaitConsents,
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
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.sending.outage.announcing import Outage
from pipeline.sending.ownership.checkpointing import Checkpointing
from pipeline.sending.ownership.claiming import Claim
from pipeline.sending.ownership.replay import Raw, Replay
from pipeline.sending.picking.channel import Channel
from pipeline.sending.picking.channels import Channels
from pipeline.sending.picking.due import RELEASED_AT_ONCE, release_due
from pipeline.sending.picking.proposing import Rules
from pipeline.sending.senders.backlog import Backlog, backlog
from pipeline.sending.senders.flow import EXACT, Flows
from pipeline.sending.senders.punctuality import handed_over
from pipeline.sending.submitting.last_check import Checked, CheckedFlight, LastCheck
from pipeline.sending.submitting.line import QueuedFlight, QueuedSlice, slice_of
from pipeline.sending.submitting.submission import result_groups, starts_full
from pipeline.sending.unknown.asking import Asking
from pipeline.timing.quiet_hours import QuietHours
from schemas.campaign import CampaignDocument
from schemas.lane import (
    LANES,
    AccountTerms,
    CheckpointPart,
    Control,
    DomainTerms,
    FlightResult,
    Heartbeat,
    LaneRecord,
    Owner,
    Result,
    ResultGroup,
    SenderTerms,
)
from schemas.reasons import Reason, written
from schemas.wire import DecodeError


@dataclass(frozen=True, slots=True)
class Surroundings(Generic[T]):
    """What a driver may ask its host while it decides; each call returns at once.

    `prepare` makes what the host submits for a flight, and its columns.
    """

    aggregator: Callable[[str], LaneAggregator | None]
    """The aggregator of a name in the settings, always the same; None if there is none."""
    blocked: Callable[[str, list[int]], list[str]]
    """Why an account may not write to numbers, "" where it may."""
    quiet: Callable[[str], QuietHours]
    """An account's quiet hours."""
    knows_consents: Callable[[], bool]
    """Whether this worker knows every opt-out that was acknowledged until a moment ago."""
    is_member: Callable[[], bool]
    """Whether this worker is a member of the consumer group; if not, others have its lanes, and it must not claim
    them."""
    document: Callable[[str], CampaignDocument | None]
    """A campaign's newest document."""
    prepare: Callable[[LaneState, Flight], Prepared[T]]


@dataclass(frozen=True, slots=True)
class Terms:
    """`suspend_after`: seconds of an outage after which campaigns are suspended; `checkpoint_bytes`: log size (bytes)
    above which one may be worthwhile."""

    suspend_after: float
    checkpoint_bytes: int


class LaneDriver(Generic[T]):
    """One lane on one worker, from assignment to revocation."""

    def __init__(self, lane: int, worker: str, terms: Terms, around: Surroundings[T], flows: Flows = EXACT) -> None:
        self.state = LaneState()
        self.claim = Claim()
        self.replay = Replay()
        self.channels = Channels(Rules(around.blocked, around.quiet, flows), around.aggregator)
        self.outages: dict[str, Outage] = {}
        """By the name of the aggregator."""
        self.shortage = Shortage(lane, around.document)
        self.checkpointing = Checkpointing(terms.checkpoint_bytes)
        self._lane = lane
        self._suspend_after = terms.suspend_after
        self._worker = worker
        self._around = around
        self._check = LastCheck(around.blocked, around.knows_consents, around.quiet)
        self._asking = Asking(self._aggregator_of)
        self._reporting = Reporting(lane)
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
        return self.channels.under_way

    @property
    def rate(self) -> float:
        """Segments per second that the lane's senders may submit together."""
        return self.channels.roster.rate

    @property
    def suspended(self) -> int:
        """Campaigns that this lane suspends because of an aggregator, as of the last look."""
        return sum(outage.suspended for outage in self.outages.values())

    def backlog(self, now: int) -> Backlog:
        """What waits at `now` (ms). Nothing is late by this worker while the lane is not its own."""
        waiting = backlog(self.state, self.channels.roster, now)
        return waiting if self.active else replace(waiting, late=0.0)

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
        return [self._handed_over(flights, now) for flights in self.channels.proposals.never_read()]

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
        self.channels.roster.load(state)
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
        self.channels.proposals.read(offset, record, now.seconds)
        self._before = self.state.epoch
        try:
            following = apply(self.state, offset, record, raw)
        except Exception as error:  # noqa: BLE001
            # A defect. Every reader of the log fails at the same record in the same way, so skipping it keeps all
            # readers alike; stopping would stop all campaigns in this lane because of one record.
            text = f"cannot fold record {offset}"
            return [Log("error", text, error), Letter(offset, raw, f"{type(error).__name__}: {error}")]
        if isinstance(record, AccountTerms | SenderTerms):
            self.channels.roster.take(self.state, record)
        elif isinstance(record, DomainTerms):
            self.channels.wake_account(self.state, record.account, now.seconds)
        elif isinstance(record, Control):
            self.channels.wake_campaign(self.state, record.campaign, now.seconds)
        effects: list[Effect[T]] = []
        for effect in following:
            self._follow(effect, raw, now, effects)
        return effects

    def on_time(self, now: Instant) -> list[Effect[T]]:
        """Do what is due, and propose what the limits allow."""
        effects: list[Effect[T]] = []
        pauses: list[float | None] = [self._write_owner(now, effects)]
        if self.active:
            effects += release_due(
                self.state,
                now.ms,
                lambda sender: self.channels.wake(self.state, sender, now.seconds),
                RELEASED_AT_ONCE,
            )
            self.channels.wake_free(self.state, now.seconds)
            for channel in self.channels.all():
                proposed, pause = channel.proposer.propose(
                    self.state, channel.line, channel.under_way, channel.messages, now
                )
                effects += proposed
                pauses.append(pause)
            due = self.state.table.next_due()
            pauses.append(None if due is None else max(0.0, (due - now.ms) / 1000))
            for outage in self._outages():
                effects += outage.look(self.state, now)
            pauses.append(self._look_at_domains(now, effects))
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
        """Advance the heads of all lines as far as possible, then the slices behind them. Asks to be called again
        once, for the line that may go on first."""
        effects: list[Effect[T]] = []
        waits = [
            wait for channel in self.channels.all() if (wait := self._advance(channel, now, effects)) is not None
        ]
        effects += [wait for wait in waits if isinstance(wait, AwaitConsents)][:1]
        pauses = [wait.seconds for wait in waits if isinstance(wait, WakeLine)]
        if pauses:
            effects.append(WakeLine(min(pauses)))
        return effects

    def on_connected(self, intent: int, now: Instant) -> list[Effect[T]]:
        """The connection for the slice of an INTENT, the head of its line, is there."""
        self.channels.at(intent).line.connected = True
        return self.on_line(now)

    def may_still_go(self, intent: int, now: Instant) -> bool:
        """Whether a slice may be written at `now`, the moment of the call."""
        checked = self.channels.at(intent).checked[intent]
        return self._check.may_still_go(self.state, self.active, checked, now)

    def on_answer(
        self, intent: int, answers: Sequence[Answered], written: float | None, took: float, now: Instant
    ) -> list[Effect[T]]:
        """Process the aggregator's answers to a slice, one for each message that was handed over; `written` (s): when
        it was certainly written, None if that is not known; `took` (s): how long before its answer it had certainly
        arrived.

        The slice is charged to the second in which it arrived. A slice that was not written because of a failure is
        charged too: the retry's back-off is longer than the window.
        """
        checked = self.channels.at(intent).checked.pop(intent)
        self.channels.left(intent)
        for window, charge in checked.charges:
            window.settle(charge, now.seconds if written is None else written, now.seconds - took)
        return [self._report(checked.flights, answers, now), Wake(0.0)]

    def on_written(self, write: Write, offset: int | None, error: str, now: Instant) -> list[Effect[T]]:
        """Process the end of a write: the broker put the record at `offset`, or None because of `error`."""
        if offset is not None:
            self.replay.wrote(offset, now.seconds)
        match write.record:
            case Heartbeat():
                return []
            case Owner(nonce=nonce):
                if offset is not None or nonce != self.claim.nonce:
                    return []
                self.claim.retry_later(now.seconds)
                return [Log("warning", f"claiming it waits: {error}"), Wake(0.0)]
            case proposal:
                return [*self.channels.proposals.written(proposal, offset, error, self.state)]

    def on_lookup(self, lookup: Lookup, answers: Sequence[Answered] | str, now: Instant) -> list[Effect[T]]:
        """Process what the aggregator answered about messages, or why it did not."""
        return [*self._asking.on_lookup(self.state, lookup, answers, now)] if self.active else []

    def on_checkpoint(self, checkpoint: Checkpoint, parts: int, error: str) -> list[Effect[T]]:
        """Process the end of a checkpoint: it was written in that many parts, or not (0) because of `error`."""
        is_ours = self.active and self.state.epoch == checkpoint.epoch
        return [*self.checkpointing.on_written(checkpoint, parts, error, is_ours)]

    def _look_at_domains(self, now: Instant, effects: list[Effect[T]]) -> float | None:
        """Announce and report what is due of the domains. Returns the seconds until the next look; None without
        domains."""
        if not self.state.domains:
            return None
        announcements, free = self.shortage.look(self.state, now)
        for campaign in free:
            self.channels.wake_campaign(self.state, campaign, now.seconds)
        effects += announcements
        effects += self._reporting.on_time(self.state, self.shortage.starved, now)
        return PAUSE

    def _begin(self, offset: int) -> None:
        self.replay.begin(offset)
        self.claim.begin()
        self.channels.proposals.begin()
        self.checkpointing.begin()
        self.state = LaneState()
        self.state.next_offset = offset

    def _follow(self, effect: Following, raw: bytes, now: Instant, effects: list[Effect[T]]) -> None:
        match effect:
            case Submit(intent, flights):
                self._submit(intent, flights, now, effects)
            case Ask(flight):
                if self.active:
                    self._asking.start(self.state, flight, now.seconds)
            case Owned(nonce, _):
                self._owned(nonce, now, effects)
            case Malformed(offset, problem):
                effects.append(Letter(offset, raw, problem))
            case _:
                effects.append(effect)

    def _submit(self, intent: int, flights: list[Flight], now: Instant, effects: list[Effect[T]]) -> None:
        if flights[0].epoch != self.claim.epoch:
            return
        channel = self.channels.of(flights[0].sender)
        if not self.active or channel is None:
            effects.append(self._handed_over([flight.id for flight in flights], now))
            return
        elsewhere = [flight.id for flight in flights if self._aggregator_of(flight) != channel.proposer.aggregator]
        if elsewhere:
            # The senders of an INTENT got different aggregators while it was written.
            effects.append(self._handed_over(elsewhere, now))
        here = [flight for flight in flights if flight.id not in elsewhere]
        ready = [waiting for flight in here if (waiting := self._queued(flight, now, effects)) is not None]
        if not ready:
            return
        self.channels.entered(intent, channel)
        channel.line.join(slice_of(intent, ready))
        if channel.line.count == 1:
            effects += self.on_line(now)

    def _queued(self, flight: Flight, now: Instant, effects: list[Effect[T]]) -> QueuedFlight | None:
        """A flight as it stands in line; None where it cannot be rendered."""
        try:
            prepared = self._around.prepare(self.state, flight)
        except Exception as error:  # noqa: BLE001
            # Eligibility rendered the same template with the same columns, so this is a defect, and no retry helps.
            # The flight needs a RESULT in any case: other slices wait for its slot.
            groups = [ResultGroup(outcome="rejected", reason=written(Reason.CANNOT_RENDER, repr(error)))]
            effects.append(Log("error", f"cannot render {flight.key}", error))
            effects.append(Report(Result(flights=[FlightResult(flight=flight.id, groups=groups)], at=now.ms)))
            return None
        sender = self.channels.roster.known(flight.sender)
        assert sender is not None, "it was picked from"
        return QueuedFlight(flight, prepared, sender.shares(prepared.segments), self._due(flight))

    def _owned(self, nonce: str, now: Instant, effects: list[Effect[T]]) -> None:
        self._asking.clear()
        is_lost = self.claim.owned(nonce)
        if is_lost and self.claim.nonce:
            # The lane is still assigned to us: a record of its former owner came late.
            effects.append(Log("warning", "a late OWNER of a former owner took it; claiming it again"))
            self.claim.retry_later(now.seconds)
        self.channels.proposals.clear()
        if not self.active:
            return
        self.channels.wake_all()
        self._reporting.begin()
        # After a rebalance that only revoked and reassigned the lane, our own window has its last second exactly.
        was_ours_before = bool(self.claim.epoch) and self._before == self.claim.epoch
        if not was_ours_before:
            self.channels.roster.begin(self.state.last_intent_at)
        self.claim.epoch = self.state.epoch
        self._heartbeat_at = now.seconds
        effects.append(Claimed(self.state.epoch, now.seconds - self.claim.assigned_at))
        if not was_ours_before and starts_full(self.state.last_intent_at, self.state.owned_at):
            self.channels.roster.start_full(now.seconds)

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
        """Write a HEARTBEAT if it is time: this owner is alive, and which aggregators do not work
        (`pipeline.lane.lateness`). It is written once, because a late one would be wrong. Returns the seconds until
        the next."""
        if now.seconds - self._heartbeat_at >= HEARTBEAT_MS / 1000:
            self._heartbeat_at = now.seconds
            known = self.channels.aggregators.items()
            down = sorted(name for name, aggregator in known if aggregator.breaker.rule.state != "closed")
            effects.append(Write(Heartbeat(epoch=self.state.epoch, down=down, at=now.ms)))
        return self._heartbeat_at + HEARTBEAT_MS / 1000 - now.seconds

    def _outages(self) -> list[Outage]:
        for name, aggregator in self.channels.aggregators.items():
            if name not in self.outages:
                self.outages[name] = Outage(
                    self._lane, aggregator.breaker, self._suspend_after, self._around.document
                )
        return list(self.outages.values())

    def _aggregator_of(self, flight: Flight) -> LaneAggregator | None:
        return self._around.aggregator(flight.aggregator)

    def _advance(self, channel: Channel, now: Instant, effects: list[Effect[T]]) -> WakeLine | AwaitConsents | None:
        """Advance the head of a line as far as possible, then the slices behind it. Returns what it waits for if a
        call of `on_line` is to go on."""
        line, aggregator = channel.line, channel.proposer.aggregator
        while (head := line.head) is not None:
            if pause := line.pause(now.seconds):
                return WakeLine(pause)
            # This comes before the last check: a slice that waits for a connection can still be held back.
            if not line.connected:
                if not line.connecting:
                    line.connecting = True
                    effects.append(Connect(head.intent, aggregator.name))
                return None
            wait = self._check.pause(aggregator.breaker.rule, self.active, head, now)
            if wait is not None:
                return wait
            self._hand_over(channel, head, now, effects)
        return None

    def _hand_over(self, channel: Channel, head: QueuedSlice, now: Instant, effects: list[Effect[T]]) -> None:
        """Take the head out of its line: hand over those who may go, and report the others."""
        channel.line.leave(now.seconds, channel.proposer.way.intents)
        effects.append(Wake(0.0))
        breaker = channel.proposer.aggregator.breaker.rule
        try:
            flights = self._check.check(self.state, breaker, self.active, head, now)
        except Exception as error:  # noqa: BLE001
            # A defect. The slices behind go on; this one stays in flight, and the next owner counts it as unknown.
            keys = {flight.flight.key for flight in head.flights}
            effects += [Log("error", f"cannot check {sorted(keys)}", error), Disconnect(head.intent)]
            self.channels.left(head.intent)
            return
        going = [(queued, checked) for queued, checked in zip(head.flights, flights, strict=True) if checked.goes]
        if not going:
            self.channels.left(head.intent)
            effects += [self._report(flights, [], now), Disconnect(head.intent)]
            return
        shares = (
            head.shares
            if len(going) == len(flights)
            else slice_of(head.intent, [queued for queued, _ in going]).shares
        )
        charges = [(flow.window, flow.window.spend(now.seconds, segments)) for flow, segments in shares]
        channel.checked[head.intent] = Checked(flights, head.messages, now.boot, charges)
        late = [
            handed_over(queued.due, now.ms, [(flow.punctuality, segments) for flow, segments in queued.shares])
            for queued, _ in going
        ]
        items = [item for queued, checked in going for item in checked.going(queued.prepared.items)]
        parts = [(queued.flight.sender, queued.prepared.segments) for queued, _ in going]
        effects.append(HandOver(head.intent, items, parts, late))

    def _due(self, flight: Flight) -> int:
        """When the first recipient of a flight was to go (ms)."""
        chunk, start, _ = flight.slices[0]
        due = planned(self.state.chunks[chunk], self.state.work(chunk), start)
        return max(due, self.state.resumed.get(flight.key[0], 0))

    def _report(self, flights: Sequence[CheckedFlight], answers: Sequence[Answered], now: Instant) -> Report:
        """The RESULT of a slice's flights; the answers are about those of their recipients who went, in order."""
        results: list[FlightResult] = []
        begin = 0
        for checked in flights:
            end = begin + checked.held.count(None)
            groups = result_groups(checked.held, answers[begin:end], checked.flight, now.ms)
            results.append(FlightResult(flight=checked.flight.id, groups=groups, segments=checked.counted))
            begin = end
        return Report(Result(flights=results, at=now.ms))

    def _handed_over(self, flights: list[int], now: Instant) -> Report:
        groups = [ResultGroup(outcome="retry", reason=Reason.HANDED_OVER, due=now.ms)]
        return Report(Result(flights=[FlightResult(flight=flight, groups=groups) for flight in flights], at=now.ms))
