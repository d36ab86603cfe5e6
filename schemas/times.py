"""Instants in writing, always in UTC: for programs as ISO 8601, for people to the minute or second."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: int) -> str:
    """An instant (ms) as ISO 8601 to the millisecond: 2026-11-27T09:00:00.000Z."""
    return iso_of(datetime.fromtimestamp(at / 1000, UTC))


def iso_of(moment: datetime) -> str:
    """The same of a datetime; one without a zone is UTC already."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(at: int) -> str | None:
    """The same of an instant (ms) that may not have come: 0 is None."""
    return iso(at) if at else None


def ms_of(moment: datetime | None) -> int:
    """A datetime as an instant (ms), 0 for None; one without a zone is UTC."""
    if moment is None:
        return 0
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def to_minute(at: int) -> str:
    """An instant (ms) for people: 2026-11-27 09:00 UTC."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def to_second(at: int) -> str:
    """An instant (ms) for people: 2026-11-27 09:00:00 UTC."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
