"""Sample phone numbers: distinct, valid, of a given place; and the ways people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.sample.places import CALLING_CODES, NATIONAL_LENGTHS, PLACES

Ints = npt.NDArray[np.int64]
compute: Any = pc

_TAKEN_EXCHANGES = {n * 100 + 11 for n in range(2, 10)} | {555}
"""North American exchanges that no phone has: the service codes N11, and fiction's 555."""
_EXCHANGES = np.array([n for n in range(200, 1000) if n not in _TAKEN_EXCHANGES])


def distinct_numbers(rng: np.random.Generator, places: Ints) -> Ints:
    """One E.164 number for each entry of `places` (indices of PLACES), no two the same."""
    numbers = _draw(rng, places)
    while True:
        _, first = np.unique(numbers, return_index=True)
        again = np.ones(len(numbers), bool)
        again[first] = False
        if not again.any():
            return numbers
        numbers[again] = _draw(rng, places[again])


def _draw(rng: np.random.Generator, places: Ints) -> Ints:
    national = np.empty(len(places), np.int64)
    for index in np.unique(places):
        place, here = PLACES[index], np.flatnonzero(places == index)
        prefixes = np.array([int(prefix) for prefix in place.prefixes])[
            rng.integers(0, len(place.prefixes), len(here))
        ]
        free = NATIONAL_LENGTHS[place.country] - len(place.prefixes[0])
        if CALLING_CODES[place.country] == 1:
            rest = _EXCHANGES[rng.integers(0, len(_EXCHANGES), len(here))] * 10_000
            rest = rest + rng.integers(0, 10_000, len(here))
        else:
            rest = rng.integers(0, 10**free, len(here))
        code = CALLING_CODES[place.country] * 10 ** NATIONAL_LENGTHS[place.country]
        national[here] = code + prefixes * 10**free + rest
    return national


def written(numbers: Ints, countries: npt.NDArray[np.object_], national: npt.NDArray[np.bool_]) -> Any:
    """Arrow strings: `+` and E.164, or where `national` is true as people of that country write it."""
    out = np.array(compute.binary_join_element_wise("+", _digits(numbers), ""), dtype=object)
    for country, length in NATIONAL_LENGTHS.items():
        here = np.flatnonzero((countries == country) & national)
        if len(here):
            digits = _digits(numbers[here] % 10**length)
            out[here] = np.array(_as_at_home(country, digits), dtype=object)
    return pa.array(out, pa.string())


def _digits(numbers: Ints) -> Any:
    return compute.cast(pa.array(numbers), pa.string())


def _as_at_home(country: str, digits: Any) -> Any:
    def part(start: int, stop: int) -> Any:
        return compute.utf8_slice_codeunits(digits, start, stop)

    join = compute.binary_join_element_wise
    if country in ("US", "CA"):
        return join("(", part(0, 3), ") ", part(3, 6), "-", part(6, 10), "")
    if country == "FR":
        pairs = join(*(part(i, i + 2) for i in (1, 3, 5, 7)), " ")
        return join("0", part(0, 1), " ", pairs, "")
    if country == "GB":
        return join("0", part(0, 4), " ", part(4, 10), "")
    return join("0", part(0, 5), " ", part(5, 10), "")
