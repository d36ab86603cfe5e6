"""Where a recipient is, as it travels in the dictionary `zones` of a WORK: "US-FL America/Chicago,America/New_York".

Names and not numbers, because a lane's log outlives the versions of the zone data.
"""

from __future__ import annotations

from functools import lru_cache

Place = tuple[str, str]
"""(country, region) by which rules are looked up; "" = not known."""


def write_key(zones: tuple[str, ...], place: Place) -> str:
    """The text of a recipient's zones and place."""
    return f"{place_name(place)} {','.join(zones)}"


@lru_cache(maxsize=4096)
def read_key(key: str) -> tuple[tuple[str, ...], Place]:
    """Zones and place of a text that `write_key` gave.

    Raises:
        ValueError: it is no such text.
    """
    name, space, zones = key.rpartition(" ")  # a region may have spaces, zones have none
    if not space or not zones:
        raise ValueError(f"{key!r} does not say where a recipient is; a WORK carries for instance 'FR Europe/Paris'")
    country, _, region = name.partition("-")
    return tuple(zones.split(",")), (country, region)


def place_name(place: Place) -> str:
    """CC, CC-RR, or "" for a country that is not known."""
    country, region = place
    return f"{country}-{region}" if country and region else country
