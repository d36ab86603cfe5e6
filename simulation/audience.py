"""The audience of a simulated campaign: sample contacts by seed, or the contacts in ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from loadtest.sample.contacts import NAMELESS, TIER_SHARES, TIERS, ZONED, place_shares
from loadtest.sample.numbers import distinct_numbers
from loadtest.sample.places import CARRIERS, FIRST_NAMES, LAST_NAMES, PLACES
from pipeline.audience.contact_lines import region_code
from pipeline.identity.buckets import hashes
from schemas.audience import AudiencePage

OPTED_OUT = 0.02
INVALID = 0.01
"""Shares of the sample that are opted out, and whose number is too short to be one."""


@dataclass(frozen=True, slots=True)
class Audience:
    """A frozen audience: `page` has ordinals 0..N-1 in order of (bucket, number)."""

    page: AudiencePage
    opted_out: NDArray[np.uint64]
    """Numbers that are opted out at the start."""
    source: str
    """Its source, in words."""
    held: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Numbers that are held for review."""


def in_order(page: AudiencePage) -> AudiencePage:
    """The page as a freeze orders it: by bucket, within it by number."""
    numbers = np.asarray(page.numbers, np.uint64)
    order = np.lexsort((numbers, hashes(numbers) >> np.uint64(52)))
    places = order.tolist()
    return replace(
        page,
        numbers=numbers[order],
        zone=np.asarray(page.zone)[order],
        country=np.asarray(page.country)[order],
        region=np.asarray(page.region)[order],
        fields={name: [column[at] for at in places] for name, column in page.fields.items()},
    )


def sample(recipients: int, seed: int, fields: Sequence[str]) -> Audience:
    """`recipients` people of the places of `longwave sample contacts`, the same for the same seed.

    Attributes that no sample contact has stay empty. A hundredth has a number that is none, as bad imports of
    other systems leave behind, and a fiftieth is opted out.
    """
    rng = np.random.default_rng([seed, 1])
    places = rng.choice(len(PLACES), recipients, p=place_shares()).astype(np.int64)
    numbers = distinct_numbers(rng, places)
    bad = rng.permutation(recipients)[: round(recipients * INVALID)]
    numbers[bad] = 1 + np.arange(len(bad))
    opted_out = numbers[rng.random(recipients) < OPTED_OUT].astype(np.uint64)
    zones, zone = _coded([place.zone for place in PLACES], places)
    zones, zone = ["", *zones], np.where(rng.random(recipients) < ZONED, zone + 1, 0)
    countries, country = _coded([place.country for place in PLACES], places)
    regions, region = _coded([region_code(place.region, place.country, 0) for place in PLACES], places)
    page = AudiencePage(
        first=0,
        numbers=numbers,
        zones=zones,
        zone=zone,
        countries=countries,
        country=country,
        regions=regions,
        region=region,
        fields={name: _attribute(name, places, seed) for name in fields},
    )
    return Audience(in_order(page), opted_out, f"{recipients:,} sample people (seed {seed})")


def _coded(values: Sequence[str], places: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Dictionary and indices of what each place has."""
    entries, index = np.unique(np.array(values, object), return_inverse=True)
    return entries.tolist(), index[places]


def _attribute(name: str, places: NDArray[np.int64], seed: int) -> list[str]:
    """A column of an attribute; drawn from a generator of its own, so that it does not depend on the others."""
    rng = np.random.default_rng([seed, 2, *name.encode()])
    n = len(places)
    if name == "city":
        return [PLACES[place].city for place in places.tolist()]
    if name == "tier":
        return [TIERS[tier] for tier in rng.choice(len(TIERS), n, p=TIER_SHARES).tolist()]
    if name == "orders":
        return [str(count - 1) for count in rng.geometric(0.35, n).tolist()]
    words = {"first_name": FIRST_NAMES, "last_name": LAST_NAMES, "carrier": CARRIERS}.get(name)
    if words is None:
        return [""] * n
    column = np.empty(n, object)
    countries = np.array([place.country for place in PLACES], object)[places]
    for country, text in words.items():
        here = np.flatnonzero(countries == country)
        column[here] = np.array(text.split(), object)[rng.integers(0, len(text.split()), len(here))]
    if name == "first_name":
        column[rng.random(n) < NAMELESS] = ""
    return [str(word) for word in column]
