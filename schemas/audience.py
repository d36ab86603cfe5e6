"""A page of a frozen audience, as it is read from ClickHouse; never travels through Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

VALUE_LIMIT: Final = 2000
"""Characters of an attribute that a frozen audience keeps: a text with more takes more than 10 segments, which no
account may allow (`max_segments`), so cutting them off changes nobody's text."""

Indices = Sequence[int] | NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class TypedNumbers:
    """Columns of the numbers that an audience names itself: E.164, and the ISO country and region of each, which only
    the number tells ("" = not known)."""

    numbers: Sequence[int] = ()
    countries: Sequence[str] = ()
    regions: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class AudiencePage:
    """Recipients with ordinals first, first+1, …, in columns of n (numpy arrays or lists).

    `numbers`: E.164 digits. `zones`, `countries`, `regions` are dictionaries indexed by `zone`, `country`, `region`
    ("" = not known). `fields`: each attribute that the campaign's templates use -> n strings.

    Raises:
        ValueError: a column of another length.
    """

    first: int
    numbers: Indices
    zones: Sequence[str]
    zone: Indices
    countries: Sequence[str]
    country: Indices
    regions: Sequence[str]
    region: Indices
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.numbers)
        columns = {"zone": self.zone, "country": self.country, "region": self.region, **self.fields}
        for name, column in columns.items():
            if len(column) != n:
                raise ValueError(f"column {name} has {len(column)} entries, expected {n}")

    def part(self, first: int, last: int) -> AudiencePage:
        """The recipients with the ordinals from `first` to before `last`, as far as they are on this page."""
        span = slice(first - self.first, last - self.first)
        return AudiencePage(
            first=first,
            numbers=self.numbers[span],
            zones=self.zones,
            zone=self.zone[span],
            countries=self.countries,
            country=self.country[span],
            regions=self.regions,
            region=self.region[span],
            fields={name: column[span] for name, column in self.fields.items()},
        )

    def __len__(self) -> int:
        return len(self.numbers)
