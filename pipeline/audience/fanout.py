"""From the size of a frozen audience to ranges of ordinals, and from a page of it to recipient chunks.

Both are functions of their input alone, so that fan-out restarts anywhere and repeats exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.identity.buckets import buckets
from schemas.audience import AudiencePage
from schemas.chunk import FanoutRange, RecipientChunk
from schemas.ids import BUCKETS
from schemas.wire import CHUNK_LIMIT


def ranges(campaign: str, revision: int, message: int, recipients: int, size: int) -> Iterator[FanoutRange]:
    """[0, recipients) in ranges of `size` ordinals, rounded down to whole chunks of 500 (at least one)."""
    step = max(size // CHUNK_LIMIT, 1) * CHUNK_LIMIT
    for first in range(0, recipients, step):
        last = min(first + step, recipients)
        yield FanoutRange(campaign=campaign, revision=revision, message=message, first=first, last=last)


def chunks(task: FanoutRange, page: AudiencePage, partitions: int) -> Iterator[tuple[int, RecipientChunk]]:
    """(partition of `recipients`, chunk) of each chunk of a page of `task`, in order of ordinals.

    A chunk never crosses a multiple of 500 ordinals nor a boundary of partitions. The page may be a part of the
    range; pages that begin at multiples of 500 give the same chunks however large they are.

    Raises:
        ValueError: the page is not inside of the range.
    """
    n = len(page)
    if page.first < task.first or page.first + n > task.last:
        raise ValueError(
            f"page [{page.first}, {page.first + n}) is not inside of the range [{task.first}, {task.last})"
        )
    if not n:
        return
    partition = (buckets(page.numbers) * np.uint64(partitions) // np.uint64(BUCKETS)).astype(np.int64)
    cuts = _cuts(page.first, partition)
    numbers = np.asarray(page.numbers).tolist()
    fields = {name: list(column) for name, column in page.fields.items()}
    zone, country, region = (np.asarray(column) for column in (page.zone, page.country, page.region))
    for start, end in zip(cuts, [*cuts[1:], n], strict=True):
        zones, zone_index = _compact(page.zones, zone[start:end])
        countries, country_index = _compact(page.countries, country[start:end])
        regions, region_index = _compact(page.regions, region[start:end])
        yield (
            int(partition[start]),
            RecipientChunk(
                campaign=task.campaign,
                revision=task.revision,
                message=task.message,
                first=page.first + start,
                numbers=numbers[start:end],
                zones=zones,
                zone=zone_index,
                countries=countries,
                country=country_index,
                regions=regions,
                region=region_index,
                fields={name: column[start:end] for name, column in fields.items()},
            ),
        )


def _cuts(first: int, partition: NDArray[np.int64]) -> list[int]:
    """Positions at which a chunk begins."""
    whole = np.arange(-first % CHUNK_LIMIT, len(partition), CHUNK_LIMIT)
    turns = np.flatnonzero(np.diff(partition)) + 1
    cuts: list[int] = np.unique(np.concatenate(([0], whole, turns))).tolist()
    return cuts


def _compact(entries: Sequence[str], index: NDArray[np.integer]) -> tuple[list[str], list[int]]:
    """The dictionary reduced to what the column uses, in its order, and the column that fits it."""
    used = np.bincount(index, minlength=len(entries)) > 0
    places = np.cumsum(used) - 1
    return [entries[at] for at in np.flatnonzero(used).tolist()], places[index].tolist()
