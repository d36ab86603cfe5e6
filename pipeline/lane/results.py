"""How a RESULT changes a lane (rules L3 and L4), and how the loss of an owner changes its flights.

| flight | accepted, rejected | retry | skipped, expired | unknown |
|---|---|---|---|---|
| of the owner | final | waits again, or canceled with the campaign | final | as the policy says |
| asked for | final | waits again, or canceled with the campaign | final | `query`: asked again; final in the answer |
| of a lost owner, unknown | final | waits again, or rejected where it cannot | as retry | stays unknown |
| of a lost owner, waits | final: what still waits is taken out | waits | waits | waits |
| of a lost owner, left the queue | final | ends as the queue said | as retry | stays unknown |

Policies for unknown outcomes: under `skip` unknown is final. Under `resend` and `resend-with-key` the recipients wait
again until the allowed number of attempts may have arrived; then unknown is final. Under `query` they stay in flight
until the aggregator has answered what became of them, even if the lane changes its owner. A recipient who waits again
and then ends without another submission is unknown (`pipeline.lane.uncertain`).

A lost owner is not always dead: in a rebalance it is alive, and writes within seconds what it did not submit. Under
`skip` its flights are also queried, but only by waiting for its RESULT. They stay in flight until that RESULT is
there or `pipeline.sending.unknown.ask.HEARD_BY_MS` have passed, and become unknown only then. If a later RESULT
proves that they were not submitted, they wait again, with the next attempt. Where they cannot, because the campaign
is finished or canceled or an operator has resolved its unknown messages, they are rejected, `not_sent_by_lost_owner`.
"""

from __future__ import annotations

from pipeline.lane.effects import Ask, Effect, Malformed
from pipeline.lane.lateness import move
from pipeline.lane.outcomes import Outcome, outcomes, without
from pipeline.lane.release import moves, releases
from pipeline.lane.state import Flight, LaneState, next_attempt
from pipeline.lane.status import Part, status_of
from pipeline.lane.uncertain import (
    CERTAIN,
    certain_after_all,
    finalize_parts,
    mark_uncertain,
    split_exhausted,
)
from schemas.lane import FlightResult, Result, ResultGroup, SubmissionJournal
from schemas.reasons import Reason

NOT_PROCESSED = frozenset({"retry", "skipped", "expired"})
"""Outcomes of recipients that the aggregator certainly did not take."""


def result(state: LaneState, offset: int, record: Result) -> list[Effect]:
    """Settle flights. A RESULT of a flight that is void, settled or not known changes nothing."""
    effects: list[Effect] = []
    for landed in record.flights:
        flight = state.flights.get(landed.flight)
        if flight is not None:
            effects += _result(state, offset, flight, landed, record)
    return effects


def _result(state: LaneState, offset: int, flight: Flight, landed: FlightResult, record: Result) -> list[Effect]:
    decided, problems = outcomes(flight, landed)
    if flight.asking:
        decided = [(group, remaining) for group, part in decided for remaining in without(part, flight.settled)]
    open_still: list[Outcome] = []
    if not record.asked and state.asks(flight.key[0]) and (flight.asking or not flight.orphan):
        open_still = [outcome for outcome in decided if outcome[0].outcome == "unknown"]
        decided = [outcome for outcome in decided if outcome[0].outcome != "unknown"]
    settle = _late if flight.orphan and not flight.asking else _settle
    settled = [(group, settle(state, flight, group, part, record.at)) for group, part in decided]
    parts = [piece for _, pieces in settled for piece in pieces]
    effects: list[Effect] = [
        Malformed(offset, f"result of a pick of intent {flight.intent}: {problem}") for problem in problems
    ]
    effects += status_of(state, flight.key, finalize_parts(state, parts), record.at)
    # Recipients who wait again may get another attempt, unless they have ended meanwhile.
    over = [part for part in parts if part.state in CERTAIN] if flight.orphan and flight.resent else parts
    effects += releases(state, flight.key, over, record.at)
    for group, pieces in settled:
        effects += moves(state, flight.key, pieces, group.due, record.at)
    _give_back(state, flight, decided)
    if open_still:
        flight.asking = True
        flight.settled += [part.slice for _, part in decided]
        return [*effects, Ask(flight)]
    if record.asked and flight.orphan and not state.asks(flight.key[0]):
        # No aggregator was asked: the owner waited for the lost owner's RESULT, which may still come.
        flight.asking = False
        flight.settled += [part.slice for group, part in decided if group.outcome != "unknown"]
        return effects
    del state.flights[flight.id]
    state.resent.pop(flight.id, None)
    _land(state, flight)
    return effects


def _give_back(state: LaneState, flight: Flight, decided: list[Outcome]) -> None:
    """What was not processed does not count against the limits of carriers and domains."""
    for group, part in decided:
        if group.outcome not in NOT_PROCESSED:
            continue
        if (carried := state.carriers_of(part.slice)) is not None:
            state.carriers.give_back(flight.brand, flight.day, *carried)
        if flight.domains:
            _, start, stop = part.slice
            state.domain_counts.count(flight.sender[0], flight.domains, start - stop)


def journal(state: LaneState, record: SubmissionJournal) -> list[Effect]:
    """A process died, and its journal proves what it had not handed over: as if it had said so itself."""
    submitted = set(record.submitted)
    effects: list[Effect] = []
    for flight in [*state.flights.values()]:
        if flight.nonce in record.nonces and flight.intent not in submitted:
            unsent = ResultGroup(outcome="retry", reason=Reason.NOT_SENT_BY_LOST_OWNER, due=record.at)
            proof = Result(flights=[FlightResult(flight=flight.id, groups=[unsent])], at=record.at)
            effects += result(state, flight.intent, proof)
    return effects


def orphan(state: LaneState, flight: Flight, at: int) -> list[Effect]:
    """Rule L4: the owner was lost between INTENT and RESULT."""
    flight.orphan = True
    flight.resent = not flight.asking and state.resends(flight.key[0])
    if flight.resent:
        state.resent[flight.id] = flight
    if not flight.resent:
        flight.asking = True
        return []
    parts = [
        piece
        for open_slice, attempt in flight.open()
        for piece in _resend(state, flight, Part(open_slice, attempt, "unknown", Reason.OWNER_LOST), at, at)
    ]
    return [*status_of(state, flight.key, parts, at)]


def _resend(state: LaneState, flight: Flight, part: Part, due: int, at: int) -> list[Part]:
    """Recipients with an uncertain attempt wait for the next one, or are finally unknown after as many as allowed."""
    return [
        piece if exhausted else _again(state, piece, due, at, part.reason)
        for piece, exhausted in split_exhausted(state, part, state.attempts_allowed(flight.key[0]))
    ]


def _settle(state: LaneState, flight: Flight, group: ResultGroup, part: Part, at: int) -> list[Part]:
    """Apply an outcome of the owner's own flight, or of one that is asked for."""
    remaining = [part] if group.outcome == "accepted" else without(part, flight.settled)
    if group.outcome == "retry" and state.canceled(flight.key[0]):
        return [Part(piece.slice, piece.attempt, "canceled", group.reason) for piece in remaining]
    if group.outcome == "retry":
        if group.reason == Reason.QUIET_HOURS:
            for piece in remaining:
                move(state.chunks[piece.slice[0]], piece.slice, group.due)
        return [_again(state, piece, group.due, at, group.reason) for piece in remaining]
    if group.outcome == "unknown" and not flight.asking and state.resends(flight.key[0]):
        for piece in remaining:
            mark_uncertain(state, piece.slice)
        return [done for piece in remaining for done in _resend(state, flight, piece, max(group.due, at), at)]
    return remaining


def _late(state: LaneState, flight: Flight, group: ResultGroup, part: Part, at: int) -> list[Part]:
    """Apply an outcome that a lost owner reports late."""
    if not flight.resent:
        if group.outcome == "unknown":
            return []
        if group.outcome in NOT_PROCESSED:
            return [
                done
                for remaining in without(part, flight.settled)
                for done in _not_sent_after_all(state, remaining, at)
            ]
        return without(part, flight.settled) if group.outcome != "accepted" else [part]
    if group.outcome in NOT_PROCESSED:
        return certain_after_all(state, flight, part)
    if group.outcome == "unknown":
        for open_still in without(part, flight.settled):
            mark_uncertain(state, open_still.slice)
        return []
    for piece in state.waiting_within(part.slice):
        state.take(piece)
    _settle_elsewhere(state, part)
    return [part]


def _not_sent_after_all(state: LaneState, part: Part, at: int) -> list[Part]:
    """Recipients who were unknown and certainly were not submitted by this flight wait again, or are rejected. Those
    who had an earlier uncertain attempt stay unknown."""
    sure = [piece for piece, is_uncertain in split_exhausted(state, part, 1) if not is_uncertain]
    if state.may_wait_again(state.chunks[part.slice[0]].key[0]):
        return [_again(state, piece, at, at, Reason.NOT_SENT_BY_LOST_OWNER) for piece in sure]
    return [Part(piece.slice, piece.attempt, "rejected", Reason.NOT_SENT_BY_LOST_OWNER) for piece in sure]


def _settle_elsewhere(state: LaneState, part: Part) -> None:
    chunk, start, stop = part.slice
    for other_flight in state.flights.values():
        for at, low, high in other_flight.slices:
            if at == chunk and low < stop and start < high:
                other_flight.settled.append((chunk, max(low, start), min(high, stop)))


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
