"""Releases and moves on their way to the reservations: which partition of `recipients` holds whose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from pipeline.identity.buckets import buckets
from schemas.chunk import Move, Release
from schemas.ids import BUCKETS
from schemas.wire import CHUNK_LIMIT

R = TypeVar("R", bound=Release | Move)


def routed(release: R, partitions: int) -> Iterator[tuple[int, R]]:
    """(partition of `recipients`, release or move) with `partitions` of them; one where they lie in one, as a
    chunk's do."""
    place = (buckets(release.numbers) * np.uint64(partitions) // np.uint64(BUCKETS)).tolist()
    if place.count(place[0]) == len(place):
        yield place[0], release
        return
    for partition in sorted(set(place)):
        theirs = [number for number, where in zip(release.numbers, place, strict=True) if where == partition]
        yield partition, msgspec.structs.replace(release, numbers=theirs)


def releases(campaign: str, message: int, numbers: Sequence[int], at: int) -> Iterator[Release]:
    """Releases of any count of numbers."""
    for first in range(0, len(numbers), CHUNK_LIMIT):
        yield Release(campaign=campaign, message=message, numbers=list(numbers[first : first + CHUNK_LIMIT]), at=at)
