"""The launch time that forecasts and simulations assume."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from adapters.terminal import WrongUse


def given(start: str, store_zone: str) -> int:
    """The instant (ms) of `--start`; without an offset it is the store's time.

    Raises:
        WrongUse: it is not a time.
    """
    from pipeline.insight.review import written_instant

    try:
        return written_instant(start, store_zone)
    except ValueError as error:
        raise WrongUse(f"--start: {error}") from error


def begin_of(start: str | None, send_at: datetime | None, store_zone: str) -> int:
    """When a simulation starts (ms): `start`, else `send_at`, else noon today in the store's zone. That default holds
    all day, so that the same command gives the same result."""
    from adapters.clock import now_ms
    from pipeline.timing.tz import instant

    if start is not None:
        return given(start, store_zone)
    if send_at is not None:
        return instant(send_at, store_zone)
    today = datetime.fromtimestamp(now_ms() / 1000, UTC).astimezone(ZoneInfo(store_zone)).date()
    return instant(datetime.combine(today, time(12), ZoneInfo(store_zone)), store_zone)
