"""Who is opted out: 8.5 octets a number, and an answer for a whole chunk at once.

A packed sorted array holds most, a small overlay the latest changes; the overlay is merged in when it has grown to
`MERGE_AT`, so that a change costs about a microsecond. A flag per short range of hashes says whether the overlay has
a number in it: of a chunk only some ten are looked up there one by one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.buckets import Hashes, Numbers, hash_of, hashes
from pipeline.packed_hashes import PackedHashes

MERGE_AT: Final = 16_384
"""Changes in the overlay: some 2 MB."""
_FLAG_BITS: Final = 19
_FLAG_SHIFT: Final = np.uint64(64 - _FLAG_BITS)
"""A range of hashes with a number in the overlay: 512 KB of flags, of which a chunk reads a few lines."""


class OptOuts:
    """The set of numbers that are opted out now. Not safe to use from several threads."""

    __slots__ = ("_flags", "_latest", "_merge_at", "_packed")

    def __init__(self, numbers: Numbers = (), merge_at: int = MERGE_AT) -> None:
        self._packed = PackedHashes(np.unique(hashes(numbers)))
        self._latest: dict[int, bool] = {}
        self._flags = np.zeros(1 << _FLAG_BITS, np.bool_)
        self._merge_at = merge_at

    def __len__(self) -> int:
        self._merge()
        return len(self._packed)

    @property
    def nbytes(self) -> int:
        """Octets of the arrays."""
        return self._packed.nbytes + self._flags.nbytes

    def apply(self, number: int, out: bool) -> None:
        """Record that `number` is opted out, or no longer is."""
        self._latest[number] = out
        self._flags[hash_of(number) >> 64 - _FLAG_BITS] = True
        if len(self._latest) >= self._merge_at:
            self._merge()

    def contains(self, number: int) -> bool:
        """Whether `number` is opted out."""
        latest = self._latest.get(number)
        return bool(self.contains_many([number])[0]) if latest is None else latest

    def contains_many(self, numbers: list[int]) -> NDArray[np.bool_]:
        """Whether each of `numbers` is opted out, in their order."""
        wanted = hashes(numbers)
        mask = self._packed.contains(wanted)
        for index in self._perhaps_changed(wanted):
            mask[index] = self._latest.get(numbers[index], mask[index])
        return mask

    def _perhaps_changed(self, wanted: Hashes) -> list[int]:
        if not self._latest:
            return []
        found: list[int] = self._flags.take(wanted >> _FLAG_SHIFT).nonzero()[0].tolist()
        return found

    def _merge(self) -> None:
        """Fold the overlay into the array: what is opted in goes, what is opted out and not there comes."""
        if not self._latest:
            return
        changed = hashes(np.fromiter(self._latest.keys(), np.uint64, len(self._latest)))
        out = np.fromiter(self._latest.values(), np.bool_, len(self._latest))
        known = self._packed.contains(changed)
        self._packed.change(gone=np.sort(changed[known & ~out]), come=np.sort(changed[~known & out]))
        self._flags.fill(False)
        self._latest = {}
