"""A sorted array of millions of hashes, searched for a whole chunk at once.

An index by the top bits says where the few hashes of a slot begin. A chunk then needs one look at the index and a few
steps inside slots of one or two cache lines each, every step for all numbers together: a binary search from the
array's middle would wait for main memory a dozen times a number.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.identity.buckets import Hashes

_A_SLOT: Final = 8
"""Hashes in a slot, about: half an octet of index for each."""
_MOST_BITS: Final = 20
_BLOCK: Final = 1 << 19
"""Hashes moved at once when some come or go: the memory that takes beside the array."""

Positions = NDArray[np.intp]


class PackedHashes:
    """A set of 64-bit hashes: sorted, 8.5 octets each."""

    __slots__ = ("_bits", "_hashes", "_shift", "_slots", "_steps")

    def __init__(self, members: Hashes) -> None:
        """`members` sorted, each once; an array that owns its memory becomes this set's own."""
        self._hashes = np.require(members, np.uint64, ["C", "O", "W"])
        self._index()

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def nbytes(self) -> int:
        """Octets of the array and its index."""
        return self._hashes.nbytes + self._slots.nbytes

    def contains(self, wanted: Hashes) -> NDArray[np.bool_]:
        """Whether each of `wanted` is a member, in their order."""
        if not len(self._hashes):
            return np.zeros(len(wanted), np.bool_)
        is_member: NDArray[np.bool_] = self._hashes.take(self._last_up_to(wanted), mode="clip") == wanted
        return is_member

    def change(self, gone: Hashes, come: Hashes) -> None:
        """Remove `gone`, all of them members, and add `come`, none of them a member; both sorted."""
        if len(gone):
            self._remove(gone)
        if len(come):
            self._insert(come)
        if self._bits != _bits(len(self)):
            self._index()
            return
        fewer, more = (
            np.bincount(hashes_of_change >> self._shift, minlength=1 << self._bits)
            for hashes_of_change in (gone, come)
        )
        self._slots[1:] += np.cumsum(more - fewer)[:-1].astype(np.uint32)  # what wraps around comes back
        self._measure()

    def _last_up_to(self, wanted: Hashes) -> Positions:
        """For each the position of the last member that is not greater, if its slot has one; else of some other
        member, or past the end."""
        last: Positions = self._slots.take(wanted >> self._shift).astype(np.intp)
        for step in self._steps:
            further = last + step
            last = np.where(self._hashes.take(further, mode="clip") <= wanted, further, last)
        return last

    def _remove(self, gone: Hashes) -> None:
        """From the first block to the last, each moved down by as many as went before it."""
        hashes, end = self._hashes, 0
        for first in range(0, len(hashes), _BLOCK):
            block = hashes[first : first + _BLOCK]
            less = gone[gone.searchsorted(block[0]) : gone.searchsorted(block[-1], "right")]
            kept = np.delete(block, block.searchsorted(less))
            hashes[end : end + len(kept)] = kept
            end += len(kept)
        hashes.resize(end, refcheck=False)

    def _insert(self, come: Hashes) -> None:
        """From the last block to the first, each moved up by as many as come before it."""
        hashes, count, left = self._hashes, len(self._hashes), len(come)
        hashes.resize(count + left, refcheck=False)
        for first in reversed(range(0, max(count, 1), _BLOCK)):
            block = hashes[first : min(first + _BLOCK, count)]
            before = int(come.searchsorted(block[0])) if first else 0
            more = come[before:left]
            merged = np.insert(block, block.searchsorted(more), more)
            hashes[first + before : first + before + len(merged)] = merged
            left = before

    def _index(self) -> None:
        self._bits = _bits(len(self))
        self._shift = np.uint64(64 - self._bits)
        self._slots = self._hashes.searchsorted(np.arange(1 << self._bits, dtype=np.uint64) << self._shift)
        self._slots = self._slots.astype(np.uint32)
        self._measure()

    def _measure(self) -> None:
        """As many steps as the fullest slot needs."""
        most = int(np.diff(self._slots, append=np.uint32(len(self))).max())
        self._steps = [1 << step for step in reversed(range((most - 1).bit_length()))]


def _bits(count: int) -> int:
    return min(_MOST_BITS, max(1, (count // _A_SLOT).bit_length()))
