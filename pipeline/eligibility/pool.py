"""Which of a campaign's senders a recipient gets the message from. It follows from the recipient and the pool, which
was fixed at the launch, alone: a chunk that is read again goes to the same lanes.

`recipient`: a person gets all messages from the same sender as long as the pool is the same, and when a sender joins
or leaves, only those move whom it concerns (weighted rendezvous hashing; Thaler and Ravishankar, 1998, with the
weights of Schindelhauer and Schomaker, 2005). `country`: the same among the senders of the recipient's country, among
all where there is none. `turn`: by the recipients' order. Senders get recipients in proportion to their limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.audience import Indices
from schemas.campaign import LaunchedSender, PoolRule

Choice = NDArray[np.intp]
"""A sender's place in the pool for each recipient."""

_GOLDEN: Final = 0.6180339887498949
"""Multiples of it, modulo 1, are spread as evenly as can be (Weyl's sequence)."""
_MIX: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Of splitmix64's finalizer (Steele, Lea and Flood, 2014)."""


def senders_of(
    pool: Sequence[LaunchedSender],
    rule: PoolRule,
    numbers: NDArray[np.uint64],
    countries: Sequence[str],
    country: Indices,
    first: int,
) -> Choice:
    """The sender of each recipient; `first` is the ordinal of the first, `country` indexes `countries`."""
    if len(pool) == 1:
        return np.zeros(len(numbers), np.intp)
    weights = np.array([sender.rate for sender in pool])
    if rule == "turn":
        turns = (np.arange(first, first + len(numbers)) * _GOLDEN) % 1.0
        ends = np.cumsum(weights / weights.sum())
        place: Choice = np.minimum(np.searchsorted(ends, turns, "right"), len(pool) - 1)
        return place
    scores = np.stack([_score(sender, numbers) for sender in pool])
    if rule == "country":
        here = np.array([[sender.country == name != "" for name in countries] for sender in pool], bool)
        mine = here[:, np.asarray(country, np.intp)]
        scores[~mine & mine.any(axis=0)] = np.inf
    best: Choice = np.argmin(scores, axis=0)
    return best


def _score(sender: LaunchedSender, numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Exponentially distributed with the sender's limit as rate: the lowest score of a pool wins in proportion."""
    seed = int.from_bytes(blake2b(sender.sender.encode(), digest_size=8).digest(), "big")
    with np.errstate(over="ignore"):
        mixed = numbers ^ np.uint64(seed)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
        mixed = mixed ^ (mixed >> np.uint64(31))
    uniform = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
    score: NDArray[np.float64] = -np.log(uniform) / sender.rate
    return score
