"""The most that a campaign can cost, and what this follows from: fixed when its audience is frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.accounts.prices import ANY_COUNTRY, NETWORK_FIELD, NO_PRICE, PriceList
from schemas.audience import Indices
from schemas.ledger import MOST_MICRO, TariffPrice


@dataclass(slots=True)
class MostCost:
    """Adds up the most that recipients can cost, page by page: the segments of each text times the highest price that
    may hold for the recipient between `begin` and `end` (ms; None: forever). Whose text is too long, and who never
    has a price, gets nothing and costs nothing."""

    prices: PriceList
    max_segments: int
    begin: int
    end: int | None
    amount: int = 0
    segments: int = 0
    places: set[tuple[str, str]] = field(default_factory=set)
    """(country, network) of the recipients."""
    _highest: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(
        self,
        countries: Sequence[str],
        country: Indices,
        fields: Mapping[str, Sequence[str]],
        segments: NDArray[np.uint16],
    ) -> None:
        """Add recipients: columns as of a page of the audience, and the segments of each one's text."""
        networks = fields.get(NETWORK_FIELD) if self.prices.by_network else None
        billed = np.where(segments > self.max_segments, 0, segments)
        for place, count in _counted(countries, country, networks, billed):
            self.places.add(place)
            price = self._price(place)
            if price != NO_PRICE:
                self.amount = min(MOST_MICRO, self.amount + count * price)
                self.segments += count

    def tariff(self) -> list[TariffPrice]:
        """The prices that these recipients can have."""
        countries = {country for country, _ in self.places} | {ANY_COUNTRY}
        networks = {network for _, network in self.places} | {""}
        return [
            (since, country, network, price)
            for (country, network), dated in sorted(self.prices.entries.items())
            if country in countries and network in networks
            for since, price in dated
        ]

    def _price(self, place: tuple[str, str]) -> int:
        if place not in self._highest:
            later = [at for at in self.prices.boundaries if at > self.begin and (self.end is None or at < self.end)]
            self._highest[place] = max(self.prices.of(place[0], at, place[1]) for at in (self.begin, *later))
        return self._highest[place]


def _counted(
    countries: Sequence[str], country: Indices, networks: Sequence[str] | None, segments: NDArray[np.uint16]
) -> Iterable[tuple[tuple[str, str], int]]:
    """((country, network), segments) of recipients."""
    named = [""] * len(segments) if networks is None else [name.strip().casefold() for name in networks]
    names = sorted(set(named))
    place = {name: index for index, name in enumerate(names)}
    codes = np.asarray(country, np.int64) * len(names)
    if len(names) > 1:
        codes = codes + np.fromiter((place[name] for name in named), np.int64, len(named))
    distinct, back = np.unique(codes, return_inverse=True)
    sums = np.zeros(len(distinct), np.int64)
    np.add.at(sums, back, segments.astype(np.int64))
    for code, count in zip(distinct.tolist(), sums.tolist(), strict=True):
        yield (countries[code // len(names)], names[code % len(names)]), count


def price_list(prices: Iterable[TariffPrice]) -> PriceList:
    """The price list of a tariff."""
    entries: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for since, country, network, price in prices:
        entries.setdefault((country, network), []).append((since, price))
    return PriceList(
        {key: tuple(sorted(dated, reverse=True)) for key, dated in entries.items()},
        any(network for _, network in entries),
        tuple(sorted({since for dated in entries.values() for since, _ in dated})),
    )
