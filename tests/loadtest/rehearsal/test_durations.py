"""Durations in rules are divided, and nothing else is."""

from __future__ import annotations

import pytest

from loadtest.rehearsal.durations import divided, divided_in, names_in, ranges_in, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("3d", 259_200), ("1w", 604_800), ("0", 0), ("1m30s", 90)],
)
def test_a_duration_is_read(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "1.5h", "5m!", "-5m", "5months"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


def test_it_is_divided_and_never_becomes_nothing() -> None:
    assert divided("1m", 10) == "6000ms"
    assert divided("1ms", 60) == "1ms"
    with pytest.raises(ValueError, match="no duration"):
        divided("soon", 10)


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("rate(a_total[5m]) > 0.5", "rate(a_total[30000ms]) > 0.5"),
        ("avg_over_time(x[1h30m] offset 10m)", "avg_over_time(x[540000ms] offset 60000ms)"),
        ("max_over_time(x[1h:5m])", "max_over_time(x[360000ms:30000ms])"),
        ("lane:used:rate1m{class='10m'} > 60", "lane:used:rate1m{class='10m'} > 60"),
        ('x{le="5m"} / 3600 # 5m', 'x{le="5m"} / 3600 # 5m'),
        ("x:p99_5m + 1e3", "x:p99_5m + 1e3"),
        ("a{b=`1h`}[1d]", "a{b=`1h`}[8640000ms]"),
    ],
)
def test_an_expression_keeps_everything_but_its_durations(expression: str, wanted: str) -> None:
    assert divided_in(expression, 10) == wanted


def test_what_an_expression_reads() -> None:
    expression = 'sum(rate(longwave_x_total{step="a_b"}[5m])) / longwave:y:rate1m offset 1h'
    assert ranges_in(expression) == [300, 3600]
    assert {"longwave_x_total", "longwave:y:rate1m"} <= names_in(expression)
    assert "a_b" not in names_in(expression)
