"""The rules as Prometheus gets them: those of deploy/, all of them, each still understood when it is divided."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from adapters.terminal import UserError
from loadtest.rehearsal.rules import FOLDER, Rules

RULES = """
groups:
  - name: some
    interval: 30s
    rules:
      - record: longwave:used:ratio1m
        expr: rate(longwave_lane_segments_total[1m]) / longwave_lane_limit_segments_per_second
      - record: longwave:used:max1h
        expr: max_over_time(longwave:used:ratio1m[1h])
      - alert: Unused
        expr: longwave:used:max1h < 0.5 and histogram_quantile(0.9, rate(longwave_lag_seconds_bucket[5m])) > 2
        for: 3m
        labels: {severity: warning}
        annotations: {summary: "for 3m"}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "some.yml").write_text(RULES)
    return Rules(tmp_path)


def test_every_duration_is_divided_and_the_texts_stay(rules: Rules, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    rules.write(out, 10)
    (group,) = yaml.safe_load((out / "some.yml").read_text())["groups"]
    assert group["interval"] == "3000ms"
    assert [rule["expr"] for rule in group["rules"]] == [
        "rate(longwave_lane_segments_total[6000ms]) / longwave_lane_limit_segments_per_second",
        "max_over_time(longwave:used:ratio1m[360000ms])",
        "longwave:used:max1h < 0.5 and histogram_quantile(0.9, rate(longwave_lag_seconds_bucket[30000ms])) > 2",
    ]
    assert group["rules"][2]["for"] == "18000ms"
    assert group["rules"][2]["annotations"] == {"summary": "for 3m"}


def test_how_long_an_alert_may_take_is_that_of_all_that_it_reads(rules: Rules) -> None:
    assert rules.patience("Unused") == 3 * 60 + 3600


def test_the_metrics_of_an_alert_are_found_through_recording_rules(rules: Rules) -> None:
    assert rules.metrics(rules.alerts["Unused"].expression) == {
        "longwave_lane_segments_total",
        "longwave_lane_limit_segments_per_second",
        "longwave_lag_seconds",
    }


@pytest.mark.parametrize("faster", [1, 5, 60])
def test_prometheus_understands_our_rules_divided(tmp_path: Path, faster: float) -> None:
    Rules().write(tmp_path, faster)
    files = sorted(str(path) for path in tmp_path.glob("*.yml"))
    assert len(files) == len(list(FOLDER.glob("*.yml")))
    done = subprocess.run(["promtool", "check", "rules", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_rules_it_says_where_they_should_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="checkout"):
        Rules(tmp_path)
