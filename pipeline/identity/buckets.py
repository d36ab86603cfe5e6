"""Buckets of many recipients at once: the arithmetic of `schemas.ids.bucket` in numpy.

The whole hash orders recipients by bucket and, multiplication by an odd number being a bijection, names each
number: what is kept in order of it can be joined bucket after bucket and searched as one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHIFT: Final = np.uint64(52)
_FIBONACCI: Final = 11400714819323198485
_MULTIPLIER: Final = np.uint64(_FIBONACCI)

Hashes = NDArray[np.uint64]
Numbers = Sequence[int] | NDArray[np.integer]


def hashes(numbers: Numbers) -> Hashes:
    """Fibonacci hash modulo 2^64 of each E.164 number; its top 12 bits are the bucket."""
    return np.asarray(numbers, np.uint64) * _MULTIPLIER


def hash_of(number: int) -> int:
    """The hash of one E.164 number, as `hashes` gives it."""
    return number * _FIBONACCI & 0xFFFF_FFFF_FFFF_FFFF


def buckets(numbers: Numbers) -> Hashes:
    """Bucket (0..4095) of each E.164 number."""
    return hashes(numbers) >> SHIFT
