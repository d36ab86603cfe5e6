"""The Grafana dashboards: generated, no metric is dead, and every query of ClickHouse has data for the reader."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.statuses import insert_campaigns
from dashboards.grafana.generate import FOLDER, documents
from schemas import metrics
from tests.adapters.clickhouse_store import NOW, migrated, typed
from tests.adapters.test_clickhouse_statuses import CAMPAIGN, N
from tests.adapters.test_clickhouse_views import RICH, document, measure, record
from tests.deploy.grafana import CLICKHOUSE, DASHBOARDS, queries, variables
from tests.stack import Server

ROOT: Final = Path(__file__).resolve().parents[2]
PROVISIONED: Final = ROOT / "dashboards" / "grafana" / "provisioning"
NOT_SHOWN: Final = {
    "longwave_simulator_requests": "of the simulated aggregator, which production does not have",
    "longwave_simulator_messages": "of the simulated aggregator, which production does not have",
}
"""Metrics that no dashboard has, and why."""


def test_the_files_are_what_the_generator_gives() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert written == documents(), "run `make dashboards`"


def test_every_panel_explains_itself_and_has_a_query_of_a_provisioned_source() -> None:
    sources = {
        one["uid"]: one["type"]
        for one in yaml.safe_load((PROVISIONED / "datasources.yml").read_text())["datasources"]
    }
    uids = [dashboard["uid"] for dashboard in DASHBOARDS.values()]
    assert len(uids) == len(set(uids)) == 4
    for name, dashboard in DASHBOARDS.items():
        titles = [panel["title"] for panel in dashboard["panels"]]
        assert len(titles) == len(set(titles)), name
        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                continue
            assert panel["description"].endswith("."), panel["title"]
            assert panel["targets"]
            for target in panel["targets"]:
                assert sources[target["datasource"]["uid"]] == target["datasource"]["type"]
        for variable in dashboard["templating"].get("list", ()):
            assert sources[variable["datasource"]["uid"]] == variable["datasource"]["type"]


def test_every_metric_is_on_a_dashboard_or_is_said_not_to_be() -> None:
    shown = {name for query in queries() for name in re.findall(r"\blongwave_\w+", query.text)}
    shown = {name for name in shown if name != "longwave_campaign_overview"}
    declared = {metric._name for metric in metrics.ALL}
    of = {name: re.sub(r"_(total|bucket|count|sum)$", "", name) for name in shown}
    assert not {name for name, base in of.items() if base not in declared}, "of no metric"
    assert not set(of.values()) & NOT_SHOWN.keys(), "on a dashboard after all"
    assert declared - set(of.values()) == NOT_SHOWN.keys()


def test_compose_gives_grafana_sources_dashboards_and_the_plugin() -> None:
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    places = {
        place.split(":")[1]: ROOT / place.split(":")[0] for place in grafana["volumes"] if place.startswith("./")
    }
    assert places["/etc/grafana/provisioning/datasources/longwave.yml"] == PROVISIONED / "datasources.yml"
    assert places["/etc/grafana/provisioning/dashboards/longwave.yml"] == PROVISIONED / "dashboards.yml"
    (provider,) = yaml.safe_load((PROVISIONED / "dashboards.yml").read_text())["providers"]
    assert places[provider["options"]["path"]] == FOLDER
    plugins = {one["type"] for one in yaml.safe_load((PROVISIONED / "datasources.yml").read_text())["datasources"]}
    assert plugins - {"prometheus"} == {grafana["environment"]["GF_PLUGINS_PREINSTALL"]}


@pytest.mark.parametrize("status", ["sending", "finished"])
def test_every_query_of_clickhouse_has_data_for_the_reader(clickhouse: Server, status: str) -> None:
    with migrated(clickhouse) as store:
        AudienceStore(store).freeze(CAMPAIGN, 1, [], typed(*range(15550100000, 15550100000 + N)), [])
        insert_campaigns(store, [document(status=status)])
        record(store, RICH)
        measure(store)
        reader = Store(store.settings.reading())
        values = {one["name"]: offered(reader, one["query"]) for one in variables(CLICKHOUSE)}
        assert values["campaign"][0] == CAMPAIGN
        since, now = NOW // 1000 - 3600, NOW // 1000 + 3600
        for query in queries(CLICKHOUSE):
            assert has_data(reader, query.expanded(values, since, now)), str(query)
        reader.close()


def offered(reader: Store, sql: str) -> list[str]:
    """The first column, which the plugin takes for the values."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value, *_ in reader.rows(sql)]


def has_data(reader: Store, sql: str) -> bool:
    return any(value not in (None, "") for row in reader.rows(sql) for value in row)


def test_every_expression_of_prometheus_is_understood(tmp_path: Path) -> None:
    values = {"lane": ["0", "1"]}
    rules = [
        {"record": f"panel:{place}", "expr": query.expanded(values, 0, 3600)}
        for place, query in enumerate(queries("longwave-prometheus"))
    ]
    assert len(rules) > 50
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
