"""A forecast as JSON, for the API and the command alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.insight.forecast_words import Forecast
from schemas.times import iso_or_none


def told(name: str, audience: str, found: Forecast, skipped: Mapping[str, int]) -> dict[str, Any]:
    """The forecast of the campaign `name`, times as ISO 8601 in UTC; `audience` says in words whom it is about,
    `skipped` (reason -> recipients) who of them would get nothing."""
    value = asdict(found)
    times = {key: value[key] and iso_or_none(value[key]) for key in ("begin", "finish", "horizon")}
    zones = [{**zone, "finish": zone["finish"] and iso_or_none(zone["finish"])} for zone in value["zones"]]
    return {"name": name, "audience": audience, **value, **times, "zones": zones, "skipped": dict(skipped)}
