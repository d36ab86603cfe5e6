"""Traces of chunks: their ids, and which chunks are sampled.

A chunk is 500 neighboring ordinals of a message. Ids and sampling follow from what every record of a chunk has, so
that all processes agree on them and nothing of a trace travels with a record. Whoever processes a record again makes
the same ids again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from schemas.wire import CHUNK_LIMIT

_RANDOM_BITS: Final = 56
"""The low bits of a trace id, which OpenTelemetry's consistent sampling takes for its random number: a collector that
samples a share of what we send keeps whole traces too."""


def chunk_of(ordinal: int) -> int:
    """The number of the chunk that an ordinal is in."""
    return ordinal // CHUNK_LIMIT


def chunks_of(ordinals: Sequence[int]) -> Iterable[int]:
    """The numbers of the chunks that some ordinals are in, each once."""
    if not len(ordinals):
        return ()
    first, last = chunk_of(min(ordinals)), chunk_of(max(ordinals))
    # Mostly one or two; a batch of receipts may be from all over a campaign.
    return range(first, last + 1) if last - first < 2 else {chunk_of(ordinal) for ordinal in ordinals}


def chunk_trace(campaign: str, message: int, chunk: int) -> int:
    """The id (128 bits) of a chunk's trace."""
    return _hash(f"{campaign}/{message}/{chunk}".encode(), 16)


def campaign_trace(campaign: str) -> int:
    """The id (128 bits) of the trace of what is done once for a campaign: launch and freeze."""
    return _hash(campaign.encode(), 16)


def span_id(trace: int, name: str, *which: int) -> int:
    """The id (64 bits) of the span `name` of a trace; `which` tells spans of one name apart."""
    return _hash(f"{trace:032x}/{name}/{'/'.join(map(str, which))}".encode(), 8)


def is_sampled(trace: int, rate: float) -> bool:
    """Whether a trace is among the share `rate` (0 to 1) that is sampled. Who samples more has all of these too."""
    return trace & ((1 << _RANDOM_BITS) - 1) >= round((1 - rate) * (1 << _RANDOM_BITS))


def _hash(text: bytes, size: int) -> int:
    return int.from_bytes(blake2b(text, digest_size=size).digest(), "big")
