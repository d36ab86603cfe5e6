"""The garbage collector of processes that run for long."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (10_000, 20, 50)
"""Allocations, then collections of the younger generation, that make a collection; Python's own are 700, 10, 10."""


def leave_out_what_stays() -> None:
    """Call when all is imported: what lives now is never looked at again.

    A full collection walks some 300,000 objects of imported modules, and held the event loop for 70 to 130 ms every
    few seconds: submissions stood still for that long, and a sending limit cannot be used up afterwards.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
