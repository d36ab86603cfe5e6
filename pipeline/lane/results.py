"""What a RESULT does to a lane (rules L3 and L4), and what the loss of an owner does to its flights.

| flight | accepted, rejected | retry | skipped, expired | unknown |
|---|---|---|---|---|
| of the owner | final | waits again, or canceled with the campaign | final | as the policy says |
| asked for | final | waits again, or canceled with the campaign | final | `query`: asked on; final in the answer |
| of a lost owner, unknown | the truth after all | waits again, or rejected where it cannot | as retry | nothing new |
| of a lost owner, waits | final: what still waits is taken out | waits | waits | waits |
| of a lost owner, left the queue | the truth after all | ends as the queue said | as retry | nothing new |

Policies for what nobody knows: `skip` final, `resend` and `resend-with-key` wait again until as many attempts may
have arrived as are allowed (then final), `query` stays in flight and is asked for until the aggregator has said what
became of it, whoever owns the lane by then. Who waits again and then ends without another submission is unknown
(`pipeline.lane.doubt`).

An owner that is lost is not always dead: in a rebalance it lives, and tells within seconds what it did not submit.
Under `skip` its flights are asked for too, though of nobody but itself: they stay in flight until its RESULT is there
or `pipeline.sending.unknown.ask.HEARD_BY_MS` are over, and only then are unknown. A RESULT that comes later and
proves that they were not submitted lets them wait again, one attempt later. It cannot where the campaign is finished
or canceled, or an operator has resolved its unknown messages: then they are rejected, `not_sent_by_lost_owner`.
"""

from __future__ import annotations

from pipeline.lane.doubt import CERTAIN, certain_after_all, doubt, honest, is_spent, remember_dropped
from pipeline.lane.effects import Ask, Effect, Malformed
from pipeline.lane.lateness import move
from pipeline.lane.outcomes import Outcome, outcomes, without
from pipeline.lane.release import moves, releases
from pipeline.lane.state import Flight, LaneState, next_attempt
from pipeline.lane.status import Part, status_of
from schemas.lane import Result, ResultGroup
from schemas.reasons import Reason

NOT_PROCESSED = frozenset({"retry", "skipped", "expired"})
"""Outcomes of recipients that the aggregator certainly did not take."""


def result(state: LaneState, offset: int, record: Result) -> list[Effect]:
    """Settle the flight of an INTENT. One that is void, settled or unknown here changes nothing."""
    flight = state.flights.get(record.intent)
    if flight is None:
        return []
    found, wrong = outcomes(flight, record.groups)
    if flight.asking:
        found = [(group, left) for group, part in found for left in without(part, flight.settled)]
    open_still: list[Outcome] = []
    if not record.asked and state.asks(flight.key[0]) and (flight.asking or not flight.orphan):
        open_still = [one for one in found if one[0].outcome == "unknown"]
        found = [one for one in found if one[0].outcome != "unknown"]
    settle = _late if flight.orphan and not flight.asking else _settle
    settled = [(group, settle(state, flight, group, part, record.at)) for group, part in found]
    parts = [done for _, some in settled for done in some]
    effects: list[Effect] = [Malformed(offset, f"result of intent {flight.offset}: {why}") for why in wrong]
    effects += status_of(state, flight.key, honest(state, parts), record.at)
    remember_dropped(state, parts)
    # Who was let wait again may get another attempt, unless they have ended meanwhile.
    over = [part for part in parts if part.state in CERTAIN] if flight.orphan and flight.resent else parts
    effects += releases(state, flight.key, over, record.at)
    for group, some in settled:
        effects += moves(state, flight.key, some, group.due, record.at)
    for group, part in found:
        if group.outcome in NOT_PROCESSED and (carried := state.carriers_of(part.slice)) is not None:
            state.carriers.give_back(flight.at, *carried)
    if open_still:
        flight.asking = True
        flight.settled += [part.slice for _, part in found]
        return [*effects, Ask(flight)]
    if record.asked and flight.orphan and not state.asks(flight.key[0]):
        # Nobody was asked: the lost owner was waited for, and may tell the truth yet.
        flight.asking = False
        flight.settled += [part.slice for group, part in found if group.outcome != "unknown"]
        return effects
    del state.flights[flight.offset]
    _land(state, flight)
    return effects


def orphan(state: LaneState, flight: Flight, at: int) -> list[Effect]:
    """Rule L4: the owner died, or stalled, between INTENT and RESULT."""
    flight.orphan = True
    flight.resent = not flight.asking and state.resends(flight.key[0])
    if not flight.resent:
        flight.asking = True
        return []
    parts = [
        done
        for left, attempt in flight.open()
        for done in _resend(state, flight, Part(left, attempt, "unknown", Reason.OWNER_LOST), at, at)
    ]
    return [*status_of(state, flight.key, parts, at)]


def _resend(state: LaneState, flight: Flight, part: Part, due: int, at: int) -> list[Part]:
    """Who had an attempt that may have arrived waits for another, or is unknown for good after as many as allowed."""
    return [
        piece if spent else _again(state, piece, due, at, part.reason)
        for piece, spent in is_spent(state, part, state.attempts_allowed(flight.key[0]))
    ]


def _settle(state: LaneState, flight: Flight, group: ResultGroup, part: Part, at: int) -> list[Part]:
    """An outcome of the owner's own flight, or of one that is asked for."""
    left = [part] if group.outcome == "accepted" else without(part, flight.settled)
    if group.outcome == "retry" and state.canceled(flight.key[0]):
        return [Part(piece.slice, piece.attempt, "canceled", group.reason) for piece in left]
    if group.outcome == "retry":
        if group.reason == Reason.QUIET_HOURS:
            for piece in left:
                move(state.chunks[piece.slice[0]], piece.slice, group.due)
        return [_again(state, piece, group.due, at, group.reason) for piece in left]
    if group.outcome == "unknown" and not flight.asking and state.resends(flight.key[0]):
        for piece in left:
            doubt(state, piece.slice)
        return [done for piece in left for done in _resend(state, flight, piece, max(group.due, at), at)]
    return left


def _late(state: LaneState, flight: Flight, group: ResultGroup, part: Part, at: int) -> list[Part]:
    """An outcome that a lost owner tells after all."""
    if not flight.resent:
        if group.outcome == "unknown":
            return []
        if group.outcome in NOT_PROCESSED:
            return [done for one in without(part, flight.settled) for done in _not_sent_after_all(state, one, at)]
        return without(part, flight.settled) if group.outcome != "accepted" else [part]
    if group.outcome in NOT_PROCESSED:
        return certain_after_all(state, flight, part)
    if group.outcome == "unknown":
        for open_still in without(part, flight.settled):
            doubt(state, open_still.slice)
        return []
    for piece in state.waiting_within(part.slice):
        state.take(piece)
    _settle_elsewhere(state, part)
    return [part]


def _not_sent_after_all(state: LaneState, part: Part, at: int) -> list[Part]:
    """Who was unknown, and was certainly not submitted by this flight. Who had an earlier attempt stays unknown."""
    sure = [piece for piece, doubted in is_spent(state, part, 1) if not doubted]
    if state.may_wait_again(state.chunks[part.slice[0]].key[0]):
        return [_again(state, piece, at, at, Reason.NOT_SENT_BY_LOST_OWNER) for piece in sure]
    return [Part(piece.slice, piece.attempt, "rejected", Reason.NOT_SENT_BY_LOST_OWNER) for piece in sure]


def _settle_elsewhere(state: LaneState, part: Part) -> None:
    chunk, start, stop = part.slice
    for other in state.flights.values():
        for at, low, high in other.slices:
            if at == chunk and low < stop and start < high:
                other.settled.append((chunk, max(low, start), min(high, stop)))


def _again(state: LaneState, part: Part, due: int, at: int, reason: str) -> Part:
    chunk, start, stop = part.slice
    attempt = next_attempt(part.attempt)
    state.wait(state.chunks[chunk], start, stop, due, attempt)
    return Part(part.slice, attempt, "delayed" if due > at else "queued", reason)


def _land(state: LaneState, flight: Flight) -> None:
    for offset, _, _ in flight.slices:
        chunk = state.chunks[offset]
        chunk.flights -= 1
        state.forget(chunk)
