"""Who may have got a message although the last attempt at it ended without one (rule L4)."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from pipeline.lane.outcomes import cut_part
from pipeline.lane.state import Flight, LaneState, intersection, subtract
from pipeline.lane.status import Part
from schemas.lane import Slice
from schemas.reasons import Reason
from schemas.succession import FINAL

CERTAIN = frozenset(FINAL)
"""States that say that nothing was submitted."""


def doubt(state: LaneState, one: Slice) -> None:
    """Keep in mind that an attempt at a slice may have arrived, for as long as its chunk is held."""
    state.chunks[one[0]].doubts.append(one)


def is_spent(state: LaneState, part: Part, allowed: int) -> list[tuple[Part, bool]]:
    """A part in pieces, each with whether as many attempts at it may have arrived as are allowed. The one that gives
    cause to ask is among those in doubt already."""
    lost = [flight for flight in state.flights.values() if flight.orphan and flight.resent]
    counts = Counter(_positions(state.chunks[part.slice[0]].doubts, part.slice))
    for flight in lost:
        counts.update(_positions(_still_open(flight), part.slice))
    _, start, stop = part.slice
    pieces: list[tuple[Part, bool]] = []
    for spent, run in groupby(range(start, stop), key=lambda position: counts[position] >= allowed):
        positions = list(run)
        pieces.append((cut_part(part, positions[0], positions[-1] + 1), spent))
    return pieces


def _still_open(flight: Flight) -> list[Slice]:
    return [left for one in flight.slices for left in subtract(one, flight.settled)]


def honest(state: LaneState, parts: list[Part]) -> list[Part]:
    """`parts` with those that were let wait again after an attempt of unknown outcome, and now end without a
    submission, as unknown. Their chunks must still be held.

    The earlier attempt may have arrived: canceled, skipped or expired would say for certain that it did not, and a
    late RESULT or receipt could not take that back. `remember_dropped` lets a late RESULT that proves the contrary
    say it after all.
    """
    lost = [flight for flight in state.flights.values() if flight.orphan and flight.resent]
    return [
        piece
        for part in parts
        for piece in (_split(state, part, lost) if _may_be_wrong(state, part, lost) else [part])
    ]


def remember_dropped(state: LaneState, parts: list[Part]) -> None:
    """Keep in mind, in each lost flight that may have arrived, who of `parts` ends without a submission."""
    lost = [flight for flight in state.flights.values() if flight.orphan and flight.resent]
    for part in parts:
        if part.state not in CERTAIN:
            continue
        for flight in lost:
            flight.dropped += [
                (both, part.attempt, part.state, part.reason)
                for left in _still_open(flight)
                if (both := intersection(left, part.slice)) is not None
            ]


def certain_after_all(state: LaneState, flight: Flight, part: Part) -> list[Part]:
    """A lost flight proves that `part` was not submitted: who of it had ended without a submission meanwhile, each
    in that state. Who had another attempt that may have arrived stays unknown."""
    not_sent = subtract(part.slice, flight.settled)
    ended = [
        Part(both, attempt, to, reason)
        for one, attempt, to, reason in flight.dropped
        for left in not_sent
        if (both := intersection(one, left)) is not None
    ]
    flight.settled.append(part.slice)
    return [piece for one in ended for piece, uncertain in is_spent(state, one, 1) if not uncertain]


def _may_be_wrong(state: LaneState, part: Part, lost: list[Flight]) -> bool:
    return part.state in CERTAIN and bool(lost or state.chunks[part.slice[0]].doubts)


def _split(state: LaneState, part: Part, lost: list[Flight]) -> list[Part]:
    chunk, start, stop = part.slice
    why = dict.fromkeys(_positions(state.chunks[chunk].doubts, part.slice), Reason.EARLIER_ATTEMPT_UNANSWERED)
    for flight in lost:
        why |= dict.fromkeys(_positions(_still_open(flight), part.slice), Reason.OWNER_LOST)
    pieces: list[Part] = []
    for reason, run in groupby(range(start, stop), key=why.get):
        positions = list(run)
        piece = (chunk, positions[0], positions[-1] + 1)
        pieces.append(
            Part(piece, part.attempt, "unknown", reason)
            if reason
            else Part(piece, part.attempt, part.state, part.reason)
        )
    return pieces


def _positions(slices: list[Slice], within: Slice) -> list[int]:
    """The positions of `slices` that lie in another one."""
    chunk, low, high = within
    return [
        position
        for offset, start, stop in slices
        if offset == chunk
        for position in range(max(low, start), min(high, stop))
    ]
