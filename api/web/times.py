"""Times as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(at: int) -> str | None:
    """ISO 8601 in UTC of milliseconds, None for 0 (never)."""
    if not at:
        return None
    return iso(datetime.fromtimestamp(at / 1000, UTC))


def iso(at: datetime) -> str:
    """ISO 8601 in UTC of a moment; without a zone it is UTC already."""
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
