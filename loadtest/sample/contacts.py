"""Believable sample contacts, the same for the same seed: people of five countries, with a few bad lines.

Of `count` lines, exactly `round(count * invalid)` must be rejected by an import and exactly
`round(count * duplicates)` repeat the number of another line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from loadtest.sample.numbers import Ints, distinct_numbers, written
from loadtest.sample.places import CARRIERS, COUNTRY_WEIGHTS, FIRST_NAMES, LAST_NAMES, PLACES

BLOCK = 200_000
_NATIONAL, ZONED, NAMELESS = 0.3, 0.6, 0.08
"""Shares of lines written in national format, with a zone, and without a first name."""
_LAST_DAY = np.datetime64("2026-10-31")
TIERS = ("bronze", "silver", "gold", "platinum")
TIER_SHARES = (0.6, 0.25, 0.12, 0.03)
_BAD_PHONES = (
    "",
    "call me",
    "n/a",
    "+1",
    "12345",
    "+1 212 155 0123",
    "+1 900 234 5678",
    "+33 8 99 70 12 34",
    "+999 123 4567",
    "+1 212 736 5000 ext. 12",
    "1.21274E+10",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to generate; the shares are of `count`."""

    count: int
    seed: int = 1
    invalid: float = 0.01
    duplicates: float = 0.01
    opted_out: float = 0.02

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("count must be at least 1")
        if min(self.invalid, self.duplicates, self.opted_out) < 0 or self.opted_out > 1:
            raise ValueError("shares are between 0 and 1")
        if round(self.count * self.invalid) + 2 * round(self.count * self.duplicates) > self.count:
            raise ValueError("invalid and twice duplicates together must not pass 1: there is nobody left to repeat")


def write(recipe: Recipe, path: Path) -> None:
    """Write the contacts as CSV, or as Parquet if `path` ends in `.parquet`."""
    blocks = generate(recipe)
    first = next(blocks)
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, first.schema) as parquet:
            parquet.write_table(first)
            for block in blocks:
                parquet.write_table(block)
        return
    plain = pa_csv.WriteOptions(quoting_style="none")
    with pa_csv.CSVWriter(path, first.schema, write_options=plain) as text:
        text.write(first)
        for block in blocks:
            text.write(block)


def generate(recipe: Recipe) -> Iterator[pa.Table]:
    """Tables of up to 200,000 lines, all columns strings."""
    rng = np.random.default_rng(recipe.seed)
    bad = round(recipe.count * recipe.invalid)
    repeats = round(recipe.count * recipe.duplicates)
    places = rng.choice(len(PLACES), recipe.count, p=place_shares()).astype(np.int64)
    numbers = distinct_numbers(rng, places)
    order = rng.permutation(recipe.count)
    copies, originals, is_bad = order[:repeats], order[repeats : 2 * repeats], np.zeros(recipe.count, bool)
    numbers[copies], places[copies] = numbers[originals], places[originals]
    is_bad[order[2 * repeats : 2 * repeats + bad]] = True
    for start in range(0, recipe.count, BLOCK):
        block = slice(start, start + BLOCK)
        yield _table(rng, recipe, places[block], numbers[block], is_bad[block])


def place_shares() -> npt.NDArray[np.float64]:
    """Probability of each place: its country's weight, shared within the country by its own weight."""
    within = {c: sum(p.weight for p in PLACES if p.country == c) for c in COUNTRY_WEIGHTS}
    shares = np.array([COUNTRY_WEIGHTS[p.country] * p.weight / within[p.country] for p in PLACES])
    return np.asarray(shares / shares.sum(), np.float64)


def _table(
    rng: np.random.Generator, recipe: Recipe, places: Ints, numbers: Ints, is_bad: npt.NDArray[np.bool_]
) -> pa.Table:
    size = len(places)
    countries = _of_place("country")[places]
    phones = np.array(written(numbers, countries, rng.random(size) < _NATIONAL), dtype=object)
    phones[is_bad] = _pick(rng, _BAD_PHONES, int(is_bad.sum()))
    first_names = _by_country(rng, FIRST_NAMES, countries)
    first_names[rng.random(size) < NAMELESS] = ""
    days = rng.integers(0, 700, size).astype("timedelta64[D]")
    columns = {
        "phone": phones,
        "country": countries,
        "region": _of_place("region")[places],
        "zone": np.where(rng.random(size) < ZONED, _of_place("zone")[places], ""),
        "first_name": first_names,
        "last_name": _by_country(rng, LAST_NAMES, countries),
        "city": _of_place("city")[places],
        "carrier": _by_country(rng, CARRIERS, countries),
        "tier": np.array(TIERS, object)[rng.choice(len(TIERS), size, p=TIER_SHARES)],
        "orders": (rng.geometric(0.35, size) - 1).astype(str),
        "last_order": (_LAST_DAY - days).astype(str),
        "opted_out": np.where(rng.random(size) < recipe.opted_out, "true", "false"),
    }
    return pa.table({name: _strings(values) for name, values in columns.items()})


def _strings(values: Any) -> Any:
    kind: Any = pa.string()
    return pa.array(np.asarray(values, dtype=object), kind)


def _of_place(part: str) -> npt.NDArray[np.object_]:
    return np.array([getattr(place, part) for place in PLACES], dtype=object)


def _pick(rng: np.random.Generator, words: tuple[str, ...], size: int) -> npt.NDArray[np.object_]:
    return np.array(words, dtype=object)[rng.integers(0, len(words), size)]


def _by_country(
    rng: np.random.Generator, words: dict[str, str], countries: npt.NDArray[np.object_]
) -> npt.NDArray[np.object_]:
    out = np.empty(len(countries), dtype=object)
    for country, text in words.items():
        here = np.flatnonzero(countries == country)
        out[here] = _pick(rng, tuple(text.split()), len(here))
    return out
