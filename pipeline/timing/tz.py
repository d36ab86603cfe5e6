"""Time zones by the pinned `tzdata` package alone: zoneinfo would read the machine's own data first, and two workers
with different machines would then disagree about when a night begins."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from schemas.ids import zone_names

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
_STEP: Final = 3 * HOUR
"""Changes of a zone's offset are looked for at this distance; a test shows that none are nearer to each other."""


@cache
def zone(name: str) -> ZoneInfo:
    """The zone `name` (IANA).

    Raises:
        ValueError: the pinned data has no such zone.
    """
    if name not in zone_names():
        raise ValueError(f"{name!r} is no IANA time zone (for instance Europe/Paris)")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def offset(name: str, at: int) -> int:
    """Local time minus UTC, in milliseconds, at the instant `at` (ms). Offsets have whole seconds."""
    delta = datetime.fromtimestamp(at // 1000, zone(name)).utcoffset()
    assert delta is not None
    return (delta.days * 86_400 + delta.seconds) * 1000


@lru_cache(maxsize=16_384)
def pieces(name: str, day: int) -> tuple[tuple[int, int, int], ...]:
    """The UTC day `day` (days since 1970) in pieces of constant offset: (start, end, offset), ms, without gaps."""
    pieces_found: list[tuple[int, int, int]] = []
    start, at = day * DAY, day * DAY
    current = offset(name, at)
    while at < (day + 1) * DAY:
        after = offset(name, at + _STEP)
        if after != current:
            change = _change(name, at, at + _STEP, current)
            if change < (day + 1) * DAY:
                pieces_found.append((start, change, current))
                start, current = change, after
        at += _STEP
    pieces_found.append((start, (day + 1) * DAY, current))
    return tuple(piece for piece in pieces_found if piece[0] < piece[1])


def local(at: int, name: str) -> datetime:
    """The instant `at` (ms) as local time."""
    return datetime.fromtimestamp(at // 1000, UTC).astimezone(zone(name))


def instant(local_time: datetime, name: str) -> int:
    """Milliseconds UTC of a time; one without an offset is local to the zone `name`. In the hour that a change of
    clocks repeats it is the first, in the hour that it skips it is that much after the change."""
    aware = local_time if local_time.tzinfo is not None else local_time.replace(tzinfo=zone(name))
    return round(aware.timestamp() * 1000)


def _change(name: str, low: int, high: int, before: int) -> int:
    """The first whole second after `low` whose offset is not `before`; it is at most `high`."""
    while high - low > 1000:
        middle = (low + high) // 2000 * 1000
        low, high = (middle, high) if offset(name, middle) == before else (low, middle)
    return high
