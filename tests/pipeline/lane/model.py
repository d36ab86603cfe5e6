"""The rules of a lane once more, one recipient at a time, slow and plain; and what must be equal between a
`LaneState` and it, or between two `LaneState`s."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.lane.lateness import Downtime, lateness
from pipeline.lane.state import LaneState
from schemas.ids import zone_names
from schemas.lane import (
    AccountTerms,
    Control,
    Defer,
    DomainTerms,
    Drop,
    Finish,
    Heartbeat,
    Intent,
    LaneRecord,
    Owner,
    Pick,
    Result,
    ResultGroup,
    SenderId,
    SenderTerms,
    SubmissionJournal,
    Work,
)
from schemas.status import StatusChunk

Place = tuple[int, int]
"""(offset of the WORK, position)."""

FINALS = ["unknown", "canceled", "expired", "skipped", "rejected", "accepted"]
"""Final states, later ones outrank earlier ones."""
PASSING = ["delayed", "queued", "in_flight", "unknown"]
"""States of an attempt; who is unknown may wait again, one attempt later."""


@dataclass
class Person:
    key: tuple[str, int, int]
    sender: SenderId
    place: Place
    due: int
    planned: int
    """When its message was to go, by the rules alone."""
    arrived: int
    """When it came into the lane."""
    carrier: str
    segments: int
    attempt: int = 0
    waiting: bool = True
    uncertain: int = 0
    """Attempts that had no answer, so that it was let wait again."""
    final: str | None = None
    dropped: str | None = None
    """What would have ended them, had no attempt been under way that may have arrived."""

    def end(self, state: str) -> None:
        if self.final is None or FINALS.index(state) > FINALS.index(self.final):
            self.final = state


@dataclass
class ModelFlight:
    campaign: str
    seats: list[tuple[Person, int]]
    nonce: str
    sender: SenderId
    day: tuple[tuple[str, str], int]
    """The brand, and its day, that it counts for."""
    via: str
    """The aggregator."""
    domains: list[str] = field(default_factory=list)
    given_back: set[Place] = field(default_factory=set)
    orphan: bool = False
    resent: bool = False
    asking: bool = False
    settled: set[Place] = field(default_factory=set)


class Model:
    def __init__(self) -> None:
        self.people: dict[tuple[str, int, int], Person] = {}
        self.places: dict[Place, Person] = {}
        self.flights: dict[tuple[int, int], ModelFlight] = {}
        """By the INTENT's offset and the pick."""
        self.accounts: dict[str, AccountTerms] = {}
        self.senders: dict[SenderId, SenderTerms] = {}
        self.used: Counter[tuple[tuple[str, str], int, str]] = Counter()
        """Segments by brand, day and carrier."""
        self.domains: dict[str, DomainTerms] = {}
        self.carried: Counter[tuple[str, str]] = Counter()
        """Messages by account and domain."""
        self.controls: dict[str, Control] = {}
        self.canceled_at: dict[str, int] = {}
        self.finished: set[str] = set()
        self.epoch = 0
        self.nonce = ""
        self.signs: list[tuple[int, frozenset[str]]] = []
        """When an owner was heard, with the aggregators that it said did not work."""
        self.resumed: dict[str, int] = {}
        self.valid: set[tuple[int, int]] = set()
        """The picks of INTENTs that may be submitted, by offset and index."""

    def apply(self, offset: int, record: LaneRecord) -> None:
        match record:
            case Work():
                self._work(offset, record)
            case Intent():
                if record.epoch == self.epoch:
                    for index, pick in enumerate(record.picks):
                        self._pick(offset, index, pick, record.at)
            case Result():
                for landed in record.flights:
                    name = divmod(landed.flight, 1024)
                    self._result(name, landed.groups, record)
            case AccountTerms():
                known = self.accounts.get(record.account)
                if record.zone in zone_names() and (known is None or known.revision < record.revision):
                    self.accounts[record.account] = record
            case SenderTerms():
                name_of = (record.account, record.sender)
                if name_of not in self.senders or self.senders[name_of].revision < record.revision:
                    self.senders[name_of] = record
            case DomainTerms():
                known_domains = self.domains.get(record.account)
                if known_domains is None or known_domains.revision < record.revision:
                    self.domains[record.account] = record
            case Control():
                self._control(offset, record)
            case Owner():
                for flight in self.flights.values():
                    if not flight.orphan:
                        self._orphan(flight, record.at)
                self.epoch, self.nonce = offset + 1, record.nonce
                self._sign(record.at, frozenset())
            case Heartbeat():
                if record.epoch == self.epoch:
                    self._sign(record.at, frozenset(record.down))
            case SubmissionJournal():
                for name, flight in list(self.flights.items()):
                    if flight.nonce in record.nonces and name[0] not in record.submitted:
                        retry = ResultGroup(outcome="retry", due=record.at)
                        self._result(name, [retry], Result(flights=[], at=record.at))
            case Finish():
                self._finish(record.campaign)
            case Drop() | Defer():
                if record.epoch == self.epoch:
                    self._leave(record)

    def _sign(self, at: int, down: frozenset[str]) -> None:
        self.signs.append((max(at, self.signs[-1][0]) if self.signs else at, down))

    def late(self, person: Person, now: int) -> int:
        """How late machines make a person at `now`, millisecond by millisecond in principle."""
        planned = max(person.planned, self.resumed.get(person.key[0], 0))
        terms = self.senders.get(person.sender)
        via = "" if terms is None else terms.aggregator
        down = [(a, b) for (a, off), (b, _) in pairwise(self.signs) if via in off or b - a > 60_000]
        down += [(at, now) for at, off in self.signs[-1:] if via in off]
        gap = [(planned, person.arrived)] if person.arrived > planned else []
        edges = sorted({planned, now, *(t for span in [*down, *gap] for t in span)})
        return sum(
            b - a
            for a, b in pairwise(edges)
            if planned <= a < b <= now and any(x <= a and b <= y for x, y in [*down, *gap])
        )

    def _state(self, campaign: str) -> str | None:
        known = self.controls.get(campaign)
        return None if known is None else known.state

    def _resends(self, campaign: str) -> bool:
        known = self.controls.get(campaign)
        return known is not None and known.state != "canceled" and known.settings.unknown.startswith("resend")

    def _asks(self, campaign: str) -> bool:
        known = self.controls.get(campaign)
        return known is not None and known.settings.unknown == "query"

    def flying(self) -> set[tuple[str, int, int]]:
        """Whose fate is open: with a RESULT to come, or asked for."""
        return {
            person.key
            for flight in self.flights.values()
            if flight.asking or not flight.orphan
            for person, _ in flight.seats
            if not (flight.asking and person.place in flight.settled)
        }

    def _finish(self, campaign: str) -> None:
        busy = any(f.campaign == campaign and (f.asking or not f.orphan) for f in self.flights.values())
        if busy or any(p.waiting for p in self.people.values() if p.key[0] == campaign):
            return
        self.finished.add(campaign)
        self.controls.pop(campaign, None)
        self.resumed.pop(campaign, None)

    def _work(self, offset: int, work: Work) -> None:
        dues = [due for count, due in work.dues for _ in range(count)]
        for position, ordinal in enumerate(work.ordinals):
            key = (work.campaign, work.message, ordinal)
            if key in self.people or work.campaign in self.finished:
                continue
            person = Person(
                key,
                (work.account, work.sender),
                (offset, position),
                dues[position],
                dues[position],
                work.at,
                work.fields.get("carrier", [""] * len(dues))[position],
                work.segments[position],
            )
            self.people[key] = self.places[person.place] = person
            if self._state(work.campaign) == "canceled":
                person.waiting = False
                self._end(person, "canceled")

    def _waiting(self, slice_: tuple[int, int, int]) -> list[Person] | None:
        """The people of a slice; None unless it is one and all of them wait."""
        people = [self.places.get((slice_[0], position)) for position in range(slice_[1], slice_[2])]
        return [p for p in people if p] if people and all(p and p.waiting for p in people) else None

    def _pick(self, offset: int, index: int, pick: Pick, at: int) -> None:
        seats: list[Person] = []
        for slice_ in pick.slices:
            people = self._waiting(slice_)
            if people is None:
                return
            seats += people
        places = [person.place for person in seats]
        if not seats or len(set(places)) < len(places) or self._state(pick.campaign) != "running":
            return
        if any(person.key[:2] != (pick.campaign, pick.message) for person in seats):
            return
        if len({person.sender for person in seats}) > 1:
            return
        sender = seats[0].sender
        if not self._has_domains(sender[0], pick.domains, len(seats)):
            return
        for domain in pick.domains:
            self.carried[sender[0], domain] += len(seats)
        self.valid.add((offset, index))
        flight = ModelFlight(
            pick.campaign,
            [(p, p.attempt) for p in seats],
            self.nonce,
            sender,
            (self._brand(sender), self._day(sender, at)),
            self._via(sender),
            pick.domains,
        )
        self.flights[offset, index] = flight
        for person in seats:
            person.waiting = False
            if person.carrier:
                self.used[*flight.day, person.carrier.lower()] += person.segments

    def _has_domains(self, account: str, domains: list[str], messages: int) -> bool:
        terms = self.domains.get(account)
        listed = {} if terms is None else {limit.name: limit for limit in terms.domains}
        if any(domain not in listed for domain in domains):
            return False
        if len({listed[domain].use for domain in domains}) < len(domains):
            return False
        limits = [(domain, listed[domain].messages) for domain in domains]
        return all(limit is None or self.carried[account, domain] + messages <= limit for domain, limit in limits)

    def _via(self, sender: SenderId) -> str:
        return self.senders[sender].aggregator if sender in self.senders else ""

    def _brand(self, sender: SenderId) -> tuple[str, str]:
        return sender[0], self.senders[sender].brand if sender in self.senders else ""

    def _day(self, sender: SenderId, at: int) -> int:
        terms = self.accounts.get(sender[0])
        zone = ZoneInfo("America/Los_Angeles" if terms is None else terms.zone)
        return datetime.fromtimestamp(at / 1000, zone).toordinal()

    def _again(self, person: Person, due: int, attempt: int) -> None:
        person.waiting, person.due, person.attempt = True, due, attempt + 1

    def _orphan(self, flight: ModelFlight, at: int) -> None:
        flight.orphan = True
        flight.resent = not flight.asking and self._resends(flight.campaign)
        if not flight.resent:
            flight.asking = True
            return
        for person, attempt in flight.seats:
            if person.place not in flight.settled:
                self._resend(person, flight.campaign, at, attempt)

    def _attempts(self, person: Person) -> int:
        """How many attempts may have arrived."""
        lost = [f for f in self.flights.values() if f.orphan and f.resent and person.place not in f.settled]
        return person.uncertain + sum(seat is person for f in lost for seat, _ in f.seats)

    def _resend(self, person: Person, campaign: str, due: int, attempt: int) -> None:
        settings = self.controls[campaign].settings
        if self._attempts(person) < (settings.resend_attempts if settings.unknown == "resend" else 10):
            self._again(person, due, attempt)
        else:
            person.end("unknown")

    def _result(self, name: tuple[int, int], groups: list[ResultGroup], result: Result) -> None:
        flight = self.flights.get(name)
        if flight is None:
            return
        may_ask = self._asks(flight.campaign) and (flight.asking or not flight.orphan)
        uncertain, before, answered = False, set(flight.settled), set()
        for index, (person, attempt) in enumerate(flight.seats):
            if flight.asking and person.place in before:
                continue
            naming = [g for g in groups if g.indices is None or index in g.indices]
            outcome, due = (naming[0].outcome, naming[0].due) if naming else ("unknown", 0)
            if outcome == "retry" and naming[0].reason == "quiet_hours" and not self._ended_elsewhere(flight, person):
                person.planned = due
            if outcome == "unknown" and may_ask and not result.asked:
                uncertain = True
                continue
            answered.add(person.place)
            self._give_back(flight, person, outcome)
            if flight.orphan and not flight.asking:
                self._late(flight, person, attempt, outcome, result.at)
            else:
                self._own(flight, person, attempt, outcome, due, result.at)
        if uncertain:
            flight.asking = True
            flight.settled |= answered
        elif result.asked and flight.orphan and not self._asks(flight.campaign):
            flight.asking = False
        else:
            del self.flights[name]

    def _give_back(self, flight: ModelFlight, person: Person, outcome: str) -> None:
        if outcome in {"retry", "skipped", "expired"} and person.place not in flight.given_back:
            flight.given_back.add(person.place)
            for domain in flight.domains:
                self.carried[flight.sender[0], domain] -= 1
            if person.carrier:
                self.used[*flight.day, person.carrier.lower()] -= person.segments

    def _ended_elsewhere(self, flight: ModelFlight, person: Person) -> bool:
        late = flight.orphan and not flight.asking
        return late or person.place in flight.settled or self._state(flight.campaign) == "canceled"

    def _end(self, person: Person, state: str) -> None:
        """Nobody whose earlier attempt may have arrived is certain not to have been sent to."""
        if state in {"canceled", "skipped", "expired"} and self._attempts(person):
            person.dropped = state
            state = "unknown"
        person.end(state)

    def _own(self, flight: ModelFlight, person: Person, attempt: int, outcome: str, due: int, at: int) -> None:
        if person.place in flight.settled and outcome != "accepted":
            return
        if outcome == "retry" and self._state(flight.campaign) == "canceled":
            self._end(person, "canceled")
        elif outcome == "retry":
            self._again(person, due, attempt)
        elif outcome == "unknown" and not flight.asking and self._resends(flight.campaign):
            person.uncertain += 1
            self._resend(person, flight.campaign, max(due, at), attempt)
        else:
            self._end(person, outcome)

    def _late(self, flight: ModelFlight, person: Person, attempt: int, outcome: str, at: int) -> None:
        unsent = outcome in {"retry", "skipped", "expired"}
        if outcome == "unknown" and flight.resent:
            person.uncertain += person.place not in flight.settled
        if outcome == "unknown":
            return
        if unsent and flight.resent:
            if person.place not in flight.settled:
                flight.settled.add(person.place)
                if person.dropped and not self._attempts(person):
                    person.end(person.dropped)
            return
        if flight.resent:
            person.waiting = False
            for other in self.flights.values():
                if any(seat is person for seat, _ in other.seats):
                    other.settled.add(person.place)
        elif person.place in flight.settled and outcome != "accepted":
            return
        if unsent:
            self._not_sent_after_all(flight, person, attempt, at)
        else:
            self._end(person, outcome)

    def _not_sent_after_all(self, flight: ModelFlight, person: Person, attempt: int, at: int) -> None:
        known = self.controls.get(flight.campaign)
        if self._attempts(person):
            return
        if known is None or known.state == "canceled" or known.settings.resolved:
            self._end(person, "rejected")
            return
        person.final = None
        self._again(person, at, attempt)

    def _control(self, offset: int, control: Control) -> None:
        known = self.controls.get(control.campaign)
        if control.campaign in self.finished:
            return
        if known is not None and (known.state == "canceled" or control.revision <= known.revision):
            return
        self.controls[control.campaign] = control
        if known is not None and known.state == "paused" and control.state == "running":
            self.resumed[control.campaign] = control.at
        if control.state == "canceled":
            self.canceled_at[control.campaign] = offset
            for person in self.people.values():
                if person.waiting and person.key[0] == control.campaign:
                    person.waiting = False
                    self._end(person, "canceled")

    def _leave(self, record: Drop | Defer) -> None:
        for slice_ in record.slices:
            for person in self._waiting(slice_) or []:
                if isinstance(record, Defer):
                    self._again(person, record.due, person.attempt)
                    person.planned = record.due
                else:
                    person.waiting = False
                    self._end(person, record.state)


class Accounting:
    """What the ClickHouse writer keeps: sets of ordinals, and of them the state of each recipient."""

    def __init__(self) -> None:
        self.sets: set[tuple[tuple[str, int, int], str, int, str, int, int]] = set()
        self._best: dict[tuple[str, int, int], tuple[int, int, int]] = {}
        self.state: dict[tuple[str, int, int], str] = {}

    def add(self, chunk: StatusChunk) -> None:
        for group in chunk.groups:
            for ordinal in group.ordinals:
                key = (chunk.campaign, chunk.message, ordinal)
                self.sets.add((key, group.state, group.attempt, group.reason, group.segments, group.price))
                final = group.state not in PASSING
                rank = (1, FINALS.index(group.state), 0) if final else (0, group.attempt, PASSING.index(group.state))
                if rank >= self._best.get(key, (-1, 0, 0)):
                    self._best[key], self.state[key] = rank, group.state


def waiting(state: LaneState) -> dict[Place, tuple[int, int]]:
    """Place → (due, attempt) of everybody who waits."""
    return {
        (chunk.offset, position): (span.due, span.attempt)
        for chunk in state.chunks.values()
        for span in chunk.spans
        for position in range(span.start, span.stop)
    }


def plain(state: LaneState) -> dict[str, Any]:
    """All that a lane's state is, in a form that can be compared."""
    return {
        "next_offset": state.next_offset,
        "epoch": state.epoch,
        "nonce": state.nonce,
        "owned_at": state.owned_at,
        "last_intent_at": state.last_intent_at,
        "campaigns": state.campaigns,
        "finished": state.finished,
        "accounts": state.accounts,
        "senders": state.senders,
        "carriers": state.carriers.used,
        "domains": state.domains,
        "domain_counts": state.domain_counts.used,
        "downtime": _downtime(state.downtime),
        "away": {name: _downtime(downtime) for name, downtime in state.away.items()},
        "resumed": state.resumed,
        "seen": {key: list(ordinals) for key, ordinals in state.seen.items()},
        "waiting": waiting(state),
        "chunks": {
            offset: (chunk.key, chunk.sender, chunk.packed, chunk.flights, chunk.uncertain, chunk.moved)
            for offset, chunk in state.chunks.items()
        },
        "flights": state.flights,
        "resent": set(state.resent),
        "counts": (state.waiting, state.live_bytes),
    }


def _downtime(downtime: Downtime) -> tuple[int, int, list[tuple[int, int]]]:
    return downtime.heard_at, downtime.away_since, downtime.spans


def check_counts(state: LaneState) -> None:
    """What is counted as it goes is what counting again gives; nothing is kept that nobody needs."""
    spans = [span for chunk in state.chunks.values() for span in chunk.spans]
    assert all(span.start < span.stop for span in spans)
    for chunk in state.chunks.values():
        assert all(a.stop <= b.start for a, b in zip(chunk.spans, chunk.spans[1:], strict=False))
        seats = sum(slice_[0] == chunk.offset for flight in state.flights.values() for slice_ in flight.slices)
        assert chunk.flights == seats
        assert chunk.spans or chunk.flights, "a chunk is kept that nobody needs"
    assert state.waiting == sum(span.count for span in spans)
    assert state.live_bytes == sum(len(chunk.packed) for chunk in state.chunks.values())
    ready = [span for queue in state.table.ready_queues() for span in state.table.ready(queue)]
    assert state.table.ready_count == sum(span.count for span in ready)
    assert {id(span) for span in ready} <= {id(span) for span in spans}, "the delay table holds what is gone"


def check_lateness(state: LaneState, model: Model, now: int) -> None:
    """The fold agrees with the model about how late everybody is who waits."""
    for person in model.people.values():
        if person.waiting:
            chunk, position = person.place
            assert lateness(state, state.chunks[chunk], position, now) == model.late(person, now), person


def check_model(state: LaneState, model: Model, accounting: Accounting) -> None:
    """The fold agrees with the model, and the accounting with both (invariant I1)."""
    assert waiting(state) == {p.place: (p.due, p.attempt) for p in model.people.values() if p.waiting}
    uncertain = Counter(
        (chunk, place) for item in state.chunks.values() for chunk, a, b in item.uncertain for place in range(a, b)
    )
    assert all(uncertain[p.place] == p.uncertain for p in model.people.values() if p.waiting)
    assert {
        divmod(name, 1024): (f.sender, f.aggregator, f.orphan, f.resent, f.asking, _seats(f.slices, f.attempts))
        for name, f in state.flights.items()
    } == {
        name: (f.sender, f.via, f.orphan, f.resent, f.asking, [(p.place, attempt) for p, attempt in f.seats])
        for name, f in model.flights.items()
    }
    assert set(state.resent) == {name for name, f in state.flights.items() if f.orphan and f.resent}
    assert (state.accounts, state.senders) == (model.accounts, model.senders)
    _check_carriers(state, model)
    assert state.domains == model.domains
    counted = {(account, name): n for account, by in state.domain_counts.used.items() for name, n in by.items() if n}
    assert counted == {key: n for key, n in model.carried.items() if n}
    assert state.finished == model.finished
    known = {key for key in model.people if key[0] not in model.finished}
    assert {(*key, ordinal) for key, seen in state.seen.items() for ordinal in seen} == known
    assert accounting.state.keys() == model.people.keys()
    flying = model.flying()
    for key, person in model.people.items():
        reported = accounting.state[key]
        if person.final is not None:
            assert reported == person.final
            assert not person.waiting
        elif person.waiting:
            assert reported in {"delayed", "queued"}
            assert key not in flying
        else:
            assert reported == "in_flight"
            assert key in flying


def _check_carriers(state: LaneState, model: Model) -> None:
    """Of each brand's newest day and the one before, which are all that is kept."""
    newest: dict[tuple[str, str], int] = {}
    for brand, day, _ in model.used:
        newest[brand] = max(day, newest.get(brand, 0))
    kept = {key: used for key, used in model.used.items() if used and key[1] >= newest[key[0]] - 1}
    assert {key: n for key, n in state.carriers.used.items() if n and key[1] >= newest[key[0]] - 1} == kept


def _seats(slices: list[tuple[int, int, int]], attempts: list[int]) -> list[tuple[Place, int]]:
    return [
        ((chunk, position), attempt)
        for (chunk, start, stop), attempt in zip(slices, attempts, strict=True)
        for position in range(start, stop)
    ]
