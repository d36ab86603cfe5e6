"""What a forecast says in words: beyond its horizon it does not know the finish, and says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.insight.forecast import Group, Interval, Precedence
from pipeline.insight.forecast_words import Question, forecast
from pipeline.insight.review import written_instant

HOUR, DAY = 3_600_000, 86_400_000
BEGIN = int(datetime(2026, 11, 26, 10, tzinfo=UTC).timestamp()) * 1000
HORIZON = BEGIN + 30 * DAY


def question(windows: list[Interval], recipients: int, deadline: int | None = None) -> Question:
    group = Group("Europe/Paris", recipients, recipients, windows)
    return Question(
        sender="main", limit=1.0, rate=1.0, begin=BEGIN, deadline=deadline, horizon=HORIZON, days=30,
        precedence=Precedence((1, 1 << 62)), groups=[group],
    )  # fmt: skip


ALL_DAY = [(BEGIN, HORIZON + 14 * DAY)]
MONTH = 30 * 86_400


def test_a_finish_beyond_the_horizon_is_said_to_be_so_with_what_is_known_until_there() -> None:
    actual = forecast(question(ALL_DAY, MONTH + 1000))
    assert (actual.finish, actual.seconds, actual.beyond_horizon, actual.unreached) == (None, None, True, 1000)
    assert actual.binding == "rate", "not the quiet hours, of which there are none"
    assert actual.why.endswith(
        "the finish is later than the 30 days of the forecast: by 2026-12-26 10:00 UTC 2,592,000 are "
        "submitted, and the finish of the other 1,000 is not known"
    )
    assert actual.zones[0].finish is None


def test_no_window_within_the_horizon_is_not_known_either() -> None:
    actual = forecast(question([], 10))
    assert (actual.beyond_horizon, actual.unreached, actual.binding) == (True, 10, "quiet_hours")
    assert "some recipients are never outside quiet hours" in actual.why
    assert "0 are submitted" in actual.why


def test_a_finish_within_the_horizon_and_a_deadline_before_it_are_known() -> None:
    whole = forecast(question(ALL_DAY, MONTH))
    assert (whole.finish, whole.beyond_horizon) == (HORIZON, False)
    assert "horizon" not in whole.why
    late = forecast(question(ALL_DAY, MONTH + 1000, deadline=BEGIN + DAY))
    assert (late.beyond_horizon, late.unreached, late.seconds) == (False, MONTH + 1000 - 86_400, 86_400)
    assert "before the deadline at 2026-11-27 10:00 UTC" in late.why


def test_a_deadline_beyond_the_horizon_is_not_said_to_be_missed() -> None:
    actual = forecast(question(ALL_DAY, MONTH + 1000, deadline=HORIZON + DAY))
    assert (actual.finish, actual.seconds, actual.beyond_horizon) == (None, None, True)
    assert "deadline" not in actual.why


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "1999-12-31T23:59", "2100-01-01T00:00Z", "9999-12-31T23:59"])
def test_a_launch_in_a_year_that_nobody_plans_for_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not in 2000 to 2099"):
        written_instant(text, "America/New_York")
