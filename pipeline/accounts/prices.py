"""What a segment costs, by country, network and day. Money is whole millionths of a credit: sums are exact."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.accounts import PriceEntry, PriceListSpec, micro
from schemas.audience import Indices

NETWORK_FIELD: Final = "carrier"
"""The contact attribute that names a recipient's network."""
ANY_COUNTRY: Final = "*"
NO_PRICE: Final = -1
_DAY_MS: Final = 86_400_000

_Dated = tuple[tuple[int, int], ...]
"""(first instant in ms, millionths per segment), the newest first."""


@dataclass(frozen=True)
class PriceList:
    """A compiled price list."""

    entries: dict[tuple[str, str], _Dated]
    """By country and network (case-folded; "" = any)."""
    by_network: bool = False
    """Whether any price depends on the network."""
    boundaries: tuple[int, ...] = field(default=())
    """Instants (ms) at which an entry begins, rising."""

    def of(self, country: str, at: int, network: str = "") -> int:
        """Millionths of a credit for one segment to `country` ("" = not known) at `at` (ms); `NO_PRICE` where there
        is none. The most specific entry in force counts, of these the newest."""
        named = network.strip().casefold()
        for key in ((country, named), (country, ""), (ANY_COUNTRY, named), (ANY_COUNTRY, "")):
            for since, price in self.entries.get(key, ()):
                if since <= at:
                    return price
        return NO_PRICE

    def column(
        self, countries: Sequence[str], country: Indices, at: NDArray[np.int64], networks: Sequence[str] | None = None
    ) -> NDArray[np.int64]:
        """Price per segment of each recipient, `NO_PRICE` where there is none. `country` indexes the dictionary
        `countries`, `at` is when each is due (ms), `networks` their attribute, if they have it."""
        periods = np.searchsorted(np.array(self.boundaries, np.int64), at, side="right")
        names, network = _coded(networks, len(at)) if self.by_network and networks else ([""], np.zeros(len(at), int))
        codes = (periods * len(countries) + np.asarray(country, np.int64)) * len(names) + network
        distinct, back = np.unique(codes, return_inverse=True)
        instants = (0, *self.boundaries)
        prices = [
            self.of(countries[code // len(names) % len(countries)], instants[code // len(names) // len(countries)],
                    names[code % len(names)])
            for code in distinct.tolist()
        ]  # fmt: skip
        return np.array(prices, np.int64)[back]


def _coded(networks: Sequence[str], count: int) -> tuple[list[str], NDArray[np.int64]]:
    codes: dict[str, int] = {}
    column = np.fromiter((codes.setdefault(name, len(codes)) for name in networks), np.int64, count)
    return list(codes), column


def compiled(spec: PriceListSpec) -> PriceList:
    """The price list of a spec."""
    entries: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for entry in spec.prices:
        key = (entry.country, (entry.network or "").strip().casefold())
        entries.setdefault(key, []).append((_begin(entry.since), micro(entry.price)))
    return PriceList(
        {key: tuple(sorted(dated, reverse=True)) for key, dated in entries.items()},
        any(network for _, network in entries),
        tuple(sorted({_begin(entry.since) for entry in spec.prices})),
    )


def _begin(day: date) -> int:
    return max(0, round(datetime.combine(day, time(), UTC).timestamp() * 1000))


@cache
def built_in_spec() -> PriceListSpec:
    """The price list that holds where none named `default` was made (`rules/prices.toml`)."""
    text = files("pipeline").joinpath("rules", "prices.toml").read_text(encoding="utf-8")
    return PriceListSpec(prices=tuple(map(PriceEntry.model_validate, tomllib.loads(text)["prices"])))


@cache
def built_in() -> PriceList:
    """The same, compiled."""
    return compiled(built_in_spec())
