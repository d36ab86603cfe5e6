"""Public holidays by the `holidays` package; a calendar is named CC or CC-RR, as in rules/quiet_hours.toml.

Where a holiday that falls on a week-end is kept on another day as well, both are holidays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from typing import Any


def holiday(calendar: str, day: date) -> str:
    """The English name of the holiday that `day` is, "" if it is none.

    Raises:
        ValueError: there is no such calendar.
    """
    return _year(calendar, day.year).get(day, "")


def calendar_of(country: str, region: str) -> str:
    """The most precise calendar of a place, "" if the package does not have the country."""
    calendar = _country(country)
    if calendar is None:
        return ""
    return f"{country}-{region}" if region in calendar.subdivisions else country


@lru_cache(maxsize=1024)
def _year(calendar: str, year: int) -> Mapping[date, str]:
    # Importing the package takes 0.3 s, which a command that sends nothing should not wait for.
    from holidays import country_holidays

    country, _, region = calendar.partition("-")
    calendars = _country(country)
    language = "en_US" if calendars is not None and "en_US" in calendars.supported_languages else None
    try:
        return dict(country_holidays(country, subdiv=region or None, years=year, expand=False, language=language))
    except NotImplementedError as error:
        raise ValueError(f"no calendar of public holidays {calendar!r}: {error}") from error


@cache
def _country(code: str) -> Any:
    """The package's class of a country, None if it has none. The package's own lists of what it supports load the
    modules of all 250 countries first, which takes half a second."""
    import holidays
    from holidays.registry import EntityLoader

    return getattr(holidays, code) if code in EntityLoader.get_country_codes(include_aliases=False) else None
