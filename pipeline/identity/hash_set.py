"""A set of millions of hashes that changes all the time: 8.5 octets a member, an answer for a whole chunk at once.

A packed sorted array holds most, a small overlay the latest changes; the overlay is merged in when it has grown to
`MERGE_AT`, so that a change costs about a microsecond. A flag per short range of hashes says whether the overlay has
a hash in it: of a chunk only some ten are looked up there one by one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.identity.buckets import Hashes
from pipeline.identity.packed_hashes import PackedHashes

MERGE_AT: Final = 16_384
"""Changes in the overlay: some 2 MB."""
_FLAG_BITS: Final = 19
_FLAG_SHIFT: Final = np.uint64(64 - _FLAG_BITS)
"""A range of hashes with a change in the overlay: 512 KB of flags, of which a chunk reads a few lines."""


class HashSet:
    """A set of 64-bit hashes. Not safe to use from several threads."""

    __slots__ = ("_flags", "_latest", "_merge_at", "_packed")

    def __init__(self, members: Hashes | None = None, merge_at: int = MERGE_AT) -> None:
        self._packed = PackedHashes(np.unique(np.zeros(0, np.uint64) if members is None else members))
        self._latest: dict[int, bool] = {}
        self._flags = np.zeros(1 << _FLAG_BITS, np.bool_)
        self._merge_at = merge_at

    def __len__(self) -> int:
        self._merge()
        return len(self._packed)

    @property
    def is_empty(self) -> bool:
        """Whether the set is empty, also without changes in the overlay; takes no time."""
        return not self._latest and not len(self._packed)

    @property
    def nbytes(self) -> int:
        """Octets of the arrays."""
        return self._packed.nbytes + self._flags.nbytes

    def apply(self, member: int, is_in: bool) -> None:
        """Add or remove `member`."""
        self._latest[member] = is_in
        self._flags[member >> 64 - _FLAG_BITS] = True
        if len(self._latest) >= self._merge_at:
            self._merge()

    def contains_many(self, wanted: Hashes) -> NDArray[np.bool_]:
        """Whether each of `wanted` is a member, in their order."""
        mask = self._packed.contains(wanted)
        for index in self._perhaps_changed(wanted):
            mask[index] = self._latest.get(int(wanted[index]), mask[index])
        return mask

    def _perhaps_changed(self, wanted: Hashes) -> list[int]:
        if not self._latest:
            return []
        changed: list[int] = self._flags.take(wanted >> _FLAG_SHIFT).nonzero()[0].tolist()
        return changed

    def _merge(self) -> None:
        """Merge the overlay into the array: remove what was removed, add what was added and is not there."""
        if not self._latest:
            return
        changed = np.fromiter(self._latest.keys(), np.uint64, len(self._latest))
        is_in = np.fromiter(self._latest.values(), np.bool_, len(self._latest))
        known = self._packed.contains(changed)
        self._packed.change(gone=np.sort(changed[known & ~is_in]), come=np.sort(changed[~known & is_in]))
        self._flags.fill(False)
        self._latest = {}
