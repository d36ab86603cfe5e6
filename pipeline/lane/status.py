"""From slices of a lane's chunks to status chunks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Protocol, cast

from pipeline.lane.scheduler import Key
from schemas.lane import Slice
from schemas.status import State, StatusChunk, StatusGroup


@dataclass(slots=True)
class Part:
    """Positions of a chunk that reach a state together. `ids` are the aggregator's ids, one per position; `segments`
    those of the texts that went out, one per position, None: those of the WORK."""

    slice: Slice
    attempt: int
    state: str
    reason: str = ""
    ids: list[str] | None = None
    segments: list[int] | None = None


class Columns(Protocol):
    """The columns of a WORK that the accounting and the reservations need."""

    ordinals: list[int]
    numbers: list[int]
    segments: list[int]
    prices: list[int]


class Chunks(Protocol):
    """Gives the columns of chunks by offset: a lane's state, or the withdrawn chunks of a canceled campaign."""

    def work(self, chunk: int) -> Columns: ...


def status_of(state: Chunks, key: Key, parts: list[Part], at: int) -> list[StatusChunk]:
    """The status chunk that records the states of `parts`, `at` in ms; none for no parts."""
    if not parts:
        return []
    merged: dict[tuple[str, str, int, int, int, bool], StatusGroup] = {}
    for part in parts:
        for group in _groups(state.work(part.slice[0]), part):
            identity = (group.state, group.reason, group.attempt, group.segments, group.price, group.ids is None)
            same = merged.get(identity)
            if same is None:
                merged[identity] = group
            else:
                same.ordinals += group.ordinals
                if same.ids is not None and group.ids is not None:
                    same.ids += group.ids
    return [StatusChunk(campaign=key[0], message=key[1], at=at, groups=list(merged.values()))]


def _groups(work: Columns, part: Part) -> list[StatusGroup]:
    """One group per (segments, price) in the part. Most chunks have one of each, which takes no work per
    recipient."""
    _, start, stop = part.slice
    segments, prices = part.segments or work.segments[start:stop], work.prices[start:stop]
    ordinals = work.ordinals[start:stop]
    if segments.count(segments[0]) == prices.count(prices[0]) == stop - start:
        return [_group(part, ordinals, part.ids, (segments[0], prices[0]))]
    members: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for position, pair in enumerate(zip(segments, prices, strict=True)):
        members[pair].append(position)
    groups = []
    for pair, positions in sorted(members.items()):
        ids = None if part.ids is None else [part.ids[p] for p in positions]
        groups.append(_group(part, [ordinals[p] for p in positions], ids, pair))
    return groups


def _group(part: Part, ordinals: list[int], ids: list[str] | None, pair: tuple[int, int]) -> StatusGroup:
    return StatusGroup(
        state=cast(State, part.state),
        ordinals=ordinals,
        reason=part.reason,
        attempt=part.attempt,
        segments=pair[0],
        price=pair[1],
        ids=ids,
    )
