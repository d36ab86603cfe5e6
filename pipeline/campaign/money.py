"""What a segment costs. Money is whole millionths of a credit: sums are exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.audience import Indices

MICRO = 1_000_000
"""Millionths in a credit."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """Millionths of a credit per segment by ISO country; `default` for all others and where it is not known."""

    default: int
    countries: Mapping[str, int] = field(default_factory=dict)

    def of(self, country: str) -> int:
        """Price of one segment to `country` ("" = not known)."""
        return self.countries.get(country, self.default)

    def column(self, countries: Sequence[str], country: Indices) -> list[int]:
        """Price per segment of each recipient; `country` indexes the dictionary `countries`."""
        prices = [self.of(name) for name in countries]
        return [prices[index] for index in country]


def cost(segments: Sequence[int], prices: Sequence[int]) -> int:
    """Millionths of a credit for messages of so many segments at so much each."""
    return sum(count * price for count, price in zip(segments, prices, strict=True))
