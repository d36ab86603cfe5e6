"""Who is opted out: 8 octets a number, and an answer for a whole chunk at once.

A sorted array holds most, a small overlay the latest changes; the overlay is merged in when it has grown to a
64th of the array, so that a change costs about a microsecond and a chunk is looked up in two steps. The array is
in order of hashes: a chunk, which lies in a few buckets, then searches a small part of it, which stays in cache.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.buckets import Numbers, hashes

_SMALLEST_MERGE: Final = 1024
_SHARE: Final = 64


class OptOuts:
    """The set of numbers that are opted out now. Not safe to use from several threads."""

    __slots__ = ("_base", "_latest")

    def __init__(self, numbers: Numbers = ()) -> None:
        self._base = np.unique(hashes(numbers))
        self._latest: dict[int, bool] = {}

    def __len__(self) -> int:
        self._merge()
        return len(self._base)

    def apply(self, number: int, out: bool) -> None:
        """Record that `number` is opted out, or no longer is."""
        self._latest[number] = out
        if len(self._latest) >= max(_SMALLEST_MERGE, len(self._base) // _SHARE):
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

    def _in_base(self, wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Searched in order, because a search then finds what it reads in the cache where the last one left it."""
        found = np.zeros(len(wanted), np.bool_)
        if len(self._base):
            order = np.argsort(wanted)
            ordered = wanted[order]
            found[order] = self._base.take(self._base.searchsorted(ordered), mode="clip") == ordered
        return found

    def _merge(self) -> None:
        """Fold the overlay into the array: what is opted in goes, what is opted out and not there comes."""
        if not self._latest:
            return
        changed = hashes(np.fromiter(self._latest.keys(), np.uint64, len(self._latest)))
        out = np.fromiter(self._latest.values(), np.bool_, len(self._latest))
        known = self._in_base(changed)
        gone, come = changed[known & ~out], np.sort(changed[~known & out])
        base = self._base
        if len(gone):
            base = np.delete(base, base.searchsorted(gone))
        if len(come):
            base = np.insert(base, base.searchsorted(come), come)
        self._base = base
        self._latest = {}
