"""Workers around one lane's log, as Kafka would have them: each reads at its own speed, may stall, lose the lane
without knowing it, write late, or die between any two steps. Every record passes through its bytes. People are in
New York, or nobody knows whether in New York or Los Angeles, and a second takes `LIMIT` segments of each
sender."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from pipeline.lane.checkpoint import Loader, parts, snapshot
from pipeline.lane.fold import Ask, Owned, Submit, Void, apply
from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import Flight, LaneState
from pipeline.limits.rate import Window
from pipeline.sending.picking.domains import Domains
from pipeline.sending.picking.picked import Picked
from pipeline.sending.picking.picker import Picks, Room, pick
from pipeline.sending.submitting.submission import held_all, held_back, hours_of, starts_full
from pipeline.sending.unknown.ask import ask_after
from pipeline.timing.location_key import read_key
from pipeline.timing.quiet_hours import QuietHours
from schemas.chunk import Release
from schemas.lane import (
    LANES,
    CheckpointPart,
    Defer,
    Drop,
    Intent,
    LaneRecord,
    Owner,
    Result,
    ResultGroup,
    SenderId,
    SubmissionJournal,
    Work,
    flight_id,
    intent_of,
)
from schemas.reasons import Reason
from schemas.status import StatusChunk
from schemas.wire import encode
from tests.pipeline.lane.model import Accounting, Model, plain
from tests.pipeline.lane.records import DEMO, D, owner

Message = tuple[str, int, int]
"""(campaign, message, ordinal)."""
QUIET = QuietHours("cautious")
KEYS = ("US America/New_York", "US America/New_York,America/Los_Angeles")
"""Where people of even and of odd ordinals are."""
ALLOWED = range(8, 21)
"""Local hours in which the rule of the United States lets a message go."""
CLOSES = round(datetime(2027, 1, 15, 2, tzinfo=UTC).timestamp() * 1000)
"""Nine at night in New York: whoever may be there may not be sent to from then on."""
LIMIT = 5
"""Segments a second of each sender. Slices are no larger."""
SENDERS: tuple[SenderId, ...] = (DEMO, ("demo", "other"), ("shop", "main"))
CARRIERS = ("T-Mobile", "AT&T", "")


def somewhere(given: Work) -> Work:
    """The work with its people where they are, and with their carriers."""
    carriers = [CARRIERS[ordinal % 3] for ordinal in given.ordinals]
    zone = [ordinal % 2 for ordinal in given.ordinals]
    return replace(given, zones=list(KEYS), zone=zone, fields={**given.fields, "carrier": carriers})


def lawful(ordinal: int, now: int) -> bool:
    """Whether it is an allowed hour in each zone that this person may be in, by the standard library."""
    zones, _ = read_key(KEYS[ordinal % 2])
    return all(datetime.fromtimestamp(now / 1000, ZoneInfo(zone)).hour in ALLOWED for zone in zones)


@dataclass
class Worker:
    name: str
    start: int
    state: LaneState = field(default_factory=LaneState)
    loader: Loader | None = None
    buffer: list[int] = field(default_factory=list)
    active: bool = False
    epoch: int = 0
    position: int = 0
    picked: Picked = field(default_factory=Picked)
    share: dict[SenderId, FairShare] = field(default_factory=lambda: {name: FairShare() for name in SENDERS})
    todo: deque[Flight] = field(default_factory=deque)
    """Submit effects read, not carried out yet."""
    asks: set[int] = field(default_factory=set)
    """Flights to ask the aggregator for."""
    outbox: deque[LaneRecord] = field(default_factory=deque)
    """Records produced, not in the log yet."""
    mark: tuple[int, int] | None = None
    """(records still to be written, as of) of a checkpoint under way."""


class World:
    read_back = True
    """False: an INTENT is submitted when the broker has it, whatever the log says by then."""
    ask_after = ask_after(0)
    """Milliseconds from an INTENT to the question what became of it (the model's requests arrive at once)."""
    at_the_door = True
    """False: quiet hours are only looked at when a slice is picked."""
    starts_full = staticmethod(starts_full)
    notes_submissions = True
    """False: a journal knows nothing of what was submitted."""

    def __init__(self) -> None:
        self.log: list[tuple[LaneRecord, bytes]] = []
        self.truth = LaneState()
        self.told: list[list[StatusChunk]] = []
        """Statuses of each record, as the reader from offset 0 emits them."""
        self.model = Model()
        self.accounting = Accounting()
        self.workers: list[Worker] = []
        self.received: Counter[tuple[str, int, int]] = Counter()
        """What the aggregator has: submissions of each message id. Those of D that its key caught do not count."""
        self.fate: dict[Message, str] = {}
        """What the aggregator made of each, the first time."""
        self.forgotten: set[Message] = set()
        """Of which it could not tell."""
        self.opted_out: set[int] = set()
        self.released: set[Message] = set()
        """Whose smart-sending reservation was given back."""
        self.sent: dict[int, list[str]] = {}
        """Outcomes of what was submitted, by flight."""
        self.died: list[Worker] = []
        """Workers whose journals nobody has read yet."""
        self.mark = 0
        self.names = 0
        self.now = CLOSES - 3_600_000
        self.carried: Counter[tuple[str, str]] = Counter()
        """Messages that have arrived at the aggregator, by account and domain of their links."""
        self.starved = 0
        """Picks of a sender whose recipients all waited for a domain."""
        self.windows: dict[tuple[int, SenderId], Window] = {}
        """The last second of each sender under each owner, by its epoch."""
        self.arrivals: dict[SenderId, deque[tuple[int, int]]] = {name: deque() for name in SENDERS}
        """(ms, segments) of what the aggregator got from each sender, newest last."""

    def append(self, record: LaneRecord) -> None:
        raw = encode(record)
        offset, record = len(self.log), LANES.decode(raw)
        self.log.append((record, raw))
        effects = apply(self.truth, offset, record, raw)
        self.model.apply(offset, record)
        statuses = [effect for effect in effects if isinstance(effect, StatusChunk)]
        self.told.append(statuses)
        for chunk in statuses:
            self.accounting.add(chunk)
        for effect in effects:
            if isinstance(effect, Release):
                self._release(effect)
        if isinstance(record, Intent):
            valid = [flight_id(offset, n) for n in range(len(record.picks)) if (offset, n) in self.model.valid]
            flown = [flight.id for effect in effects if isinstance(effect, Submit) for flight in effect.flights]
            voided = sum(effect.picks for effect in effects if isinstance(effect, Void))
            assert (flown, voided) == (valid, len(record.picks) - len(valid))
        else:
            assert not any(isinstance(effect, Submit | Void) for effect in effects)

    def _release(self, release: Release) -> None:
        """Nobody who has the message, or may have it, gives back the reservation for it."""
        for number in release.numbers:
            key = (release.campaign, release.message, number - 12125550000)
            assert self.fate.get(key) != "accepted", f"{key} has the message and gives its reservation back"
            self.released.add(key)

    def start(self) -> Worker:
        """A worker is assigned the lane: it reads from the low-water mark and writes OWNER."""
        self.names += 1
        worker = Worker(f"w{self.names}", self.mark, position=self.mark)
        worker.loader = Loader(self.mark) if self.mark else None
        self.workers.append(worker)
        worker.outbox.append(owner(worker.name, self.now))
        return worker

    def read(self, worker: Worker) -> None:
        """The worker reads its next record."""
        if worker.position == len(self.log):
            return
        offset, worker.position = worker.position, worker.position + 1
        if worker.loader is None:
            self._fold(worker, offset)
            return
        worker.buffer.append(offset)
        record = self.log[offset][0]
        loaded = worker.loader.offer(record) if isinstance(record, CheckpointPart) else None
        if loaded is not None:
            worker.state, worker.loader = loaded, None
            for item in worker.buffer:
                self._fold(worker, item)

    def _fold(self, worker: Worker, offset: int) -> None:
        record, raw = self.log[offset]
        if isinstance(record, Intent | Drop | Defer):
            worker.picked.discard(record.slices)
        effects = apply(worker.state, offset, record, raw)
        assert [e for e in effects if isinstance(e, StatusChunk)] == self.told[offset], "the fold is not repeatable"
        for effect in effects:
            if isinstance(effect, Owned):
                worker.active = effect.nonce == worker.name
                worker.epoch = effect.epoch if worker.active else worker.epoch
                if worker.active and self.starts_full(worker.state.last_intent_at, worker.state.owned_at):
                    for name in SENDERS:
                        self._window(worker.epoch, name).start_full(self.now / 1000)
                worker.picked.clear()
                worker.asks.clear()
            if isinstance(effect, Ask) and worker.active:
                worker.asks.add(effect.flight.id)
            if isinstance(effect, Submit) and worker.active and self.read_back:
                mine = [flight for flight in effect.flights if flight.epoch == worker.epoch]
                worker.todo.extend(flight for flight in mine if flight.id not in self.sent)

    def pick(self, worker: Worker, now: int, messages: int, segments: int) -> None:
        """Rule L2, first half: what the owner picks of each sender goes on its way into the log, in one INTENT."""
        worker.state.table.release(now)
        picks = []
        for sender in SENDERS:
            if worker.state.terms_of(sender) is None:
                continue
            terms = worker.state.domains.get(sender[0])
            domains = None if terms is None else Domains(terms, worker.state, len(self.log))
            room = Room(sender=sender, messages=messages, segments=segments, quiet=QUIET, domains=domains)
            chosen = pick(worker.state, worker.picked, worker.share[sender], self.opted, now, room)
            if chosen is None:
                continue
            self.starved += chosen.is_starved
            self._check_lateness(worker.state, chosen)
            for drop in chosen.drops:
                worker.picked.add(drop.slices)
                worker.outbox.append(drop)
            if chosen.pick is not None:
                assert 0 < chosen.segments <= max(segments, 3), "a slice is within the limit, or one message"
                worker.picked.add_pick(chosen.pick, sender[0])
                worker.share[sender].spend(chosen.pick.campaign, chosen.segments, 1)
                picks.append(chosen.pick)
        if picks:
            worker.outbox.append(Intent(epoch=worker.state.epoch, picks=picks, at=now))

    def report(self, worker: Worker, record: Result) -> None:
        """What a worker says of flights; what it says at one time of several it says in one RESULT."""
        last = worker.outbox[-1] if worker.outbox else None
        if isinstance(last, Result) and last.at == record.at and not last.asked and worker.mark is None:
            worker.outbox[-1] = replace(last, flights=[*last.flights, *record.flights])
        else:
            worker.outbox.append(record)

    def _check_lateness(self, state: LaneState, chosen: Picks) -> None:
        """Nobody is picked who is too late, and only who is too late expires for it; by what the worker has read."""
        going = list(chosen.pick.slices) if chosen.pick else []
        late = [slice_ for drop in chosen.drops if drop.reason == Reason.TOO_LATE for slice_ in drop.slices]
        for slices, expected in ((going, False), (late, True)):
            for chunk, start, stop in slices:
                limit = state.campaigns[state.chunks[chunk].key[0]].settings.lateness
                for position in range(start, stop):
                    person = self.model.places[chunk, position]
                    if state.next_offset == len(self.log):  # else the model knows more than the worker
                        actual = self.model.late(person, self.now)
                        assert (limit is not None and actual > limit) == expected, f"{person} is {actual} ms late"

    def doubtful(self, key: Message) -> bool:
        """Whether an attempt may have arrived, of a lost owner or one that had no answer, and nothing was heard of
        it."""
        resent = [flight for flight in self.truth.flights.values() if flight.orphan and flight.resent]
        return bool(self.model.people[key].uncertain) or any(key in self.columns(flight)[0] for flight in resent)

    def opted(self, numbers: list[int]) -> list[str]:
        return ["opted_out" if number in self.opted_out else "" for number in numbers]

    def columns(self, flight: Flight) -> tuple[list[Message], list[int], list[int]]:
        """Who is in a flight: messages, numbers, segments."""
        keys: list[Message] = []
        numbers: list[int] = []
        segments: list[int] = []
        for chunk, start, stop in flight.slices:
            work = LANES.decode(self.log[chunk][1])
            assert isinstance(work, Work)
            keys += [(*flight.key, ordinal) for ordinal in work.ordinals[start:stop]]
            numbers += work.numbers[start:stop]
            segments += work.segments[start:stop]
        return keys, numbers, segments

    def _window(self, epoch: int, sender: SenderId) -> Window:
        return self.windows.setdefault((epoch, sender), Window(LIMIT))

    def has_room(self, flight: Flight) -> bool:
        """Whether the owner may hand over a flight now, by what it knows of the last second."""
        return not self._window(flight.epoch, flight.sender).wait(self.now / 1000, sum(self.columns(flight)[2]))

    def held(self, flight: Flight, state: LaneState) -> list[ResultGroup | None]:
        """The last check before submitting, by a worker that knows `state`; what goes is charged to its second."""
        _, numbers, segments = self.columns(flight)
        known = state.campaigns.get(flight.key[0])
        if known is None or state.terms_of(flight.sender) is None:
            return held_all(len(numbers), self.now)
        here = self.at_the_door and all(slice_[0] in state.chunks for slice_ in flight.slices)
        hours = hours_of(state, flight, QUIET, self.now) if here else None
        held = held_back(flight, known, numbers, self.opted, self.now, hours)
        if None in held:
            charge = self._window(flight.epoch, flight.sender).spend(self.now / 1000, sum(segments))
            self._window(flight.epoch, flight.sender).settle(charge, self.now / 1000, self.now / 1000)
        return held

    def answers(self, flight: Flight, seats: list[str]) -> list[str]:
        """What the aggregator says to each seat, knowing what it did the first time where a key tells it."""
        keys = self.columns(flight)[0]
        taken = {"accepted", "rejected"}
        keyed = flight.key[0] == D
        return [self.fate.get(k, s) if keyed and s in taken else s for k, s in zip(keys, seats, strict=True)]

    def submit(self, flight: Flight, arrives: list[str]) -> None:
        """Rule L2, second half, with what must hold of every submission checked against the model. `arrives` has
        what the aggregator makes of each message, "" where it does not arrive."""
        assert divmod(flight.id, 1024) in self.model.valid, "submitted without a valid INTENT in the log"
        canceled = self.model.canceled_at.get(flight.key[0])
        assert canceled is None or flight.intent < canceled, "submitted after its cancel"
        keys, numbers, segments = self.columns(flight)
        self._arrive(flight, sum(cost for cost, made in zip(segments, arrives, strict=True) if made))
        for key, number, made in zip(keys, numbers, arrives, strict=True):
            if not made:
                continue
            assert lawful(key[2], self.now), "submitted outside the allowed hours"
            assert number not in self.opted_out, "submitted after an opt-out"
            self.carried.update((flight.sender[0], domain) for domain in flight.domains)
            assert key not in self.released, "submitted after its reservation was given back"
            if key[0] == D and key in self.fate:
                continue
            self.received[key] += 1
            self.fate.setdefault(key, made)

    def _arrive(self, flight: Flight, segments: int) -> None:
        """Invariant I7. What a former owner hands over after another's claim does not count here: Kafka gives a lane
        to another only when its owner has let go of it, or was silent for longer than an INTENT is good for."""
        if not segments or flight.epoch != self.truth.epoch:
            return
        arrivals = self.arrivals[flight.sender]
        arrivals.append((self.now, segments))
        while arrivals[0][0] <= self.now - 1000:
            arrivals.popleft()
        total = sum(item for _, item in arrivals)
        assert total <= LIMIT or len(arrivals) == 1, f"{total} segments in a second, {LIMIT} are the limit"

    def land(self, worker: Worker) -> None:
        """The oldest record that the worker produced reaches the log."""
        if not worker.outbox:
            return
        record = worker.outbox.popleft()
        self.append(record)
        if isinstance(record, Intent) and not self.read_back:
            worker.todo.extend(self._unread(record))
        if worker.mark is not None:
            left, as_of = worker.mark
            worker.mark = (left - 1, as_of) if left > 1 else None
            if left == 1 and worker.active:
                self.mark = max(self.mark, as_of)

    def _unread(self, intent: Intent) -> list[Flight]:
        offset = len(self.log) - 1
        return [
            Flight(
                id=flight_id(offset, index),
                epoch=intent.epoch,
                key=(chosen.campaign, chosen.message),
                sender=DEMO,
                aggregator="any",
                brand=("demo", ""),
                day=0,
                slices=chosen.slices,
                attempts=[0] * len(chosen.slices),
                at=intent.at,
            )
            for index, chosen in enumerate(intent.picks)
        ]

    def checkpoint(self, worker: Worker, part_bytes: int) -> None:
        """The worker writes its state; the mark moves when all of it is in the log."""
        plain_state = snapshot(worker.state, 0)
        records = parts(plain_state, worker.epoch, part_bytes)
        worker.mark = (len(worker.outbox) + len(records), plain_state.as_of)
        worker.outbox.extend(records)

    def crash(self, worker: Worker, lands: int) -> None:
        """The worker dies; `lands` of its records still reach the log, the others never do."""
        for _ in range(min(lands, len(worker.outbox))):
            self.append(worker.outbox.popleft())
        self.workers.remove(worker)
        self.died.append(worker)

    def _owner_of(self, intent: int) -> str:
        """Who wrote the valid INTENT at this offset, by the OWNER record that its epoch names."""
        record = self.log[intent][0]
        assert isinstance(record, Intent)
        taken = self.log[record.epoch - 1][0]
        assert isinstance(taken, Owner)
        return taken.nonce

    def journal(self, worker: Worker, submitted: dict[int, list[str]]) -> None:
        """A worker is started in the place of a dead one, and tells what that one's journal says."""
        mine = sorted({intent_of(name) for name in submitted if self._owner_of(intent_of(name)) == worker.name})
        told = mine if self.notes_submissions else []
        self.append(SubmissionJournal(worker=worker.name, nonces=[worker.name], submitted=told, at=self.now))

    def catch_up(self, worker: Worker) -> None:
        """Read all there is; the state must be that of a reader from offset 0, wherever this one began."""
        while worker.position < len(self.log):
            self.read(worker)
        if worker.loader is None:
            assert plain(worker.state) == plain(self.truth)
