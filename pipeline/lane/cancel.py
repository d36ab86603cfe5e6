"""What a cancel takes out of a lane, and how the accounting is told of it.

The lane is free at once. What is said of millions is made piece by piece from their compressed columns, because all
of it at once would stop the lane for seconds and take hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pipeline.lane.doubt import honest, remember_dropped
from pipeline.lane.effects import Effect, InBatches
from pipeline.lane.release import MOST, batches, released, reserves_nothing
from pipeline.lane.scheduler import Key
from pipeline.lane.state import LaneState, unpack
from pipeline.lane.status import Part, status_of
from schemas.chunk import Release
from schemas.status import StatusChunk


def cancel(state: LaneState, campaign: str, at: int) -> list[Effect]:
    """Withdraw all that waits of a campaign; what follows is one `InBatches` where it is more than one batch."""
    by_key: dict[Key, list[Part]] = {}
    chunks = _Withdrawn()
    count = 0
    for key, one, attempt in state.clear(campaign):
        by_key.setdefault(key, []).append(Part(one, attempt, "canceled"))
        chunks.keep(one[0], state.chunks[one[0]].packed)
        count += one[2] - one[1]
    sure = {key: honest(state, parts) for key, parts in by_key.items()}
    for parts in by_key.values():
        remember_dropped(state, parts)
    for offset in chunks.offsets():
        state.forget(state.chunks[offset])
    told = _told(chunks, sure, at, reserves=not reserves_nothing(state, campaign))
    return list(told) if count <= MOST else [InBatches(told)]


def _told(
    chunks: _Withdrawn, by_key: dict[Key, list[Part]], at: int, *, reserves: bool
) -> Iterator[StatusChunk | Release]:
    """Statuses of all, then releases of all: whoever looks at the campaign does not wait for the reservations."""
    for key, parts in by_key.items():
        for batch in batches(parts):
            yield from status_of(chunks, key, batch, at)
            chunks.fold(batch)
    chunks.fold_all()
    if not reserves:
        return
    for key, parts in by_key.items():
        for batch in batches(parts):
            yield from released(chunks, key, batch, at)
            chunks.drop(batch)


class _Columns(msgspec.Struct):
    """Only these columns of a WORK are decoded: that is twice as fast, and a cancel waits for nothing else."""

    ordinals: list[int]
    numbers: list[int]
    segments: list[int]
    prices: list[int]


_DECODER = msgspec.json.Decoder(_Columns)


class _Withdrawn:
    """Chunks that the lane has let go of, by offset."""

    def __init__(self) -> None:
        self._packed: dict[int, bytes] = {}
        self._decoded: dict[int, _Columns] = {}

    def keep(self, chunk: int, packed: bytes) -> None:
        self._packed[chunk] = packed

    def offsets(self) -> list[int]:
        return list(self._packed)

    def work(self, chunk: int) -> _Columns:
        columns = self._decoded.get(chunk)
        if columns is None:
            columns = self._decoded[chunk] = _DECODER.decode(unpack(self._packed[chunk]))
        return columns

    def fold(self, batch: list[Part]) -> list[int]:
        """Keep only the bytes of a batch's chunks but its last, of which the next batch may have more; which."""
        last = batch[-1].slice[0]
        folded = [chunk for chunk in self._decoded if chunk != last]
        for chunk in folded:
            del self._decoded[chunk]
        return folded

    def fold_all(self) -> None:
        self._decoded.clear()

    def drop(self, batch: list[Part]) -> None:
        """Forget those chunks altogether."""
        for chunk in self.fold(batch):
            del self._packed[chunk]
