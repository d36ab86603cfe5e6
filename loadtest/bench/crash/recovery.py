"""When a lane sends again, from the times of its arrivals at the aggregator."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

PAUSE: Final = 1.0
"""Seconds without an arrival that count as standing still: a lane at its limit sends ten times a second."""
STEADY: Final = 2.0
"""Seconds without such a pause after which a lane counts as back."""


@dataclass(frozen=True, slots=True)
class Back:
    """Seconds: `longest` pause of a lane since the blow, `settled` from the blow to the end of the last pause."""

    longest: float
    settled: float


def back(times: Sequence[float], blow: float, now: float) -> Back | None:
    """What the arrival `times` (ascending) of a lane say of a blow; None while it is not back for good."""
    later = times[bisect_left(times, blow) :]
    steps = list(pairwise([blow, *later, now]))
    pauses = [(start, end) for start, end in steps if end - start > PAUSE]
    settled = pauses[-1][1] if pauses else blow
    if settled == now or now - settled < STEADY:
        return None
    return Back(max((end - start for start, end in pauses), default=0.0), settled - blow)
