"""Uncertain attempts: recipients who may have the message although their last attempt ended with no message sent
(rule L4)."""

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
"""States that mean that nothing was submitted."""


def mark_uncertain(state: LaneState, slice_: Slice) -> None:
    """Record that an attempt at a slice may have arrived. The mark lasts as long as the slice's chunk is held."""
    state.chunks[slice_[0]].uncertain.append(slice_)


def split_exhausted(state: LaneState, part: Part, allowed: int) -> list[tuple[Part, bool]]:
    """Splits a part into pieces, each with whether the `allowed` attempts are used up: that many may have arrived.
    The attempt that the caller asks about must have been marked already."""
    resent = _resent(state)
    counts = Counter(_positions(state.chunks[part.slice[0]].uncertain, part.slice))
    for flight in resent:
        counts.update(_positions(_open_slices(flight), part.slice))
    _, start, stop = part.slice
    pieces: list[tuple[Part, bool]] = []
    for exhausted, run in groupby(range(start, stop), key=lambda position: counts[position] >= allowed):
        positions = list(run)
        pieces.append((cut_part(part, positions[0], positions[-1] + 1), exhausted))
    return pieces


def _open_slices(flight: Flight) -> list[Slice]:
    return [open_slice for slice_ in flight.slices for open_slice in subtract(slice_, flight.settled)]


def unknown_where_uncertain(state: LaneState, parts: list[Part]) -> list[Part]:
    """`parts`, but with state unknown for recipients who waited again after an uncertain attempt and now end without
    another submission. Their chunks must still be held.

    The earlier attempt may have arrived. Canceled, skipped or expired would claim that it did not, and a late RESULT
    or receipt could not correct that.
    """
    resent = _resent(state)
    return [
        piece
        for part in parts
        for piece in (_split_by_reason(state, part, resent) if _may_have_arrived(state, part, resent) else [part])
    ]


def finalize_parts(state: LaneState, parts: list[Part]) -> list[Part]:
    """The parts as they may be reported (see `unknown_where_uncertain`). Each lost flight that may have arrived also
    records which of these recipients end without a submission, so that its late RESULT can correct it
    (`certain_after_all`)."""
    _remember_dropped(state, parts)
    return unknown_where_uncertain(state, parts)


def _resent(state: LaneState) -> list[Flight]:
    """The lost flights that may have arrived and whose recipients waited again."""
    return list(state.resent.values()) if state.resent else []


def _remember_dropped(state: LaneState, parts: list[Part]) -> None:
    resent = _resent(state)
    for part in parts:
        if part.state not in CERTAIN:
            continue
        for flight in resent:
            flight.dropped += [
                (common, part.attempt, part.state, part.reason)
                for open_slice in _open_slices(flight)
                if (common := intersection(open_slice, part.slice)) is not None
            ]


def certain_after_all(state: LaneState, flight: Flight, part: Part) -> list[Part]:
    """The parts that become certain because a lost flight proves that `part` was not submitted: recipients who ended
    without a submission meanwhile, in the state in which they ended. Those with another uncertain attempt stay
    unknown."""
    not_sent = subtract(part.slice, flight.settled)
    ended = [
        Part(common, attempt, to, reason)
        for dropped, attempt, to, reason in flight.dropped
        for slice_ in not_sent
        if (common := intersection(dropped, slice_)) is not None
    ]
    flight.settled.append(part.slice)
    return [
        piece
        for ended_part in ended
        for piece, is_uncertain in split_exhausted(state, ended_part, 1)
        if not is_uncertain
    ]


def _may_have_arrived(state: LaneState, part: Part, resent: list[Flight]) -> bool:
    return part.state in CERTAIN and bool(resent or state.chunks[part.slice[0]].uncertain)


def _split_by_reason(state: LaneState, part: Part, resent: list[Flight]) -> list[Part]:
    chunk, start, stop = part.slice
    reasons = dict.fromkeys(_positions(state.chunks[chunk].uncertain, part.slice), Reason.EARLIER_ATTEMPT_UNANSWERED)
    for flight in resent:
        reasons |= dict.fromkeys(_positions(_open_slices(flight), part.slice), Reason.OWNER_LOST)
    pieces: list[Part] = []
    for reason, run in groupby(range(start, stop), key=reasons.get):
        positions = list(run)
        piece = (chunk, positions[0], positions[-1] + 1)
        pieces.append(
            Part(piece, part.attempt, "unknown", reason)
            if reason
            else Part(piece, part.attempt, part.state, part.reason)
        )
    return pieces


def _positions(slices: list[Slice], within: Slice) -> list[int]:
    """The positions of `slices` that lie in the slice `within`."""
    chunk, low, high = within
    return [
        position
        for offset, start, stop in slices
        if offset == chunk
        for position in range(max(low, start), min(high, stop))
    ]
