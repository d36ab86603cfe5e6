"""The lane: a state machine whose only truth is its log (DESIGN section 4, rules L1 to L4 and L8).

`apply(state, offset, record, raw)` folds one record into the state and returns what follows from it. It is
deterministic: every reader of the same log reaches the same state and the same effects, whoever reads and however
often. Effects of records that are read again may be carried out again: statuses are sets, and `Submit` is carried
out only by the live owner of its epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyroaring import BitMap

from pipeline.lane_state import Chunk, Flight, LaneState, flight_of, pack
from pipeline.lane_status import Part, status_of
from schemas.lane import (
    CheckpointPart,
    Control,
    Defer,
    Drop,
    Intent,
    LaneRecord,
    Owner,
    Result,
    ResultGroup,
    Slice,
    Work,
)
from schemas.status import StatusChunk


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand the flight to the aggregator, if you are the owner of its epoch and live."""

    flight: Flight


@dataclass(frozen=True, slots=True)
class Void:
    """An INTENT that the log's order made void: nobody may submit it."""

    offset: int
    intent: Intent


@dataclass(frozen=True, slots=True)
class Owned:
    """The lane has a new owner; `epoch` is its epoch."""

    nonce: str
    epoch: int


Effect = StatusChunk | Submit | Void | Owned


def apply(state: LaneState, offset: int, record: LaneRecord, raw: bytes) -> list[Effect]:
    """Fold the record at `offset` into `state`; `raw` are its bytes. Offsets must rise."""
    state.next_offset = offset + 1
    match record:
        case Work():
            return _work(state, offset, record, raw)
        case Intent():
            return _intent(state, offset, record)
        case Result():
            return _result(state, record)
        case Control():
            return _control(state, record)
        case Owner():
            return _owner(state, offset, record)
        case Drop():
            return _drop(state, record)
        case Defer():
            return _defer(state, record)
        case CheckpointPart():
            return []


def _work(state: LaneState, offset: int, work: Work, raw: bytes) -> list[Effect]:
    key = (work.campaign, work.message)
    seen = state.seen.setdefault(key, BitMap())
    ordinals = BitMap(work.ordinals)
    repeated = ordinals & seen
    seen |= ordinals
    state.seen[key] = seen
    chunk = Chunk(offset, key, pack(raw))
    state.hold(chunk)
    state.remember(offset, work)
    parts: list[Part] = []
    for start, stop, due in _fresh_runs(work, repeated):
        parts.append(Part((offset, start, stop), 0, "delayed" if due > work.at else "queued"))
        state.wait(chunk, start, stop, due, 0)
    effects: list[Effect] = [*status_of(state, key, parts, work.at)]
    if parts and _canceled(state, work.campaign):
        effects = _cancel(state, work.campaign, work.at)
    state.forget(chunk)
    return effects


def _fresh_runs(work: Work, repeated: BitMap) -> list[tuple[int, int, int]]:
    """(start, stop, due) of the runs of positions that the lane has not seen before and that share a due time."""
    runs: list[tuple[int, int, int]] = []
    position = 0
    for count, due in work.dues:
        end = position + count
        if not repeated:
            runs.append((position, end, due))
        else:
            runs.extend((start, stop, due) for start, stop in _unseen(work.ordinals, position, end, repeated))
        position = end
    return [run for run in runs if run[0] < run[1]]


def _unseen(ordinals: list[int], start: int, end: int, repeated: BitMap) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for position in range(start, end):
        if ordinals[position] in repeated:
            continue
        if runs and runs[-1][1] == position:
            runs[-1] = (runs[-1][0], position + 1)
        else:
            runs.append((position, position + 1))
    return runs


def _intent(state: LaneState, offset: int, intent: Intent) -> list[Effect]:
    valid = (
        intent.epoch == state.epoch
        and state.running(intent.campaign)
        and all(state.waits(one) for one in intent.slices)
        and all(state.chunks[one[0]].key == (intent.campaign, intent.message) for one in intent.slices)
    )
    if not valid:
        return [Void(offset, intent)]
    state.last_intent_at = max(state.last_intent_at, intent.at)
    taken = [part for one in intent.slices for part in state.take(one)]
    flight = flight_of(offset, intent, taken)
    state.flights[offset] = flight
    for (chunk, _, _), _turn in taken:
        state.chunks[chunk].flights += 1
    parts = [Part(one, turn, "in_flight") for one, turn in taken]
    return [*status_of(state, flight.key, parts, intent.at), Submit(flight)]


def _result(state: LaneState, result: Result) -> list[Effect]:
    flight = state.flights.pop(result.intent, None)
    if flight is None:
        return []
    parts: list[Part] = []
    for group in result.groups:
        for part in _grouped(flight, group):
            parts.extend(_settle(state, flight, group, part, result.at))
    effects: list[Effect] = [*status_of(state, flight.key, parts, result.at)]
    if _canceled(state, flight.key[0]):
        effects += _cancel(state, flight.key[0], result.at)
    _land(state, flight)
    return effects


def _settle(state: LaneState, flight: Flight, group: ResultGroup, part: Part, at: int) -> list[Part]:
    chunk = state.chunks[part.slice[0]]
    _, start, stop = part.slice
    if group.outcome == "retry":
        if not flight.orphan:
            state.wait(chunk, start, stop, group.due, part.turn + 1)
            state_name = "delayed" if group.due > at else "queued"
            return [Part(part.slice, part.turn + 1, state_name, group.reason)]
        if _resends(state, flight.key[0]):
            return []
        # It is known now that it was not sent, but the accounting has it as unknown, which never waits again.
        return [Part(part.slice, part.turn, "rejected", "not_sent_by_lost_owner")]
    if flight.orphan:
        # The truth about it came late; what a resend still holds of it must not go out a second time.
        for low, high in state.waiting_within(part.slice):
            state.take((part.slice[0], low, high))
    return [part]


def _grouped(flight: Flight, group: ResultGroup) -> list[Part]:
    """The flight's slices cut to the indices of a group, with the aggregator's ids."""
    if group.indices is None:
        return _whole(flight, group)
    parts: list[Part] = []
    bounds = _positions(flight)
    for n, index in enumerate(group.indices):
        chunk, position, turn = bounds[index]
        last = parts[-1] if parts else None
        identifier = group.ids[n] if group.ids is not None else None
        if last and last.slice[0] == chunk and last.slice[2] == position and last.turn == turn:
            last.slice = (chunk, last.slice[1], position + 1)
        else:
            last = Part((chunk, position, position + 1), turn, group.outcome, group.reason, [] if group.ids else None)
            parts.append(last)
        if identifier is not None and last.ids is not None:
            last.ids.append(identifier)
    return parts


def _whole(flight: Flight, group: ResultGroup) -> list[Part]:
    parts: list[Part] = []
    index = 0
    for one, turn in zip(flight.slices, flight.turns, strict=True):
        end = index + one[2] - one[1]
        ids = None if group.ids is None else group.ids[index:end]
        parts.append(Part(one, turn, group.outcome, group.reason, ids))
        index = end
    return parts


def _positions(flight: Flight) -> list[tuple[int, int, int]]:
    return [
        (chunk, position, turn)
        for (chunk, start, stop), turn in zip(flight.slices, flight.turns, strict=True)
        for position in range(start, stop)
    ]


def _control(state: LaneState, control: Control) -> list[Effect]:
    known = state.campaigns.get(control.campaign)
    if known is not None and (known.revision >= control.revision or known.state == "canceled"):
        return []
    state.campaigns[control.campaign] = control
    if control.state == "canceled":
        return _cancel(state, control.campaign, control.at)
    return []


def _canceled(state: LaneState, campaign: str) -> bool:
    control = state.campaigns.get(campaign)
    return control is not None and control.state == "canceled"


def _cancel(state: LaneState, campaign: str, at: int) -> list[Effect]:
    effects: list[Effect] = []
    by_key: dict[tuple[str, int], list[Part]] = {}
    for key, one, turn in state.clear(campaign):
        by_key.setdefault(key, []).append(Part(one, turn, "canceled"))
    for key, parts in by_key.items():
        effects += status_of(state, key, parts, at)
        for part in parts:
            chunk = state.chunks.get(part.slice[0])
            if chunk is not None:
                state.forget(chunk)
    return effects


def _owner(state: LaneState, offset: int, owner: Owner) -> list[Effect]:
    effects: list[Effect] = []
    for flight in state.flights.values():
        if not flight.orphan:
            effects += _orphan(state, flight, owner.at)
    state.epoch = offset + 1
    state.nonce = owner.nonce
    state.owned_at = owner.at
    return [*effects, Owned(owner.nonce, state.epoch)]


def _orphan(state: LaneState, flight: Flight, at: int) -> list[Effect]:
    """Rule L4: the owner died, or stalled, between INTENT and RESULT."""
    flight.orphan = True
    campaign = flight.key[0]
    parts: list[Part] = []
    if _resends(state, campaign) and not _canceled(state, campaign):
        for one, turn in zip(flight.slices, flight.turns, strict=True):
            state.wait(state.chunks[one[0]], one[1], one[2], at, turn + 1)
            parts.append(Part(one, turn + 1, "queued", "owner_lost"))
    else:
        parts = [
            Part(one, turn, "unknown", "owner_lost") for one, turn in zip(flight.slices, flight.turns, strict=True)
        ]
    return [*status_of(state, flight.key, parts, at)]


def _resends(state: LaneState, campaign: str) -> bool:
    control = state.campaigns.get(campaign)
    return control is not None and control.settings.unknown in {"resend", "resend-with-key"}


def _land(state: LaneState, flight: Flight) -> None:
    for chunk_offset, _, _ in flight.slices:
        chunk = state.chunks[chunk_offset]
        chunk.flights -= 1
        state.forget(chunk)


def _drop(state: LaneState, drop: Drop) -> list[Effect]:
    return _leave(state, drop.epoch, drop.slices, drop.at, drop.state, drop.reason, due=None)


def _defer(state: LaneState, defer: Defer) -> list[Effect]:
    return _leave(state, defer.epoch, defer.slices, defer.at, "delayed", defer.reason, due=defer.due)


def _leave(
    state: LaneState, epoch: int, slices: list[Slice], at: int, to: str, reason: str, due: int | None
) -> list[Effect]:
    if epoch != state.epoch:
        return []
    effects: list[Effect] = []
    for one in slices:
        if not state.waits(one):
            continue
        chunk = state.chunks[one[0]]
        parts: list[Part] = []
        for part, turn in state.take(one):
            if due is not None:
                state.wait(chunk, part[1], part[2], due, turn + 1)
            parts.append(Part(part, turn + (due is not None), to, reason))
        effects += status_of(state, chunk.key, parts, at)
        state.forget(chunk)
    return effects
