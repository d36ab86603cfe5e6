"""How a panel is made: one function for each look, with the query, the unit and a sentence that explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DynamicConfigValue,
    Panel,
    VariableRefresh,
)

PROMETHEUS: Final = DataSourceRef("prometheus", "longwave-prometheus")
CLICKHOUSE: Final = DataSourceRef("grafana-clickhouse-datasource", "longwave-clickhouse")
_TABLE: Final = 1
_SERIES: Final = 0
"""The plugin's formats."""


class Sql(Dataquery, Builder[Dataquery]):
    """A query of the ClickHouse plugin, which the SDK does not know."""

    def __init__(self, sql: str, *, format_id: int) -> None:
        self._sql = " ".join(sql.split())
        self._format = format_id

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": CLICKHOUSE.to_json(),
            "editorType": "sql",
            "format": self._format,
            "queryType": "table" if self._format == _TABLE else "timeseries",
            "rawSql": self._sql,
            "refId": "A",
        }


def dashboard(uid: str, title: str, about: str) -> Dashboard:
    """An empty dashboard over the last three hours that renews itself every ten seconds."""
    return (
        Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["longwave"])
        .time("now-3h", "now")
        .timezone("utc")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
    )


def prom_variable(name: str, label: str, query: str) -> QueryVariable:
    """A choice of several values of a label, at first all; used as `=~"$name"`."""
    return (
        QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def sql_variable(name: str, label: str, sql: str, *, several: bool) -> QueryVariable:
    """A choice from the first column, shown as the second if there is one; of several values at first all."""
    made = QueryVariable(name).label(label).datasource(CLICKHOUSE).query(" ".join(sql.split()))
    made = made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return made.multi(True).include_all(True) if several else made


def lines(
    title: str, about: str, queries: Mapping[str, str], *, unit: str = "short", width: int = 8
) -> timeseries.Panel:
    """A graph over time of Prometheus expressions; `queries`: legend → expression."""
    panel = timeseries.Panel().title(title).description(about).datasource(PROMETHEUS).unit(unit)
    panel = panel.span(width).height(8).fill_opacity(8).min(0)
    for place, (legend, expr) in enumerate(queries.items()):
        query = prometheus.Dataquery().expr(" ".join(expr.split())).legend_format(legend).range()
        panel = panel.with_target(query.datasource(PROMETHEUS).ref_id(chr(ord("A") + place)))
    return panel


def number(title: str, about: str, expr: str, *, unit: str = "short", width: int = 4) -> stat.Panel:
    """The newest value of a Prometheus expression."""
    query = prometheus.Dataquery().expr(" ".join(expr.split())).instant().datasource(PROMETHEUS).ref_id("A")
    panel = stat.Panel().title(title).description(about).datasource(PROMETHEUS).unit(unit)
    return panel.span(width).height(4).with_target(query)


def sql_number(title: str, about: str, sql: str, *, unit: str = "short", width: int = 4) -> stat.Panel:
    """A number from ClickHouse."""
    panel = stat.Panel().title(title).description(about).datasource(CLICKHOUSE).unit(unit)
    return panel.span(width).height(4).with_target(Sql(sql, format_id=_TABLE))


def sql_lines(title: str, about: str, sql: str, *, unit: str = "short", width: int = 12) -> timeseries.Panel:
    """A graph over time from ClickHouse: a column `time`, one of text that names the series, one of numbers."""
    panel = timeseries.Panel().title(title).description(about).datasource(CLICKHOUSE).unit(unit)
    return panel.span(width).height(8).fill_opacity(8).min(0).with_target(Sql(sql, format_id=_SERIES))


def sql_table(title: str, about: str, sql: str, units: Mapping[str, str], *, width: int = 24) -> table.Panel:
    """A table from ClickHouse; `units`: column → unit."""
    panel = table.Panel().title(title).description(about).datasource(CLICKHOUSE).span(width).height(9)
    panel = panel.with_target(Sql(sql, format_id=_TABLE))
    for column, unit in units.items():
        panel = panel.override_by_name(column, [DynamicConfigValue("unit", unit)])
    return panel


def sql_bars(title: str, about: str, sql: str, *, width: int = 12) -> bargauge.Panel:
    """A bar for each column of the one row that ClickHouse gives."""
    panel = bargauge.Panel().title(title).description(about).datasource(CLICKHOUSE)
    return panel.span(width).height(8).min(0).with_target(Sql(sql, format_id=_TABLE))


def assembled(made: Dashboard, rows: Mapping[str, Sequence[Builder[Panel]]]) -> Dashboard:
    """The dashboard with a heading and the panels of each row; they fill lines of 24 columns in their order."""
    for title, panels in rows.items():
        made = made.with_row(Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return made
