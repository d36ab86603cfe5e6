"""Which panels are about an alert, and how their queries are asked."""

from __future__ import annotations

import json
from pathlib import Path

from loadtest.rehearsal.panels import _filled, concerned, panels
from loadtest.rehearsal.prometheus import Prometheus
from loadtest.rehearsal.rules import Rules

DASHBOARD = {
    "title": "Lanes",
    "panels": [
        {"title": "late", "targets": [{"expr": "longwave_lane_late_seconds"}]},
        {"title": "rows", "targets": [{"rawSql": "SELECT 1"}]},
        {
            "title": "a row",
            "panels": [{"title": "p90", "targets": [{"expr": "longwave:aggregator_seconds:p90_5m"}]}],
        },
    ],
}


def test_the_panels_of_an_alert_are_those_that_show_its_metrics(tmp_path: Path) -> None:
    (tmp_path / "lanes.json").write_text(json.dumps(DASHBOARD))
    all_panels = panels(tmp_path)
    assert [str(panel) for panel in all_panels] == ["Lanes: late", "Lanes: p90"]
    rules = Rules()
    assert [panel.title for panel in concerned(all_panels, rules, "LaneLate")] == ["late"]
    assert [panel.title for panel in concerned(all_panels, rules, "AggregatorSlow")] == ["p90"], (
        "through a recording rule"
    )
    assert concerned(all_panels, rules, "KafkaDown") == []


def test_a_query_is_asked_for_all_values_with_its_ranges_divided() -> None:
    server = Prometheus("http://127.0.0.1", Path(), interval=0.5, faster=10)
    asked = _filled('rate(x{lane=~"$lane", job=~"${job:regex}"}[$__rate_interval]) + y[5m]', server)
    assert asked == 'rate(x{lane=~".*", job=~".*"}[2000ms]) + y[30000ms]'
