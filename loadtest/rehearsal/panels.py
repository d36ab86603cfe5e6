"""The panels of the Grafana dashboards that show what an alert is about, and whether they showed an incident."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.rehearsal.durations import divided_in
from loadtest.rehearsal.prometheus import Prometheus, Series
from loadtest.rehearsal.rules import Rules

FOLDER: Final = Path(__file__).resolve().parents[2] / "dashboards" / "grafana"
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")
SCRAPES: Final = 4
"""Scrapes in `$__rate_interval`, as Grafana has it."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel's place and its queries to Prometheus."""

    dashboard: str
    title: str
    expressions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title}"


def panels(folder: Path = FOLDER) -> list[Panel]:
    """All panels of the dashboards in a folder that ask Prometheus."""
    asking = []
    for file in sorted(folder.rglob("*.json")):
        dashboard = json.loads(file.read_text(encoding="utf-8"))
        for panel in _flat(dashboard.get("panels", ())):
            expressions = tuple(target["expr"] for target in panel.get("targets", ()) if target.get("expr"))
            if expressions:
                asking.append(Panel(dashboard.get("title", file.stem), panel.get("title", ""), expressions))
    return asking


def concerned(candidates: list[Panel], rules: Rules, alert: str) -> list[Panel]:
    """Those that show a metric which the alert's rule reads."""
    wanted = rules.metrics(rules.alerts[alert].expression)
    return [panel for panel in candidates if any(rules.metrics(query) & wanted for query in panel.expressions)]


def showed(panel: Panel, prometheus: Prometheus, calm: tuple[float, float], now: tuple[float, float]) -> bool:
    """Whether a panel has data now, and others than when all was calm. Times from and to, in s since 1970."""
    asked = [_filled(query, prometheus) for query in panel.expressions]
    before = [_values(prometheus.history(query, *calm)) for query in asked]
    after = [_values(prometheus.history(query, *now)) for query in asked]
    return any(data and data != was for data, was in zip(after, before, strict=True))


def _filled(expression: str, prometheus: Prometheus) -> str:
    """A query as Grafana asks it, for all values of its variables, with its ranges divided as those of the rules."""
    interval = f"{round(1000 * prometheus.interval)}ms"
    few = f"{round(1000 * SCRAPES * prometheus.interval)}ms"
    known = {"__rate_interval": few, "__interval": interval, "__range": few}
    divided = divided_in(expression, prometheus.faster)
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2] or match[3], ".*"), divided)


def _values(series: Series) -> dict[Any, set[float]]:
    return {labels: {value for _, value in points} for labels, points in series.items()}


def _flat(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Panels, with those inside of rows."""
    for panel in rows:
        yield panel
        yield from _flat(panel.get("panels", []))
