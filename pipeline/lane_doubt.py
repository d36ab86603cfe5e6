"""Who may have got a message although the last attempt at it ended without one (rule L4)."""

from __future__ import annotations

from itertools import groupby

from pipeline.lane_outcome import without
from pipeline.lane_state import Flight, LaneState
from pipeline.lane_status import Part

CERTAIN = frozenset({"canceled", "skipped", "expired"})
"""States that say that nothing was submitted."""
LOST = "owner_lost"
"""Reason of what an owner left behind without a RESULT."""


def honest(state: LaneState, parts: list[Part]) -> list[Part]:
    """`parts` with those that were resent after a lost owner, and now end without a submission, as unknown.

    Their first attempt may have arrived: canceled, skipped or expired would say for certain that it did not, and a
    late RESULT could not take that back.
    """
    doubts = [flight for flight in state.flights.values() if flight.orphan and flight.resent]
    if not doubts:
        return parts
    return [piece for part in parts for piece in (_split(part, doubts) if part.state in CERTAIN else [part])]


def _split(part: Part, doubts: list[Flight]) -> list[Part]:
    chunk, start, stop = part.slice
    doubtful: set[int] = set()
    for flight in doubts:
        for one in flight.slices:
            for left in without(Part(one, 0, ""), flight.settled):
                if left.slice[0] == chunk:
                    doubtful.update(range(max(start, left.slice[1]), min(stop, left.slice[2])))
    pieces: list[Part] = []
    for unsure, run in groupby(range(start, stop), key=doubtful.__contains__):
        positions = list(run)
        piece = (chunk, positions[0], positions[-1] + 1)
        pieces.append(
            Part(piece, part.turn, "unknown", LOST) if unsure else Part(piece, part.turn, part.state, part.reason)
        )
    return pieces
