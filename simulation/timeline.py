"""The course of one simulated campaign: how many are in which state, per zone, at sampled instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.timing.zones import zone_ids, zone_sets
from schemas.audience import AudiencePage
from schemas.succession import SHOWN
from simulation.tally import Tally

MOST: Final = 160
"""Samples kept: when there are more, every second goes and the step doubles."""
SHORTEST_STEP_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Sample:
    """At `at` (ms): recipients by state, and by zone and state; states that nobody is in are left out."""

    at: int
    states: dict[str, int]
    zones: dict[str, dict[str, int]]
    residual: int


class Timeline:
    """Samples of a campaign, at most about 160 however long it takes."""

    def __init__(self, tally: Tally, page: AudiencePage, store_zone: str) -> None:
        self.samples: list[Sample] = []
        self._tally = tally
        numbers, zone = np.asarray(page.numbers, np.uint64), np.asarray(page.zone).tolist()
        ids = zone_ids(numbers, page.zones, zone, store_zone, "store")
        used, self._zone = np.unique(ids, return_inverse=True)
        self._names = [_name(zone_sets()[index]) for index in used.tolist()]
        self._step = SHORTEST_STEP_MS
        self._next = 0

    def begin(self, start: int, at_least: float) -> None:
        """Take the first sample at `start` (ms); it will take `at_least` so many seconds."""
        self._next = start
        self._step = max(1, int(at_least / MOST)) * SHORTEST_STEP_MS

    def sample_until(self, at: int) -> None:
        """Take the samples that are due before what happens at `at` (ms)."""
        while self._next < at:
            self.sample(self._next)
            self._next += self._step
            if len(self.samples) > MOST:
                del self.samples[1::2]
                self._step *= 2
                self._next = self.samples[-1].at + self._step

    def sample(self, at: int) -> None:
        """Take a sample now."""
        figures = self._tally.figures()
        n = len(SHOWN)
        cells = np.bincount(self._zone * n + self._tally.state, minlength=n * len(self._names)).reshape(-1, n)
        zones = {name: _present(row.tolist()) for name, row in zip(self._names, cells, strict=True)}
        states = {state: count for state, count in figures.states.items() if count}
        off = self._tally.recipients - sum(states.values())
        by_zone = _present(cells.sum(axis=0).tolist())
        differing = sum(abs(by_zone.get(state, 0) - states.get(state, 0)) for state in SHOWN)
        self.samples.append(Sample(at, states, zones, figures.residual or off or differing))


def _present(counts: Sequence[int]) -> dict[str, int]:
    return {state: count for state, count in zip(SHOWN, counts, strict=True) if count}


def _name(zones: Sequence[str]) -> str:
    if len(zones) < 3:
        return " or ".join(zones)
    return f"{zones[0]} or {len(zones) - 1} others"
