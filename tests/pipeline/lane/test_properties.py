"""A lane under any interleaving of crashes, zombies, duplicates, controls and checkpoints (docs/internals/lane.md),
with a campaign of each policy; and that these tests break when a rule is taken away.

`LONGWAVE_HYPOTHESIS=deep` tries a hundred times as many. How many were tried stands in pytest's summary.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import pipeline.lane.fold
import pipeline.lane.results
import pipeline.sending.picking.picker
from adapters.ports import SubmitOutcome
from pipeline.identity.tokens import message_id
from pipeline.lane.fold import apply
from pipeline.lane.outcomes import open_indices
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.unknown.ask import open_ids, result_of_answer, result_without_answer
from pipeline.timing.location_key import read_key
from schemas.lane import (
    MOST_PICKS,
    Control,
    Defer,
    Drop,
    Finish,
    Heartbeat,
    Intent,
    Pick,
    Result,
    ResultGroup,
    SenderId,
    Slice,
    Work,
)
from schemas.reasons import Reason
from schemas.status import StatusChunk
from tests.pipeline.lane.model import Accounting, check_counts, check_lateness, check_model, plain
from tests.pipeline.lane.records import (
    A,
    B,
    C,
    D,
    E,
    F,
    account_terms,
    control,
    domain_terms,
    intent_of,
    result,
    sender_terms,
    work,
)
from tests.pipeline.lane.world import CLOSES, KEYS, LIMIT, QUIET, SENDERS, Worker, World, somewhere

DEEP = os.environ.get("LONGWAVE_HYPOTHESIS") == "deep"
EXAMPLES = 30_000 if DEEP else 300
STEPS = 50
POLICY = {A: "skip", B: "resend", D: "resend-with-key", E: "query", F: "skip"}
"""Campaign C changes its policy with its controls; F may be finished."""
ATTEMPTS = 2
"""Submissions of a message of B that may have arrived, at most."""
LATENESS = {F: 20_000}
"""How late machines may make a campaign's messages (ms)."""
TEXTS = {A: "hi {link}", B: "hi {link} {opt_out}", D: "hi {opt_out}", F: "hi {link}"}
"""Of campaigns whose messages have links, which are on domains of the account where it has some."""
GO, TO, BYE = "go.example", "to.example", "bye.example"
MOST = 12
"""Messages that a domain may ever carry, at most."""
ONCE = {A, D, E, F}
"""Campaigns whose messages the aggregator takes at most once."""
tried: Counter[str] = Counter()

campaigns = st.sampled_from([A, B, C, D, E, E, F])
senders = st.sampled_from(SENDERS)
aggregators = st.sampled_from(["any", "other"])
few = st.integers(0, 3)
ordinal_lists = st.lists(st.integers(0, 11), min_size=1, max_size=6)
outcomes = st.sampled_from(["accepted", "accepted", "rejected", "retry", "unknown", "skipped", "expired"])


class LaneMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.works: list[Work] = []
        self.checked = 0

    @property
    def now(self) -> int:
        return self.world.now

    @now.setter
    def now(self, at: int) -> None:
        self.world.now = at

    @initialize(before=st.sampled_from([2_500, 6_000, 3_600_000]), room=st.sampled_from([None, 1, 4, MOST, MOST]))
    def begin(self, before: int, room: int | None = None) -> None:
        """It is `before` milliseconds to the end of the allowed hours; each domain has `room`, None: there are no
        domains."""
        self.now = CLOSES - before
        if room is not None:
            for account in ("demo", "shop"):
                domains = [(GO, "short", room), (TO, "short", 1), (BYE, "opt-out", room)]
                self.world.append(domain_terms(*domains, account=account, at=self.now))
        for account in sorted({account for account, _ in SENDERS}):
            self.world.append(account_terms(account, at=self.now))
        for sender in SENDERS:
            self.world.append(sender_terms(sender, LIMIT, at=self.now))
        for campaign in (A, B, C, D, E, F):
            policy = POLICY.get(campaign, "skip")
            text = TEXTS.get(campaign, "hi")
            self.world.append(control(campaign, unknown=policy, lateness=LATENESS.get(campaign), text=text))
        for campaign in (A, E):
            self.world.append(somewhere(work([0, 1, 2, 3], campaign, at=self.now)))
        self._settle_in(self.world.start())

    def _settle_in(self, worker: Worker) -> None:
        self.world.land(worker)
        self.world.catch_up(worker)

    # What comes from outside

    @rule(campaign=campaigns, ordinals=ordinal_lists, waits=st.sampled_from([0, 0, 5, 4000]), data=st.data())
    def new_work(self, campaign: str, ordinals: list[int], waits: int, data: st.DataObject) -> None:
        sender = data.draw(senders)
        cut = data.draw(st.integers(0, len(ordinals)))
        dues = [(cut, self.now), (len(ordinals) - cut, self.now + waits)]
        segments = data.draw(st.lists(st.integers(1, 3), min_size=len(ordinals), max_size=len(ordinals)))
        self.works.append(somewhere(work(ordinals, campaign, dues, self.now, segments, sender)))
        self.world.append(self.works[-1])

    @precondition(lambda self: self.works)
    @rule(data=st.data())
    def work_again(self, data: st.DataObject) -> None:
        self.world.append(data.draw(st.sampled_from(self.works)))

    @rule(
        campaign=campaigns,
        state=st.sampled_from(["running", "running", "paused", "canceled"]),
        ahead=st.integers(-1, 2),
        policy=st.sampled_from(["skip", "resend", "resend-with-key", "query"]),
        late=st.sampled_from([None, None, CLOSES + 5000]),
        resolved=st.sampled_from([False, False, False, True]),
    )
    def control_it(
        self, campaign: str, state: str, ahead: int, policy: str, late: int | None, resolved: bool
    ) -> None:
        known: Control | None = self.world.truth.campaigns.get(campaign)
        policy = POLICY.get(campaign, policy)
        revision = 99 if known is None else max(1, known.revision + ahead)
        more = {"deadline": late, "resolved": resolved, "lateness": LATENESS.get(campaign)}
        more["text"] = TEXTS.get(campaign, "hi")
        self.world.append(control(campaign, state, revision, self.now, unknown=policy, **more))

    @rule(
        sender=senders,
        ahead=st.integers(-1, 1),
        removed=st.sampled_from([False, False, True]),
        aggregator=aggregators,
        brand=st.sampled_from(["", "shoes"]),
    )
    def sender_changes(self, sender: SenderId, ahead: int, removed: bool, aggregator: str, brand: str) -> None:
        known = self.world.truth.senders[sender]
        more = {"removed": removed, "aggregator": aggregator, "brand": brand, "at": self.now}
        self.world.append(sender_terms(sender, LIMIT, max(1, known.revision + ahead), **more))

    @rule(
        account=st.sampled_from(["demo", "shop"]),
        ahead=st.integers(-1, 1),
        zone=st.sampled_from(["America/Los_Angeles", "Asia/Tokyo", "Nowhere/Atall"]),
    )
    def account_changes(self, account: str, ahead: int, zone: str) -> None:
        revision = max(1, self.world.truth.accounts[account].revision + ahead)
        self.world.append(account_terms(account, LIMIT, revision, zone=zone, at=self.now))

    @rule(
        account=st.sampled_from(["demo", "shop"]),
        ahead=st.integers(0, 1),
        limits=st.tuples(*[st.sampled_from([0, 1, 4, MOST])] * 3),
        without=st.sampled_from(["", "", GO, TO, BYE]),
    )
    def domains_change(self, account: str, ahead: int, limits: tuple[int, int, int], without: str) -> None:
        known = self.world.truth.domains.get(account)
        revision = 1 if known is None else known.revision + ahead
        listed = zip((GO, TO, BYE), ("short", "short", "opt-out"), limits, strict=True)
        domains = [domain for domain in listed if domain[0] != without]
        self.world.append(domain_terms(*domains, account=account, revision=revision, at=self.now))

    @precondition(lambda self: self.world.truth.domains)
    @rule(data=st.data(), domains=st.lists(st.sampled_from([GO, TO, BYE, "other.example"]), max_size=3))
    def intent_with_domains(self, data: st.DataObject, domains: list[str]) -> None:
        """An INTENT that names domains as it likes, of one message: no pick of several is above the limit."""
        chunks = [chunk for chunk in self.world.truth.chunks.values() if chunk.spans]
        if chunks:
            chunk = data.draw(st.sampled_from(chunks))
            start = chunk.spans[0].start
            slices = [(chunk.offset, start, start + 1)]
            chosen = Pick(campaign=chunk.key[0], message=0, slices=slices, domains=domains)
            self.world.append(Intent(epoch=max(1, self.world.truth.epoch), picks=[chosen], at=self.now))

    @rule(by=st.sampled_from([1, 30, 700, 2500, 4500]))
    def time_passes(self, by: int) -> None:
        self.now += by

    @rule(by=st.sampled_from([15_000, 59_000, 61_000, 200_000]))
    def log_is_silent(self, by: int) -> None:
        self.now += by

    @precondition(lambda self: any(worker.active for worker in self.world.workers))
    @rule(n=few, down=st.sampled_from([[], [], ["any"], ["any", "other"]]), lands=st.booleans())
    def beats(self, n: int, down: list[str], lands: bool) -> None:
        """An owner says that it lives and which aggregators do not work."""
        owners = [worker for worker in self.world.workers if worker.active]
        worker = owners[n % len(owners)]
        worker.outbox.append(Heartbeat(epoch=worker.epoch, down=down, at=self.now))
        while lands and worker.outbox:
            self.world.land(worker)

    @rule(key=st.sampled_from(KEYS), before=st.sampled_from([0, 1500, 5000]))
    def hours_pass(self, key: str, before: int) -> None:
        """It is soon the next time that the allowed hours begin or end."""
        begin, end = QUIET.window(self.now, *read_key(key))
        self.now = max(self.now, (begin if begin > self.now else end) - before)

    @precondition(lambda self: len(self.world.opted_out) < 4)
    @rule(ordinal=st.integers(0, 11))
    def opts_out(self, ordinal: int) -> None:
        self.world.opted_out.add(12125550000 + ordinal)

    @rule(campaign=campaigns)
    def finishes(self, campaign: str) -> None:
        """Of a campaign that still has somebody waiting or in flight it is not true, and changes nothing."""
        if campaign == F or not self.world.truth.is_idle(campaign):
            self.world.append(Finish(campaign=campaign, at=self.now))

    # What workers do

    @precondition(lambda self: len(self.world.workers) < 3)
    @rule()
    def handover(self) -> None:
        self.world.start()

    @precondition(lambda self: len(self.world.workers) < 3)
    @rule()
    def quick_handover(self) -> None:
        self._settle_in(self.world.start())

    @precondition(lambda self: self.world.workers)
    @rule(n=few, count=st.sampled_from([1, 1, 2, 4]))
    def reads(self, n: int, count: int) -> None:
        for _ in range(count):
            self.world.read(self._worker(n))

    @precondition(lambda self: self.world.workers)
    @rule(n=few)
    def reads_all(self, n: int) -> None:
        self.world.catch_up(self._worker(n))

    @precondition(lambda self: self.world.workers)
    @rule(n=few, messages=st.sampled_from([1, 2, 5]), segments=st.integers(1, LIMIT))
    def picks(self, n: int, messages: int, segments: int) -> None:
        worker = self._worker(n)
        if worker.active:
            self.world.pick(worker, self.now, messages, segments)

    @precondition(lambda self: any(worker.outbox for worker in self.world.workers))
    @rule(n=few, count=st.sampled_from([1, 2, 9]))
    def writes_land(self, n: int, count: int) -> None:
        writing = [worker for worker in self.world.workers if worker.outbox]
        for _ in range(count):
            self.world.land(writing[n % len(writing)])

    @precondition(lambda self: any(worker.todo for worker in self.world.workers))
    @rule(n=few, data=st.data(), answers=st.booleans())
    def submits(self, n: int, data: st.DataObject, answers: bool) -> None:
        worker, flight = self._next_flight(n)
        if flight is None:
            return
        drawn = data.draw(st.lists(outcomes, min_size=flight.count, max_size=flight.count))
        seats = self._hand_over(flight, worker.state, drawn, data)
        if answers:
            groups = self._garbled(data, self._groups(seats, data))
            self.world.report(worker, result_of(flight, *groups, at=self.now))

    @precondition(lambda self: any(worker.todo for worker in self.world.workers))
    @rule(n=few)
    def submits_all_accepted(self, n: int) -> None:
        worker, flight = self._next_flight(n)
        if flight is not None:
            self._accept(worker, flight)

    def _accept(self, worker: Worker, flight: Flight) -> None:
        seats = self._hand_over(flight, worker.state, ["accepted"] * flight.count)
        ids = [f"id{flight.id}-{index}" for index in range(flight.count)]
        groups = [ResultGroup(outcome="accepted", ids=ids)]
        if set(seats) != {"accepted"}:
            groups = self._groups(seats)
        self.world.report(worker, result_of(flight, *groups, at=self.now))

    @precondition(lambda self: any(worker.active for worker in self.world.workers))
    @rule(n=few, slices=st.sampled_from([1, 2, 3]))
    def hurries(self, n: int, slices: int) -> None:
        """An owner picks all it can and hands it over, as far as the limit lets it."""
        owners = [worker for worker in self.world.workers if worker.active]
        worker = owners[n % len(owners)]
        for _ in range(slices):
            self.world.pick(worker, self.now, 5, LIMIT)
        while worker.outbox:
            self.world.land(worker)
        self.world.catch_up(worker)
        for _ in range(len(worker.todo)):
            flight = self._take(worker)
            if flight is None:
                return
            self._accept(worker, flight)

    @precondition(lambda self: any(worker.todo for worker in self.world.workers))
    @rule(n=few, due=st.integers(0, 20))
    def holds_back(self, n: int, due: int) -> None:
        worker, flight = self._next_flight(n)
        if flight is None:
            return
        self._hand_over(flight, worker.state, ["retry"] * flight.count)
        held = ResultGroup(outcome="retry", due=self.now + due)
        self.world.report(worker, result_of(flight, held, at=self.now))

    @precondition(lambda self: self.world.truth.flights)
    @rule(n=few, data=st.data())
    def result_lands(self, n: int, data: st.DataObject) -> None:
        """Whoever read this INTENT submits, if nobody has, and tells what came of it; by now it may be a zombie."""
        flights = list(self.world.truth.flights.values())
        flight = flights[n % len(flights)]
        if flight.id not in self.world.sent:
            if not self.world.has_room(flight):
                tried["full"] += 1
                return
            for worker in self.world.workers:
                worker.todo = deque(item for item in worker.todo if item.id != flight.id)
            seats = data.draw(st.lists(outcomes, min_size=flight.count, max_size=flight.count))
            self._hand_over(flight, self.world.truth, seats, data)
        self.world.append(result_of(flight, *self._groups(self.world.sent[flight.id], data), at=self.now))

    @precondition(lambda self: any(worker.asks and worker.active for worker in self.world.workers))
    @rule(n=few, knows=st.sampled_from([True, True, True, False]))
    def asks(self, n: int, knows: bool) -> None:
        """The owner asks what became of a flight, or gives up waiting for its lost owner; the answer is on its way
        into the log."""
        askers = [worker for worker in self.world.workers if worker.asks and worker.active]
        worker = askers[n % len(askers)]
        name = sorted(worker.asks)[n % len(worker.asks)]
        flight = worker.state.flights.get(name)
        if flight is None or not flight.asking:
            worker.asks.discard(name)
        elif not worker.state.asks(flight.key[0]):
            # Its owner was waited for. However short that was, nobody may be lost or sent to twice.
            worker.asks.discard(name)
            worker.outbox.append(result_without_answer(flight, self.now, Reason.OWNER_LOST))
            tried["waited"] += 1
        elif self.now > flight.at + self.world.ask_after:
            worker.asks.discard(name)
            indices, keys = open_indices(flight), self.world.columns(flight)[0]
            assert open_ids(worker.state, flight) == [message_id(*keys[index]) for index in indices]
            answers = [self._fate(keys[index], knows or index % 2 == 0) for index in indices]
            worker.outbox.append(result_of_answer(name, indices, answers, self.now))
            tried["asked"] += 1

    def _fate(self, key: tuple[str, int, int], knows: bool) -> SubmitOutcome:
        if not knows:
            self.world.forgotten.add(key)
            return SubmitOutcome("unknown", "cannot_tell")
        made = self.world.fate.get(key)
        if made is None:
            return SubmitOutcome("retry", "not_seen")
        return SubmitOutcome("accepted", "", "id") if made == "accepted" else SubmitOutcome("rejected", "landline")

    @precondition(lambda self: self.world.truth.flights)
    @rule(picks=st.booleans())
    def owner_lost(self, picks: bool) -> None:
        """Another worker takes the lane at once, and picks what is due."""
        while len(self.world.workers) > 2:
            self.world.crash(self.world.workers[0], 0)
        worker = self.world.start()
        self._settle_in(worker)
        if picks:
            self.picks(self.world.workers.index(worker), 5, LIMIT)
            self.world.land(worker)

    @precondition(lambda self: self.world.workers)
    @rule(n=few, lands=st.integers(0, 3))
    def crashes(self, n: int, lands: int) -> None:
        self.world.crash(self._worker(n), lands)

    @precondition(lambda self: self.world.died)
    @rule(n=few, again=st.booleans())
    def journal_is_read(self, n: int, again: bool) -> None:
        worker = self.world.died[n % len(self.world.died)]
        self._read_journal(worker)
        if not again:
            self.world.died.remove(worker)

    @precondition(lambda self: any(worker.todo for worker in self.world.workers))
    @rule(n=few)
    def dies_before_it_submits(self, n: int) -> None:
        """Another worker takes the lane, and learns from the journal that nothing was handed over."""
        busy = [worker for worker in self.world.workers if worker.todo]
        worker = busy[n % len(busy)]
        self.world.crash(worker, 0)
        self._settle_in(self.world.start())
        self._read_journal(worker)

    def _read_journal(self, worker: Worker) -> None:
        before = len(self.world.truth.flights)
        self.world.journal(worker, self.world.sent)
        tried["proved"] += before - len(self.world.truth.flights)

    @precondition(lambda self: any(worker.active for worker in self.world.workers))
    @rule(n=few, part_bytes=st.sampled_from([200, 100_000]), at_once=st.booleans())
    def checkpoints(self, n: int, part_bytes: int, at_once: bool) -> None:
        active = [worker for worker in self.world.workers if worker.active]
        worker = active[n % len(active)]
        if worker.mark is None:
            self.world.checkpoint(worker, part_bytes)
        while at_once and worker.outbox:
            self.world.land(worker)

    # Records that decode but that no sound worker writes

    @rule(data=st.data(), current=st.booleans())
    def strange_intent(self, data: st.DataObject, current: bool) -> None:
        epoch = self.world.truth.epoch if current else data.draw(st.integers(1, len(self.world.log) + 2))
        picks = [(data.draw(campaigns), self._slices(data)) for _ in range(data.draw(st.integers(1, 3)))]
        self.world.append(intent_of(max(1, epoch), *picks, at=self.now))

    @precondition(lambda self: self.world.truth.waiting)
    @rule(n=st.integers(0, 99), whole=st.booleans(), age=st.sampled_from([0, 0, 0, 1, 5]), twice=st.booleans())
    def intent_lands(self, n: int, whole: bool, age: int, twice: bool) -> None:
        """An INTENT that would be sound but for what happened in the log since it was written; the picks beside it
        have another chunk's people, or the same ones again."""
        chunks = [chunk for chunk in self.world.truth.chunks.values() if chunk.spans]
        chunk = chunks[n % len(chunks)]
        span = chunk.spans[n % len(chunk.spans)]
        item = (chunk.offset, span.start, span.stop if whole else span.start + 1)
        slices = [item, item] if twice and n % 3 == 0 else [item]
        other = chunks[(n // 7) % len(chunks)]
        beside = (other.offset, other.spans[0].start, other.spans[0].stop)
        picks = [(chunk.key[0], slices), (other.key[0], [beside]), (other.key[0], [item, beside])]
        epoch = max(1, self.world.truth.epoch - age)
        tried["intents"] += 1
        self.world.append(intent_of(epoch, *picks[: 1 + n % 3], at=self.now))

    @rule(data=st.data(), due=st.integers(0, 30))
    def strange_leave(self, data: st.DataObject, due: int) -> None:
        epoch = max(1, self.world.truth.epoch - data.draw(st.sampled_from([0, 0, 1])))
        slices = self._slices(data)
        if data.draw(st.booleans()):
            self.world.append(Defer(epoch=epoch, slices=slices, due=self.now + due, reason="quiet", at=self.now))
        else:
            self.world.append(Drop(epoch=epoch, slices=slices, state="skipped", reason="opted_out", at=self.now))

    @precondition(lambda self: self.world.sent)
    @rule(n=st.integers(0, 99), outcome=outcomes)
    def result_again(self, n: int, outcome: str) -> None:
        settled = [name for name in self.world.sent if name not in self.world.truth.flights]
        if settled:
            group = ResultGroup(outcome=outcome, due=self.now)  # type: ignore[arg-type]
            intent, pick = divmod(settled[n % len(settled)], MOST_PICKS)
            self.world.append(result(intent, group, at=self.now, pick=pick))

    # Helpers

    def _worker(self, n: int) -> Worker:
        return self.world.workers[n % len(self.world.workers)]

    def _next_flight(self, n: int) -> tuple[Worker, Flight | None]:
        """None while the limit leaves no room for it."""
        busy = [worker for worker in self.world.workers if worker.todo]
        worker = busy[n % len(busy)]
        return worker, self._take(worker)

    def _take(self, worker: Worker) -> Flight | None:
        if self.world.has_room(worker.todo[0]):
            return worker.todo.popleft()
        tried["full"] += 1
        return None

    def _hand_over(
        self, flight: Flight, state: LaneState, drawn: list[str], data: st.DataObject | None = None
    ) -> list[str]:
        """The last check, then the aggregator gets a flight; what it says of each. One that it says nothing about may
        have arrived or not."""
        held = self.world.held(flight, state)
        tried["asleep"] += any(why is not None and why.reason == "quiet_hours" for why in held)
        seats = self.world.answers(flight, drawn)
        arrives = [
            seat if seat in {"accepted", "rejected"} else "accepted" if self._arrives(seat, why, data) else ""
            for seat, why in zip(seats, held, strict=True)
        ]
        self.world.submit(flight, ["" if why else made for why, made in zip(held, arrives, strict=True)])
        assert flight.id not in self.world.sent, "handed over twice"
        seats = [why.outcome if why else seat for why, seat in zip(held, seats, strict=True)]
        self.world.sent[flight.id] = seats
        tried["submissions"] += flight.count
        return seats

    def _arrives(self, said: str, why: ResultGroup | None, data: st.DataObject | None) -> bool:
        return why is None and said == "unknown" and data is not None and data.draw(st.booleans())

    def _slices(self, data: st.DataObject) -> list[Slice]:
        chunks = list(self.world.truth.chunks) or [0]
        positions = st.integers(0, 7)
        return data.draw(st.lists(st.tuples(st.sampled_from([*chunks, 0]), positions, positions), max_size=3))

    def _groups(self, seats: list[str], data: st.DataObject | None = None) -> list[ResultGroup]:
        groups = []
        for outcome in sorted(set(seats)):
            indices = [index for index, seat in enumerate(seats) if seat == outcome]
            if data is not None and data.draw(st.booleans()):
                indices.reverse()
            ids = [f"i{index}" for index in indices] if outcome == "accepted" else None
            due = self.now + (0 if data is None else data.draw(st.sampled_from([0, 10])))
            groups.append(
                ResultGroup(outcome=outcome, reason=outcome, indices=indices, ids=ids, due=due)  # type: ignore[arg-type]
            )
        return groups

    def _garbled(self, data: st.DataObject, groups: list[ResultGroup]) -> list[ResultGroup]:
        """What a defect might write of a true answer. Nothing in it claims less than what arrived."""
        how = data.draw(st.sampled_from(["", "", "", "silent", "beyond", "ids", "twice", "twice_inside"]))
        first = groups[0]
        assert first.indices is not None
        match how:
            case "silent":
                return groups[1:]
            case "beyond":
                first.indices.append(999)
            case "ids":
                first.ids = ["x"] * (len(first.indices) + 1)
            case "twice":
                return [*groups, ResultGroup(outcome="retry", due=self.now)]
            case "twice_inside":
                first.indices.append(first.indices[0])
        return groups

    @invariant()
    def holds(self) -> None:
        tried["steps"] += 1
        world = self.world
        if self.checked == len(world.log):
            return
        self.checked = len(world.log)
        often = [key for key, count in world.received.items() if key[0] == B and count > ATTEMPTS]
        assert not often, f"sent more often than allowed: {often}"
        check_counts(world.truth)
        check_model(world.truth, world.model, world.accounting)
        check_lateness(world.truth, world.model, self.now)
        for (account, domain), arrived in world.carried.items():
            counted = world.truth.domain_counts.used[account][domain]
            assert arrived <= counted, f"{domain}: {arrived} messages arrived, {counted} are counted"
            assert counted <= MOST or domain not in (GO, TO, BYE), f"{domain}: {counted} messages, {MOST} at most"
        twice = [key for key, count in world.received.items() if count > 1 and key[0] in ONCE]
        assert not twice, f"received twice: {twice}"

    def teardown(self) -> None:
        tried["runs"] += 1
        tried["records"] += len(self.world.log)
        tried["carried"] += sum(self.world.carried.values())
        tried["starved"] += self.world.starved
        self._repeats()
        self._comes_to_rest()

    def _repeats(self) -> None:
        """Reading the log again gives the same state and the same statuses, which add nothing to sets."""
        state, again = LaneState(), Accounting()
        for worker in self.world.workers:
            self.world.catch_up(worker)
        for offset, (record, raw) in enumerate(self.world.log):
            effects = apply(state, offset, record, raw)
            reported = [effect for effect in effects if isinstance(effect, StatusChunk)]
            assert reported == self.world.told[offset]
            for chunk in reported:
                again.add(chunk)
        assert plain(state) == plain(self.world.truth)
        assert again.sets == self.world.accounting.sets

    def _comes_to_rest(self) -> None:
        """Everybody dies, one worker starts and finishes: under `resend` nobody is lost."""
        world = self.world
        self.now = QUIET.next_allowed(self.now + 10**9, *read_key(KEYS[1]))
        while world.workers:
            world.crash(world.workers[0], 0)
        for campaign, known in list(world.truth.campaigns.items()):
            world.append(
                control(
                    campaign,
                    "running",
                    known.revision + 1,
                    unknown=known.settings.unknown,
                    lateness=known.settings.lateness,
                    text=TEXTS.get(campaign, "hi"),
                )
            )
        for sender in SENDERS:
            world.append(sender_terms(sender, LIMIT, world.truth.senders[sender].revision + 1, at=self.now))
        for account, terms in list(world.truth.domains.items()):
            # What waits for a domain goes on once there is one.
            fresh = [("new.example", "short", None), ("out.example", "opt-out", None)]
            world.append(domain_terms(*fresh, account=account, revision=terms.revision + 1, at=self.now))
        worker = world.start()
        self._settle_in(worker)
        assert worker.active
        for _ in range(200):
            while worker.asks:
                self.asks(0, True)
            world.pick(worker, self.now, 5, LIMIT)
            while worker.outbox:
                world.land(worker)
            world.catch_up(worker)
            if not (worker.todo or worker.asks or world.truth.waiting):
                break
            while worker.todo:
                self.time_passes(1300)
                self.submits_all_accepted(0)
        assert world.truth.waiting == world.truth.in_flight() == 0
        self.holds()
        for key in world.model.people:
            reported = world.accounting.state[key]
            assert reported in {"accepted", "rejected", "unknown", "canceled", "skipped", "expired"}
            if key[0] in {B, D, E} and key[0] not in world.model.canceled_at:
                explained = key in world.forgotten or world.doubtful(key)
                assert reported != "unknown" or explained
                assert world.received[key] or reported in {"skipped", "expired", "rejected", "unknown"}
            assert reported != "accepted" or world.received[key]
            if key[0] == E and reported in {"accepted", "rejected"}:
                assert reported == world.fate[key], "asked for, and yet not the truth"
            if reported in {"canceled", "skipped", "expired"}:
                assert not world.received[key], f"{key} is said to be {reported} and has the message"


def result_of(flight: Flight, *groups: ResultGroup, at: int) -> Result:
    return result(flight.intent, *groups, at=at, pick=flight.id % MOST_PICKS)


def run(machine: type[LaneMachine], examples: int, **more: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            **more,
        ),
    )


@pytest.mark.timeout(36_000 if DEEP else 600)
def test_every_interleaving_keeps_the_invariants(record_property: Any) -> None:
    tried.clear()
    run(LaneMachine, EXAMPLES)
    record_property(
        "tried",
        f"lane: {tried['runs']} interleavings of {tried['steps']} steps, {tried['records']} records folded, "
        f"{tried['submissions']} submissions, {tried['asked']} flights asked for, {tried['waited']} "
        f"waited for, {tried['proved']} proved not submitted by a journal, "
        f"{tried['asleep']} held at the door by quiet hours, {tried['full']} by the limit, {tried['carried']} "
        f"messages with links on domains, {tried['starved']} senders that waited for a domain, violations 0",
    )
    assert tried["runs"] >= EXAMPLES
    assert tried["asked"] >= EXAMPLES / 10
    assert tried["waited"] >= EXAMPLES / 10
    assert tried["asleep"]
    assert tried["proved"] >= EXAMPLES / 100
    assert tried["full"] >= EXAMPLES / 20
    assert tried["carried"] >= EXAMPLES / 10
    assert tried["starved"] >= EXAMPLES / 100


class Taken(LaneMachine):
    """The same, to be run without one of the rules."""


def breaks(why: str | None) -> None:
    """The suite must find that a rule is missing, and for the right reason."""
    with pytest.raises(AssertionError, match=why):
        run(Taken, 3000, phases=[Phase.generate], database=None, derandomize=True, report_multiple_bugs=False)


def test_with_a_journal_that_misses_a_submission_the_suite_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "notes_submissions", False)
    breaks("received twice|sent more often|has the message|messages arrived")


def test_with_domains_that_are_not_looked_at_in_the_log_the_suite_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.lane.fold, "_has_domains", lambda state, pick, account: True)
    breaks(None)


def test_without_the_read_back_the_suite_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "read_back", False)
    breaks("submitted without a valid INTENT")


def test_without_the_bitmap_the_suite_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.lane.fold, "_mark_seen", lambda state, key, ordinals: None)
    breaks(None)


@pytest.mark.parametrize(("after", "twice"), [(World.ask_after, False), (-1, True)], ids=["rule", "taken-away"])
def test_asked_before_a_request_can_have_arrived_the_suite_breaks(
    monkeypatch: pytest.MonkeyPatch, after: int, twice: bool
) -> None:
    """A zombie submits as late as it may, after its successor was told that nobody has seen the message."""
    monkeypatch.setattr(World, "ask_after", after)
    machine = LaneMachine()
    machine.begin(3_600_000)
    world = machine.world
    world.append(control(A, "paused", 2))
    (zombie,) = world.workers
    world.catch_up(zombie)
    world.pick(zombie, machine.now, 5, 100)
    world.land(zombie)
    world.catch_up(zombie)
    successor = world.start()
    machine._settle_in(successor)
    machine.time_passes(2500)
    machine.asks(0, True)
    while successor.outbox:
        world.land(successor)
    world.catch_up(successor)
    world.pick(successor, machine.now, 5, 100)
    while successor.outbox:
        world.land(successor)
    world.catch_up(successor)
    machine.submits_all_accepted(0)
    machine.time_passes(1300)
    if successor.todo:
        machine.submits_all_accepted(0)
    assert {count for key, count in world.received.items() if key[0] == E} == {2 if twice else 1}
    if twice:
        with pytest.raises(AssertionError, match="received twice"):
            machine.holds()
        return
    machine.holds()
    machine.teardown()


def picked(machine: LaneMachine) -> Worker:
    """The first owner, with a slice of A that it has read back and not handed over yet."""
    (worker,) = machine.world.workers
    machine.world.pick(worker, machine.now, 4, LIMIT)
    machine._settle_in(worker)
    assert len(worker.todo) == 1
    return worker


@pytest.mark.parametrize("at_the_door", [True, False], ids=["rule", "taken-away"])
def test_without_quiet_hours_in_the_last_check_the_suite_breaks(
    monkeypatch: pytest.MonkeyPatch, at_the_door: bool
) -> None:
    """A slice that was picked in time, and whose turn comes after nine."""
    monkeypatch.setattr(World, "at_the_door", at_the_door)
    machine = LaneMachine()
    machine.begin(2500)
    picked(machine)
    machine.time_passes(2700)
    if at_the_door:
        machine.submits_all_accepted(0)
        assert not machine.world.received
        machine.teardown()
        return
    with pytest.raises(AssertionError, match="outside the allowed hours"):
        machine.submits_all_accepted(0)


@pytest.mark.parametrize("since", [0, 2000])
@pytest.mark.parametrize("rule", [True, False], ids=["rule", "taken-away"])
def test_without_the_limit_of_the_previous_owner_the_suite_breaks(
    monkeypatch: pytest.MonkeyPatch, rule: bool, since: int
) -> None:
    """A slice that waited for its turn for `since` ms and is handed over, and in the same second the next owner's."""
    if not rule:
        monkeypatch.setattr(World, "starts_full", staticmethod(lambda last_intent_at, owned_at: False))
    machine = LaneMachine()
    machine.begin(3_600_000)
    world = machine.world
    world.append(somewhere(work([4, 5, 6], A, at=machine.now, segments=[3, 2, 3])))
    world.append(control(E, "paused", 2))
    world.catch_up(world.workers[0])
    picked(machine)
    machine.time_passes(since)
    machine.submits_all_accepted(0)
    world.land(world.workers[0])
    machine.time_passes(1)
    successor = world.start()
    machine._settle_in(successor)
    world.pick(successor, machine.now, 5, LIMIT)
    machine._settle_in(successor)
    world.crash(world.workers[0], 0)
    if not rule:
        with pytest.raises(AssertionError, match="segments in a second"):
            machine.submits_all_accepted(0)
        return
    machine.submits_all_accepted(0)
    assert len(successor.todo) == 1, "handed over before the second was over"
    machine.time_passes(1300)
    machine.submits_all_accepted(0)
    assert not successor.todo
    machine.teardown()


@pytest.mark.parametrize("rule", [True, False], ids=["rule", "taken-away"])
def test_without_a_bound_on_attempts_the_suite_breaks(monkeypatch: pytest.MonkeyPatch, rule: bool) -> None:
    """An aggregator that takes each message and answers nothing that can be read."""
    if not rule:
        monkeypatch.setattr(pipeline.lane.results, "split_exhausted", lambda state, part, allowed: [(part, False)])
    machine = LaneMachine()
    machine.begin(3_600_000)
    world, (worker,) = machine.world, machine.world.workers
    for campaign in (A, E):
        world.append(control(campaign, "paused", 2, unknown=POLICY[campaign]))
    world.append(somewhere(work([4], B, at=machine.now)))
    world.catch_up(worker)
    if rule:
        _answers_nothing(machine, worker)
        assert world.received[B, 0, 4] == ATTEMPTS
        machine.holds()
        return
    with pytest.raises(AssertionError):
        _answers_nothing(machine, worker)


def _answers_nothing(machine: LaneMachine, worker: Worker) -> None:
    world = machine.world
    for _ in range(ATTEMPTS + 1):
        world.pick(worker, machine.now, 5, LIMIT)
        machine._settle_in(worker)
        while worker.todo:
            flight = worker.todo.popleft()
            world.submit(flight, ["accepted"])
            group = ResultGroup(outcome="unknown", reason="bad_answer", due=machine.now)
            world.append(result_of(flight, group, at=machine.now))
        world.catch_up(worker)
        machine.time_passes(2500)


@pytest.mark.parametrize("rule", [True, False], ids=["rule", "taken-away"])
def test_without_the_next_attempt_of_recipients_proved_not_sent_the_suite_breaks(
    monkeypatch: pytest.MonkeyPatch, rule: bool
) -> None:
    """A worker stands still with a slice at its door, is given up, and says when it wakes that nothing was sent."""
    if not rule:
        monkeypatch.setattr(LaneState, "may_wait_again", lambda state, campaign: False)
    machine = LaneMachine()
    machine.begin(3_600_000)
    zombie = picked(machine)
    world = machine.world
    successor = world.start()
    machine._settle_in(successor)
    machine.time_passes(14_000)
    while successor.asks:
        machine.asks(0, True)
    while successor.outbox:
        world.land(successor)
    machine.holds()
    assert {world.accounting.state[A, 0, n] for n in range(4)} == {"unknown"}
    flight = zombie.todo.popleft()
    seats = machine._hand_over(flight, zombie.state, ["accepted"] * flight.count)
    assert set(seats) == {"retry"}, "an INTENT of 14 s ago is not submitted"
    world.append(result_of(flight, *machine._groups(seats), at=machine.now))
    if not rule:
        with pytest.raises(AssertionError):
            machine.holds()
        return
    machine.holds()
    assert {world.accounting.state[A, 0, n] for n in range(4)} == {"queued"}
    machine.teardown()
    assert {world.received[A, 0, n] for n in range(4)} == {1}


@pytest.mark.parametrize("cause", ["silence", "away"])
@pytest.mark.parametrize("rule", [True, False], ids=["rule", "taken-away"])
def test_without_a_limit_on_lateness_the_suite_breaks(
    monkeypatch: pytest.MonkeyPatch, rule: bool, cause: str
) -> None:
    """All machines are down for two minutes, or the aggregator is away, while people of F wait."""
    if not rule:
        monkeypatch.setattr(pipeline.sending.picking.picker, "is_too_late", lambda state, span, now: False)
    machine = LaneMachine()
    machine.begin(3_600_000)
    world, (worker,) = machine.world, machine.world.workers
    for campaign in (A, E):
        world.append(control(campaign, "paused", 2, unknown=POLICY[campaign]))
    world.append(somewhere(work([0, 1], F, at=machine.now)))
    world.catch_up(worker)
    if cause == "away":
        machine.beats(0, ["any"], True)
        machine.time_passes(21_000)
        machine.beats(0, [], True)
    else:
        world.crash(worker, 0)
        machine.time_passes(120_000)
        worker = world.start()
        world.land(worker)
    world.append(somewhere(work([2], F, at=machine.now)))
    world.catch_up(worker)
    if not rule:
        with pytest.raises(AssertionError, match="ms late"):
            world.pick(worker, machine.now, 5, LIMIT)
        return
    world.pick(worker, machine.now, 5, LIMIT)
    while worker.outbox:
        world.land(worker)
    world.catch_up(worker)
    machine.holds()
    assert [world.accounting.state[F, 0, n] for n in range(3)] == ["expired", "expired", "in_flight"]
    machine.teardown()
