"""Hours of a local day as people write them ("08:00-20:00", "10:00-13:00, 14:00-20:00") and week tables of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pipeline.timing.intervals import Interval

Hours = tuple[Interval, ...]
"""Windows of a local day, (start, end) in minutes after midnight by the clock, end excluded: rising, apart."""
Week = tuple[Hours, Hours, Hours, Hours, Hours, Hours, Hours]
"""Hours by weekday, Monday first."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT: Final = 24 * 60
_WINDOW: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


def read_week(table: Mapping[str, str]) -> Week:
    """A week from `{"mon-fri": "09:00-18:00", "sat": "10:00-17:00"}`; a day that is not named has no hours.

    Raises:
        ValueError: not of this form, or a day twice; the text is for the user.
    """
    week: dict[int, Hours] = {}
    for days, text in table.items():
        for day in _days(days):
            if day in week:
                raise ValueError(f"{DAYS[day]} is given twice")
            week[day] = read_hours(text)
    mon, tue, wed, thu, fri, sat, sun = (week.get(day, ()) for day in range(7))
    return mon, tue, wed, thu, fri, sat, sun


def read_hours(text: str) -> Hours:
    """Hours from text such as "08:00-20:00"; 24:00 is the end of the day, a window does not run over midnight.

    Raises:
        ValueError: not of this form; the text is for the user.
    """
    hours: list[Interval] = []
    for part in text.split(","):
        match = _WINDOW.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no window of hours; write for instance 09:00-18:30")
        a, b, c, d = map(int, match.groups())
        start, end = a * 60 + b, c * 60 + d
        if not start < end <= MIDNIGHT or (hours and start <= hours[-1][1]):
            raise ValueError(f"{text!r}: windows must rise, end by 24:00 and lie apart")
        hours.append((start, end))
    return tuple(hours)


def show(hours: Hours) -> str:
    """As `read_hours` takes it, "closed" for none."""
    return ", ".join(f"{_clock(start)}-{_clock(end)}" for start, end in hours) or "closed"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _days(text: str) -> range:
    first, _, last = text.strip().lower().partition("-")
    if first not in DAYS or (last or first) not in DAYS or DAYS.index(last or first) < DAYS.index(first):
        raise ValueError(f"{text!r} is no day or range of days; write for instance mon, mon-fri or sat-sun")
    return range(DAYS.index(first), DAYS.index(last or first) + 1)
