"""What zones and quiet hours cost a recipient, in one process: parts of `longwave bench eligibility`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from phonenumbers import parse
from phonenumbers.timezone import time_zones_for_number

from pipeline.numbers.area_codes import state_of_number
from pipeline.timing.quiet_hours import QuietHours
from pipeline.timing.zones import UNKNOWN, candidate_ids
from schemas.wire import CHUNK_LIMIT

REQUIRED_US: Final = 2.0
ROUNDS: Final = 30
RANGES: Final = {
    "US": (12015550000, 19895559999),
    "RU": (79000000000, 79999999999),
    "ES": (34600000000, 34699999999),
    "GB": (447000000000, 447999999999),
}
"""Numbers of countries with one zone and with many."""


def zones_us() -> dict[str, float]:
    """Microseconds of CPU a number for its candidate zones, in a chunk, by country."""
    return {country: _each(partial(candidate_ids, _numbers(country))) for country in RANGES}


def phonenumbers_us() -> float:
    """Microseconds of CPU a number by the library that our tables come from."""
    written = [f"+{number}" for number in _numbers("US").tolist()]
    return _each(lambda: [time_zones_for_number(parse(text)) for text in written], rounds=1)


def quiet_hours_us(now: int) -> float:
    """Microseconds of CPU a recipient for when quiet hours let a US number be written to; `now` in ms."""
    numbers = _numbers("US")
    states = [state_of_number(number) for number in numbers.tolist()]
    regions = sorted(set(states))
    region = [regions.index(state) for state in states]
    zones, quiet = candidate_ids(numbers), QuietHours("cautious")
    known = zones != UNKNOWN
    ids, places = zones[known], np.array(region)[known].tolist()

    def answer() -> None:
        quiet.next_allowed_many(now, ids, quiet.rule_ids(["US"], [0] * len(places), regions, places))

    return _each(answer)


def _numbers(country: str) -> NDArray[np.uint64]:
    return np.random.default_rng(1).integers(*RANGES[country], CHUNK_LIMIT).astype(np.uint64)


def _each(do: Callable[[], Any], rounds: int = ROUNDS) -> float:
    do()
    return round(min(_seconds(do) for _ in range(rounds)) / CHUNK_LIMIT * 1e6, 2)


def _seconds(do: Callable[[], Any]) -> float:
    begun = time.process_time()
    do()
    return time.process_time() - begun
