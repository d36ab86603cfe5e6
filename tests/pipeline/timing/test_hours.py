"""Hours as people write them."""

from __future__ import annotations

import pytest

from pipeline.timing.hours import read_hours, read_week, show
from pipeline.timing.intervals import intersect


@pytest.mark.parametrize("text", ["08:00-20:00", "00:00-24:00", "10:00-13:00, 14:30-20:00", "23:59-24:00"])
def test_hours_are_shown_as_they_are_read(text: str) -> None:
    assert show(read_hours(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "8-20", "20:00-08:00", "08:00-08:00", "08:00-24:01", "08:60-09:00", "10:00-12:00, 11:00-13:00",
     "10:00-12:00, 12:00-13:00", "14:00-15:00, 10:00-11:00"],
)  # fmt: skip
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="window"):
        read_hours(text)


def test_a_week_has_no_hours_on_days_that_are_not_named() -> None:
    week = read_week({"mon-fri": "09:00-18:00", "Sat": "10:00-17:00"})
    assert week == (((540, 1080),),) * 5 + (((600, 1020),), ())
    assert show(week[6]) == "closed"


@pytest.mark.parametrize("days", ["", "mo", "monday", "fri-mon", "mon-", "weekend"])
def test_what_is_no_day_is_refused(days: str) -> None:
    with pytest.raises(ValueError, match="no day or range of days"):
        read_week({days if days != "mon-" else "mon-x": "09:00-18:00"})


def test_a_day_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="wed is given twice"):
        read_week({"mon-fri": "09:00-18:00", "wed": "10:00-12:00"})


def test_what_is_in_both() -> None:
    common = intersect(read_hours("08:00-12:00, 14:00-20:00"), read_hours("10:00-15:00, 19:00-24:00"))
    assert tuple(common) == read_hours("10:00-12:00, 14:00-15:00, 19:00-20:00")
    assert intersect(read_hours("08:00-12:00"), read_hours("12:00-20:00")) == []
