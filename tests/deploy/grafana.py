"""Grafana's part in tests: the queries of the dashboards, and how it expands variables and macros."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashboards.grafana.generate import FOLDER

DASHBOARDS: Final = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
CLICKHOUSE: Final = "longwave-clickhouse"
STEP: Final = 5
"""Seconds between two points of a graph."""


@dataclass(frozen=True)
class Query:
    """One query of a panel; `source` is the uid of its data source."""

    dashboard: str
    panel: str
    source: str
    text: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.dashboard} · {self.panel}: {self.text}"

    def expanded(self, values: Mapping[str, list[str]], since: int, now: int) -> str:
        """As Grafana sends it: template variables, then the macros of the data source. `values`: variable → what it
        offers, the chosen one first; times in seconds."""
        text = self.text
        for variable in DASHBOARDS[self.dashboard]["templating"].get("list", ()):
            text = _with_variable(text, variable, values[variable["name"]])
        text = (_clickhouse if self.source == CLICKHOUSE else _prometheus)(text, since, now)
        assert "$" not in text, f"{self}: {text}"
        return text


def queries(source: str = "") -> list[Query]:
    """Every query of every panel, or those of one data source."""
    found = [
        Query(name, panel["title"], target["datasource"]["uid"], target.get("expr") or target["rawSql"],
              target.get("instant", False))
        for name, dashboard in DASHBOARDS.items()
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]  # fmt: skip
    return [query for query in found if source in ("", query.source)]


def variables(source: str) -> list[dict[str, Any]]:
    """The template variables of one data source."""
    every = [variable for dashboard in DASHBOARDS.values() for variable in dashboard["templating"].get("list", ())]
    return [variable for variable in every if variable["datasource"]["uid"] == source]


def _with_variable(text: str, variable: dict[str, Any], offered: list[str]) -> str:
    """Where a variable takes several values, all are chosen, as they are at first."""
    name = variable["name"]
    everything = variable.get("allValue") or "(" + "|".join(map(re.escape, offered)) + ")"
    text = text.replace(f"${{{name}:singlequote}}", ",".join(f"'{value}'" for value in offered))
    text = text.replace(f"${{{name}}}", offered[0])
    return text.replace(f"${name}", everything if variable["multi"] else offered[0])


def _prometheus(text: str, since: int, now: int) -> str:
    """The rate interval is max($__interval + scrape interval, 4 · scrape interval), of 5 s as provisioned."""
    for name, value in (("$__rate_interval", "20s"), ("$__range", f"{now - since}s"), ("$__interval", f"{STEP}s")):
        text = text.replace(name, value)
    return text


def _clickhouse(text: str, since: int, now: int) -> str:
    macros = {
        r"\$__timeFilter\((\w+)\)": rf"\1 >= toDateTime({since}) AND \1 <= toDateTime({now})",
        r"\$__dateFilter\((\w+)\)": rf"\1 >= toDate(toDateTime({since})) AND \1 <= toDate(toDateTime({now}))",
        r"\$__timeInterval\((\w+)\)": rf"toStartOfInterval(toDateTime(\1), INTERVAL {STEP} second)",
    }
    for macro, meaning in macros.items():
        text = re.sub(macro, meaning, text)
    return text
