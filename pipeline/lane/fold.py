"""The lane: a state machine whose only truth is its log (docs/internals/lane.md, rules L1 to L4 and L8).

`apply(state, offset, record, raw)` folds one record into the state and returns what follows from it. It is
deterministic: every reader of the same log reaches the same state and the same effects, whoever reads and however
often. Effects of records that are read again may be carried out again: statuses are sets, and `Submit` is carried
out only by the live owner of its epoch. It never raises for a record that decodes: a lane cannot skip records.
"""

from __future__ import annotations

from itertools import pairwise

from pyroaring import BitMap

from pipeline.lane.cancel import cancel
from pipeline.lane.effects import Ask, Effect, InBatches, Malformed, Owned, Submit, Void
from pipeline.lane.lateness import move
from pipeline.lane.release import moves, releases
from pipeline.lane.results import journal, orphan, result
from pipeline.lane.scheduler import Key
from pipeline.lane.state import Chunk, Flight, LaneState, next_attempt, pack
from pipeline.lane.status import Part, status_of
from pipeline.lane.uncertain import finalize_parts
from schemas.ids import zone_names
from schemas.lane import (
    AccountTerms,
    CheckpointPart,
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
    SenderId,
    SenderTerms,
    Slice,
    SubmissionJournal,
    Work,
    flight_id,
)

__all__ = ["Ask", "Effect", "InBatches", "Malformed", "Owned", "Submit", "Void", "apply"]


def apply(state: LaneState, offset: int, record: LaneRecord, raw: bytes) -> list[Effect]:
    """Fold the record at `offset` into `state`; `raw` are its bytes. Offsets must rise."""
    state.next_offset = offset + 1
    match record:
        case Work():
            return _work(state, offset, record, raw)
        case Intent():
            return _intent(state, offset, record)
        case Result():
            return result(state, offset, record)
        case Control():
            return _control(state, record)
        case AccountTerms() | SenderTerms():
            return _terms(state, offset, record)
        case DomainTerms():
            return _domains(state, record)
        case Owner():
            return _owner(state, offset, record)
        case Heartbeat():
            return _heartbeat(state, record)
        case Drop() | Defer():
            return _leave(state, record)
        case Finish():
            return _finish(state, offset, record)
        case SubmissionJournal():
            return journal(state, record)
        case CheckpointPart():
            return []


def _work(state: LaneState, offset: int, work: Work, raw: bytes) -> list[Effect]:
    if work.campaign in state.finished:
        return []
    key = (work.campaign, work.message)
    runs = _fresh_runs(work, _mark_seen(state, key, work.ordinals))
    if not runs:
        return []
    chunk = Chunk(offset, key, (work.account, work.sender), pack(raw))
    state.hold(chunk)
    state.remember(offset, work)
    if state.canceled(work.campaign):
        parts = [Part((offset, start, stop), 0, "canceled") for start, stop, _, _ in runs]
    else:
        parts = [_waits(work, (offset, start, stop), due, reason) for start, stop, due, reason in runs]
        for start, stop, due, _ in runs:
            state.wait(chunk, start, stop, due, 0)
    effects: list[Effect] = [*status_of(state, key, parts, work.at), *releases(state, key, parts, work.at)]
    state.forget(chunk)
    return effects


def _waits(work: Work, slice_: Slice, due: int, reason: str) -> Part:
    return Part(slice_, 0, "delayed", reason) if due > work.at else Part(slice_, 0, "queued")


def _mark_seen(state: LaneState, key: Key, ordinals: list[int]) -> list[bool] | None:
    """Mark ordinals as seen. Returns for each whether it is new; None where all are new, the usual case."""
    seen = state.seen.get(key)
    if seen is None:
        seen = state.seen[key] = BitMap()
    distinct = BitMap(ordinals)
    if len(distinct) == len(ordinals) and not seen.intersect(distinct):
        seen |= distinct
        return None
    fresh: list[bool] = []
    for ordinal in ordinals:
        fresh.append(ordinal not in seen)
        seen.add(ordinal)
    return fresh


Run = tuple[int, int, int, str]


def _fresh_runs(work: Work, fresh: list[bool] | None) -> list[Run]:
    """(start, stop, due, reason) of each run of positions that are new to the lane and share a due time and
    reason."""
    runs: list[Run] = []
    position = 0
    for (count, due), reason in zip(work.dues, work.reasons or [""] * len(work.dues), strict=True):
        start, position = position, position + count
        if fresh is None:
            if count:
                runs.append((start, position, due, reason))
            continue
        for at in range(start, position):
            if not fresh[at]:
                continue
            if runs and runs[-1][1] == at and at > start:
                runs[-1] = (runs[-1][0], at + 1, due, reason)
            else:
                runs.append((at, at + 1, due, reason))
    return runs


def _intent(state: LaneState, offset: int, intent: Intent) -> list[Effect]:
    """Each valid pick becomes a flight; they are submitted together."""
    flights = [_fly(state, offset, index, intent) for index in range(len(intent.picks))]
    valid = [flight for flight in flights if flight is not None]
    effects: list[Effect] = []
    by_key: dict[Key, list[Part]] = {}
    for flight in valid:
        by_key.setdefault(flight.key, []).extend(
            Part(slice_, attempt, "in_flight") for slice_, attempt in zip(flight.slices, flight.attempts, strict=True)
        )
    for key, parts in by_key.items():
        effects += status_of(state, key, parts, intent.at)
    if valid:
        state.last_intent_at = max(state.last_intent_at, intent.at)
        effects.append(Submit(offset, valid))
    if len(valid) < len(flights):
        effects.append(Void(offset, len(flights) - len(valid)))
    return effects


def _fly(state: LaneState, offset: int, index: int, intent: Intent) -> Flight | None:
    pick = intent.picks[index]
    sender = _sender_of(state, pick) if intent.epoch == state.epoch else None
    if sender is None or not _has_domains(state, pick, sender[0]):
        return None
    taken = [part for slice_ in pick.slices for part in state.take(slice_)]
    flight = Flight(
        id=flight_id(offset, index),
        epoch=intent.epoch,
        key=(pick.campaign, pick.message),
        sender=sender,
        aggregator=state.aggregator_of(sender),
        brand=state.brand_of(sender),
        day=state.day(sender[0], intent.at),
        slices=[slice_ for slice_, _ in taken],
        attempts=[attempt for _, attempt in taken],
        at=intent.at,
        nonce=state.nonce,
        domains=pick.domains,
    )
    state.flights[flight.id] = flight
    if flight.domains:
        state.domain_counts.count(sender[0], flight.domains, flight.count)
    for (chunk, _, _), _attempt in taken:
        state.chunks[chunk].flights += 1
    for slice_ in pick.slices:
        if (carried := state.carriers_of(slice_)) is not None:
            state.carriers.count(flight.brand, flight.day, *carried)
    return flight


def _sender_of(state: LaneState, pick: Pick) -> SenderId | None:
    """Rule L2: the campaign is running, and each recipient is named once, is waiting, and gets its message from the
    same sender, which it names; None where the pick is void."""
    if not pick.slices or not state.running(pick.campaign) or not all(state.waits(slice_) for slice_ in pick.slices):
        return None
    sender = state.chunks[pick.slices[0][0]].sender
    queue = (sender, (pick.campaign, pick.message))
    if any(state.chunks[chunk].queue != queue for chunk, _, _ in pick.slices):
        return None
    return sender if _disjoint(pick.slices) else None


def _has_domains(state: LaneState, pick: Pick, account: str) -> bool:
    """Whether the pick's domains have room for its recipients."""
    if not pick.domains:
        return True
    count = sum(stop - start for _, start, stop in pick.slices)
    return state.domain_counts.have_room(state.domains.get(account), pick.domains, count)


def _disjoint(slices: list[Slice]) -> bool:
    if len(slices) == 1:
        return True
    ordered = sorted(slices)
    return all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(ordered))


def _control(state: LaneState, control: Control) -> list[Effect]:
    previous = state.campaigns.get(control.campaign)
    if control.campaign in state.finished:
        return []
    if previous is not None and (previous.revision >= control.revision or previous.state == "canceled"):
        return []
    state.campaigns[control.campaign] = control
    if previous is not None and previous.state == "paused" and control.state == "running":
        state.resumed[control.campaign] = control.at
    return cancel(state, control.campaign, control.at) if control.state == "canceled" else []


def _terms(state: LaneState, offset: int, record: AccountTerms | SenderTerms) -> list[Effect]:
    """Limits hold from their place in the log on."""
    if isinstance(record, AccountTerms):
        if record.zone not in zone_names():
            return [Malformed(offset, f"terms of account {record.account}: {record.zone!r} is no IANA time zone")]
        known = state.accounts.get(record.account)
        if known is None or record.revision > known.revision:
            state.accounts[record.account] = record
        return []
    name = (record.account, record.sender)
    known_sender = state.senders.get(name)
    if known_sender is None or record.revision > known_sender.revision:
        state.senders[name] = record
    return []


def _domains(state: LaneState, record: DomainTerms) -> list[Effect]:
    known = state.domains.get(record.account)
    if known is None or record.revision > known.revision:
        state.domains[record.account] = record
    return []


def _finish(state: LaneState, offset: int, record: Finish) -> list[Effect]:
    """Rule L8 without the bitmap: from here on every ordinal of the campaign counts as seen."""
    if not state.is_idle(record.campaign):
        return [Malformed(offset, f"FINISH for campaign {record.campaign}, which still has recipients in this lane")]
    state.finished.add(record.campaign)
    state.campaigns.pop(record.campaign, None)
    state.resumed.pop(record.campaign, None)
    for key in [key for key in state.seen if key[0] == record.campaign]:
        del state.seen[key]
    return []


def _owner(state: LaneState, offset: int, owner: Owner) -> list[Effect]:
    effects: list[Effect] = []
    for flight in state.flights.values():
        if not flight.orphan:
            effects += orphan(state, flight, owner.at)
    asks = [Ask(flight) for flight in state.flights.values() if flight.asking]
    state.epoch = offset + 1
    state.nonce = owner.nonce
    state.owned_at = owner.at
    for downtime in (state.downtime, *state.away.values()):
        downtime.take_owner(owner.at)
    return [*effects, Owned(owner.nonce, state.epoch), *asks]


def _heartbeat(state: LaneState, record: Heartbeat) -> list[Effect]:
    if record.epoch != state.epoch:
        return []
    for name in record.down:
        if name not in state.away:
            state.away[name] = state.downtime.copy()
    state.downtime.take_heartbeat(record.at, able=True)
    for name, downtime in state.away.items():
        downtime.take_heartbeat(record.at, able=name not in record.down)
    return []


def _leave(state: LaneState, record: Drop | Defer) -> list[Effect]:
    """Take slices out of the queue, or let them wait longer. A slice is ignored if any of its recipients is
    not waiting."""
    if record.epoch != state.epoch:
        return []
    to, due = ("delayed", record.due) if isinstance(record, Defer) else (record.state, None)
    by_key: dict[Key, list[Part]] = {}
    for slice_ in record.slices:
        if not state.waits(slice_):
            continue
        chunk = state.chunks[slice_[0]]
        for part, attempt in state.take(slice_):
            if due is not None:
                state.wait(chunk, part[1], part[2], due, next_attempt(attempt))
                move(chunk, part, due)
            attempt_after = attempt if due is None else next_attempt(attempt)
            by_key.setdefault(chunk.key, []).append(Part(part, attempt_after, to, record.reason))
    effects: list[Effect] = []
    for key, parts in by_key.items():
        final_parts = finalize_parts(state, parts)
        effects += [*status_of(state, key, final_parts, record.at), *releases(state, key, final_parts, record.at)]
        if due is not None:
            effects += moves(state, key, parts, due, record.at)
    for offset in {slice_[0] for slice_ in record.slices} & state.chunks.keys():
        state.forget(state.chunks[offset])
    return effects
