"""Whose smart-sending reservation a lane gives back: of those that will certainly not be submitted any more.

Who is unknown keeps it, and so does who ends without a submission after an attempt that may have arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.lane.doubt import honest
from pipeline.lane.scheduler import Key
from pipeline.lane.state import LaneState
from pipeline.lane.status import Chunks, Part
from schemas.chunk import Move, Release
from schemas.succession import FINAL

UNSENT: Final = frozenset({*FINAL, "rejected"})
"""States of a part that say that its recipients got nothing from us."""

_CERTAIN: Final = "canceled"


def releases(state: LaneState, key: Key, parts: list[Part], at: int) -> list[Release]:
    """A `Release` per chunk for the recipients of `parts` that end without a message; `at` in ms. Their chunks must
    still be held."""
    unsent = [Part(part.slice, part.attempt, _CERTAIN) for part in parts if part.state in UNSENT]
    if not unsent or reserves_nothing(state, key[0]):
        return []
    return released(state, key, honest(state, unsent), at)


def released(chunks: Chunks, key: Key, parts: list[Part], at: int) -> list[Release]:
    """A `Release` per chunk for the recipients of `parts` that are canceled for certain."""
    numbers: dict[int, list[int]] = {}
    for part in parts:
        if part.state == _CERTAIN:
            chunk, start, stop = part.slice
            numbers.setdefault(chunk, []).extend(chunks.work(chunk).numbers[start:stop])
    return [Release(campaign=key[0], message=key[1], numbers=some, at=at) for some in numbers.values()]


MOVED_MS: Final = 15 * 60_000
"""Who waits this much longer has the reservation moved; less is no more than a queue takes."""


def moves(state: LaneState, key: Key, parts: list[Part], due: int, at: int) -> list[Move]:
    """A `Move` per chunk for the recipients of `parts` that wait until `due` (ms) from `at` on. Their chunks must
    still be held."""
    if due - at < MOVED_MS or reserves_nothing(state, key[0]):
        return []
    numbers: dict[int, list[int]] = {}
    for part in parts:
        if part.state == "delayed":
            chunk, start, stop = part.slice
            numbers.setdefault(chunk, []).extend(state.work(chunk).numbers[start:stop])
    return [Move(campaign=key[0], message=key[1], numbers=some, due=due, at=at) for some in numbers.values()]


def reserves_nothing(state: LaneState, campaign: str) -> bool:
    """Whether the campaign's messages count for nobody's smart sending."""
    control = state.campaigns.get(campaign)
    return control is not None and control.settings.transactional


MOST = 10_000
"""Recipients in one batch: what a cancel says of them stays well below what a broker takes."""


def batches(parts: list[Part]) -> Iterator[list[Part]]:
    """`parts` in their order, in batches of about `MOST` recipients."""
    batch: list[Part] = []
    count = 0
    for part in parts:
        batch.append(part)
        count += part.slice[2] - part.slice[1]
        if count >= MOST:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch
