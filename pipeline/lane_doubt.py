"""Who may have got a message although the last attempt at it ended without one (rule L4)."""

from __future__ import annotations

from itertools import groupby

from pipeline.lane_state import Flight, LaneState, subtract
from pipeline.lane_status import Part
from schemas.lane import Slice

CERTAIN = frozenset({"canceled", "skipped", "expired"})
"""States that say that nothing was submitted."""
LOST = "owner_lost"
"""Reason of what an owner left behind without a RESULT."""
UNANSWERED = "no_answer"
"""Reason of what an earlier attempt had no answer for, and no later one did."""


def doubt(state: LaneState, one: Slice) -> None:
    """Keep in mind that an attempt at a slice may have arrived, for as long as its chunk is held."""
    chunk = state.chunks[one[0]]
    chunk.doubts += subtract(one, chunk.doubts)


def honest(state: LaneState, parts: list[Part]) -> list[Part]:
    """`parts` with those that were let wait again after an attempt of unknown outcome, and now end without a
    submission, as unknown. Their chunks must still be held.

    The earlier attempt may have arrived: canceled, skipped or expired would say for certain that it did not, and a
    late RESULT or receipt could not take that back.
    """
    lost = [flight for flight in state.flights.values() if flight.orphan and flight.resent]
    return [
        piece
        for part in parts
        for piece in (_split(state, part, lost) if _may_be_wrong(state, part, lost) else [part])
    ]


def _may_be_wrong(state: LaneState, part: Part, lost: list[Flight]) -> bool:
    return part.state in CERTAIN and bool(lost or state.chunks[part.slice[0]].doubts)


def _split(state: LaneState, part: Part, lost: list[Flight]) -> list[Part]:
    chunk, start, stop = part.slice
    why = dict.fromkeys(_positions(state.chunks[chunk].doubts, part.slice), UNANSWERED)
    for flight in lost:
        still = [left for one in flight.slices for left in subtract(one, flight.settled)]
        why |= dict.fromkeys(_positions(still, part.slice), LOST)
    pieces: list[Part] = []
    for reason, run in groupby(range(start, stop), key=why.get):
        positions = list(run)
        piece = (chunk, positions[0], positions[-1] + 1)
        pieces.append(
            Part(piece, part.turn, "unknown", reason) if reason else Part(piece, part.turn, part.state, part.reason)
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
