"""From slices of a lane's chunks to status chunks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import cast

from pipeline.lane_state import LaneState
from pipeline.scheduler import Key
from schemas.lane import Slice, Work
from schemas.status import State, StatusChunk, StatusGroup


@dataclass(slots=True)
class Part:
    """Positions of a chunk that reach a state together. `ids` are the aggregator's, one per position."""

    slice: Slice
    turn: int
    state: str
    reason: str = ""
    ids: list[str] | None = None


def status_of(state: LaneState, key: Key, parts: list[Part], at: int) -> list[StatusChunk]:
    """The status chunk that tells the accounting of `parts` (none for no parts). `at` in ms."""
    if not parts:
        return []
    merged: dict[tuple[str, str, int, int, int, bool], StatusGroup] = {}
    for part in parts:
        for group in _groups(state.work(part.slice[0]), part):
            identity = (group.state, group.reason, group.turn, group.segments, group.price, group.ids is None)
            other = merged.get(identity)
            if other is None:
                merged[identity] = group
            else:
                other.ordinals += group.ordinals
                if other.ids is not None and group.ids is not None:
                    other.ids += group.ids
    return [StatusChunk(campaign=key[0], message=key[1], at=at, groups=list(merged.values()))]


def _groups(work: Work, part: Part) -> list[StatusGroup]:
    """One group per (segments, price) in the part. Most chunks have one of each: no work per recipient then."""
    _, start, stop = part.slice
    segments, prices = work.segments[start:stop], work.prices[start:stop]
    if segments.count(segments[0]) == prices.count(prices[0]) == stop - start:
        return [_group(part, work.ordinals[start:stop], part.ids, (segments[0], prices[0]))]
    pairs = list(zip(segments, prices, strict=True))
    order = sorted(range(stop - start), key=pairs.__getitem__)
    groups = []
    for pair, members in groupby(order, key=pairs.__getitem__):
        positions = list(members)
        ids = None if part.ids is None else [part.ids[p] for p in positions]
        groups.append(_group(part, [work.ordinals[start + p] for p in positions], ids, pair))
    return groups


def _group(part: Part, ordinals: list[int], ids: list[str] | None, pair: tuple[int, int]) -> StatusGroup:
    return StatusGroup(
        state=cast(State, part.state),
        ordinals=ordinals,
        reason=part.reason,
        turn=part.turn,
        segments=pair[0],
        price=pair[1],
        ids=ids,
    )
