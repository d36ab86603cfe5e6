"""Whose smart-sending reservations a lane releases: those of recipients who will certainly not be submitted anymore.

A recipient who is unknown keeps the reservation; so does one who ends without a submission after an uncertain
attempt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.lane.scheduler import Key
from pipeline.lane.state import LaneState
from pipeline.lane.status import Chunks, Part
from pipeline.lane.uncertain import unknown_where_uncertain
from schemas.chunk import Move, Release
from schemas.succession import FINAL

UNSENT: Final = frozenset({*FINAL, "rejected"})
"""States of a part whose recipients got nothing from us."""

_CERTAIN: Final = "canceled"


def releases(state: LaneState, key: Key, parts: list[Part], at: int) -> list[Release]:
    """A `Release` per chunk for the recipients of `parts` who end without a message; `at` in ms. Their chunks must
    still be held."""
    unsent = [Part(part.slice, part.attempt, _CERTAIN) for part in parts if part.state in UNSENT]
    if not unsent or reserves_nothing(state, key[0]):
        return []
    return released(state, key, unknown_where_uncertain(state, unsent), at)


def released(chunks: Chunks, key: Key, parts: list[Part], at: int) -> list[Release]:
    """A `Release` per chunk for the recipients of `parts` who are certainly canceled."""
    numbers: dict[int, list[int]] = {}
    for part in parts:
        if part.state == _CERTAIN:
            chunk, start, stop = part.slice
            numbers.setdefault(chunk, []).extend(chunks.work(chunk).numbers[start:stop])
    return [Release(campaign=key[0], message=key[1], numbers=members, at=at) for members in numbers.values()]


MOVED_MS: Final = 15 * 60_000
"""A reservation moves when its recipient waits at least this much longer; less is what a queue takes anyway."""


def moves(state: LaneState, key: Key, parts: list[Part], due: int, at: int) -> list[Move]:
    """A `Move` per chunk for the recipients of `parts` who wait from `at` until `due` (both ms). Their chunks must
    still be held."""
    if due - at < MOVED_MS or reserves_nothing(state, key[0]):
        return []
    numbers: dict[int, list[int]] = {}
    for part in parts:
        if part.state == "delayed":
            chunk, start, stop = part.slice
            numbers.setdefault(chunk, []).extend(state.work(chunk).numbers[start:stop])
    return [Move(campaign=key[0], message=key[1], numbers=members, due=due, at=at) for members in numbers.values()]


def reserves_nothing(state: LaneState, campaign: str) -> bool:
    """Whether the campaign's messages do not count for smart sending."""
    control = state.campaigns.get(campaign)
    return control is not None and control.settings.transactional


MOST = 10_000
"""Recipients in one batch: a cancel's records about them stay well below a broker's record limit."""


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
