"""Who is opted out: 8 octets a number, and an answer for a whole chunk at once.

Sorted arrays hold most, a small overlay the latest changes; the overlay is merged in when it has grown to `MERGE_AT`,
so that a change costs about a microsecond and a chunk is looked up in two steps. The arrays are in order of hashes,
each with a sixteenth of them: a chunk, which lies in a few buckets, then searches a small part of one, which stays in
cache, and a merge needs little memory beside them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.buckets import Hashes, Numbers, hashes

MERGE_AT: Final = 16_384
"""Changes in the overlay: some 2 MB, so that asking it about a chunk stays in cache too."""
_PARTS: Final = 16
_SHIFT: Final = np.uint64(60)
_EDGES: Final = np.array([part << 60 for part in range(1, _PARTS)], np.uint64)


class OptOuts:
    """The set of numbers that are opted out now. Not safe to use from several threads."""

    __slots__ = ("_base", "_latest", "_merge_at")

    def __init__(self, numbers: Numbers = (), merge_at: int = MERGE_AT) -> None:
        everybody = np.unique(hashes(numbers))
        # Copies: a view of a part would keep the whole in memory.
        self._base = [part.copy() for part in np.split(everybody, everybody.searchsorted(_EDGES))]
        self._latest: dict[int, bool] = {}
        self._merge_at = merge_at

    def __len__(self) -> int:
        self._merge()
        return sum(map(len, self._base))

    @property
    def nbytes(self) -> int:
        """Octets of the arrays."""
        return sum(base.nbytes for base in self._base)

    def apply(self, number: int, out: bool) -> None:
        """Record that `number` is opted out, or no longer is."""
        self._latest[number] = out
        if len(self._latest) >= self._merge_at:
            self._merge()

    def contains(self, number: int) -> bool:
        """Whether `number` is opted out."""
        latest = self._latest.get(number)
        return bool(self.contains_many([number])[0]) if latest is None else latest

    def contains_many(self, numbers: list[int]) -> NDArray[np.bool_]:
        """Whether each of `numbers` is opted out, in their order."""
        mask = self._in_base(hashes(numbers))
        if self._latest and not self._latest.keys().isdisjoint(numbers):
            for index, number in enumerate(numbers):
                mask[index] = self._latest.get(number, mask[index])
        return mask

    def _in_base(self, wanted: Hashes) -> NDArray[np.bool_]:
        """Searched in order, because a search then finds what it reads in the cache where the last one left it."""
        found = np.zeros(len(wanted), np.bool_)
        if not len(wanted):
            return found
        order = np.argsort(wanted)
        ordered = wanted[order]
        low, high = int(ordered[0] >> _SHIFT), int(ordered[-1] >> _SHIFT)
        ends = [*ordered.searchsorted(_EDGES[low:high]).tolist(), len(ordered)]
        first = 0
        for base, last in zip(self._base[low : high + 1], ends, strict=True):
            if first < last and len(base):
                part = ordered[first:last]
                start, stop = base.searchsorted(part[[0, -1]]).tolist()
                near = base[start : stop + 1]
                if len(near):
                    found[order[first:last]] = near.take(near.searchsorted(part), mode="clip") == part
            first = last
        return found

    def _merge(self) -> None:
        """Fold the overlay into the arrays: what is opted in goes, what is opted out and not there comes."""
        if not self._latest:
            return
        changed = hashes(np.fromiter(self._latest.keys(), np.uint64, len(self._latest)))
        out = np.fromiter(self._latest.values(), np.bool_, len(self._latest))
        known = self._in_base(changed)
        gone, come = np.sort(changed[known & ~out]), np.sort(changed[~known & out])
        parts = zip(np.split(gone, gone.searchsorted(_EDGES)), np.split(come, come.searchsorted(_EDGES)), strict=True)
        for index, (less, more) in enumerate(parts):
            base = self._base[index]
            if len(less):
                base = np.delete(base, base.searchsorted(less))
            if len(more):
                base = np.insert(base, base.searchsorted(more), more)
            self._base[index] = base
        self._latest = {}
