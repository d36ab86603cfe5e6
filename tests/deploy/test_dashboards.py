"""The Grafana dashboards on a running stack: every panel has data after a campaign."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters import http
from adapters.clickhouse import Store
from devstack import ready
from tests.api.live import Live
from tests.api.test_server import ask
from tests.deploy.grafana import CLICKHOUSE, STEP, Query, queries, variables
from tests.deploy.test_dashboard_files import has_data, offered
from tests.stack import free_ports


@dataclass(frozen=True)
class Shown:
    """A stack with a campaign that was sent, a Prometheus that has scraped it since before (s), and where it is."""

    live: Live
    prometheus: str
    campaign: str
    since: int

    def prom(self, path: str, **given: Any) -> Any:
        status, answer = ask(f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(given, doseq=True)}")
        assert status == 200, answer
        return answer["data"]

    def labels(self, asked: str) -> list[str]:
        """What Grafana offers for `label_values(METRIC, LABEL)`."""
        match = re.fullmatch(r"label_values\((\w+), (\w+)\)", asked)
        assert match is not None, asked
        found: list[str] = self.prom(f"label/{match[2]}/values", **{"match[]": match[1]})
        return found

    def has_data(self, query: Query, text: str, now: int) -> bool:
        if query.instant:
            return bool(self.prom("query", query=text, time=now)["result"])
        found = self.prom("query_range", query=text, start=self.since, end=now, step=STEP)["result"]
        return any(value != "NaN" for series in found for _, value in series["values"])


@pytest.fixture(scope="module")
def shown(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    since = int(time.time()) - 60
    with prometheus(live, tmp_path_factory.mktemp("prometheus")) as url:
        # A histogram is exported from its first observation on: only the second campaign adds to what was scraped.
        sent(live)
        time.sleep(2 * STEP)
        made = Shown(live, url, sent(live), since)
        time.sleep(3 * STEP)
        yield made


def sent(live: Live) -> str:
    """A campaign that was sent, with receipts and clicks."""
    campaign: str = live.create(name="Shown")["id"]
    live.api.send("POST", f"/v1/campaigns/{campaign}/launch")
    live.until(campaign, lambda shown: bool(shown["figures"]) and shown["figures"]["clicked"]["people"] > 50)
    return campaign


@contextlib.contextmanager
def prometheus(live: Live, folder: Path) -> Iterator[str]:
    """Scrapes the stack as deploy/prometheus.yml does; gives its URL."""
    settings, (port,) = live.settings, free_ports(1)
    jobs = {
        "worker": settings.metrics_port,
        "writer": settings.metrics_port - 1,
        "api": settings.metrics_port - 2,
        "ingress": settings.metrics_port - 3,
        "clickhouse": settings.clickhouse.port,
    }
    scrapes = [{"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{at}"]}]} for name, at in jobs.items()]
    config = {"global": {"scrape_interval": "2s"}, "scrape_configs": scrapes}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    words = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as child:
        try:
            url = f"http://127.0.0.1:{port}"
            ready.wait_for(
                f"Prometheus ({folder}/log)", lambda: http.answers(f"{url}/-/ready"), lambda: child.poll() is None
            )
            yield url
        finally:
            child.terminate()


def test_every_panel_has_data_after_a_campaign(shown: Shown) -> None:
    store, now = Store(shown.live.settings.clickhouse.reading()), int(time.time())
    values = {one["name"]: offered(store, one["query"]) for one in variables(CLICKHOUSE)}
    values["campaign"] = [shown.campaign]
    for variable in variables("longwave-prometheus"):
        values[variable["name"]] = shown.labels(variable["query"]["query"])
    assert all(values.values()), values
    empty = []
    for query in queries():
        text = query.expanded(values, shown.since, now)
        if not (has_data(store, text) if query.source == CLICKHOUSE else shown.has_data(query, text, now)):
            empty.append(str(query))
    store.close()
    assert not empty, "\n".join(empty)


def test_the_panels_of_a_campaign_show_what_its_page_shows(shown: Shown) -> None:
    page = shown.live.api.get(f"/v1/campaigns/{shown.campaign}")["figures"]
    (query,) = (query for query in queries() if query.panel == "Recipients by state")
    store, now = Store(shown.live.settings.clickhouse.reading()), int(time.time())
    values = {"account": ["demo"], "campaign": [shown.campaign]}
    (bars,) = store.rows(query.expanded(values, shown.since, now))
    store.close()
    assert sum(bars) == page["targeted"] > 0
