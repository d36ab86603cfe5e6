"""A real Prometheus with our rules over processes that the test plays: it scrapes them, an alert fires and ends."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.terminal import UserError
from loadtest.bench.campaigns import wait_until
from loadtest.rehearsal import prometheus
from loadtest.rehearsal.panels import Panel, showed
from loadtest.rehearsal.prometheus import Prometheus
from loadtest.rehearsal.rules import Rules
from loadtest.rehearsal.verdict import first, last
from tests.stack import free_ports

FASTER = 10.0
JOBS = ("worker", "writer", "api", "ingress")


class Page:
    """What a process exports; `text` may change."""

    def __init__(self, text: str) -> None:
        self.text = text


@contextmanager
def served(page: Page) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page.text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def alerts(server: Prometheus) -> set[str]:
    return {alert["alertname"] for alert in server.firing()}


def test_an_alert_fires_in_its_divided_time_and_ends() -> None:
    page = Page("longwave_kafka_up 1\n")
    with served(page) as address, prometheus.running(free_ports(1)[0], Rules(), FASTER) as server:
        assert server.interval == pytest.approx(0.5)
        server.watch({job: [address] for job in JOBS})
        wait_until("all are scraped", lambda: server.sees(set(JOBS)), 30)
        assert "KafkaDown" not in {alert["alertname"] for alert in server.brewing()}
        calm = time.time()
        time.sleep(2)
        began, page.text = time.time(), "longwave_kafka_up 0\n"
        wait_until("it brews", lambda: "KafkaDown" in {alert["alertname"] for alert in server.brewing()}, 10)
        wait_until("it fires", lambda: "KafkaDown" in alerts(server), 20)
        fired = time.time()
        assert fired - began >= 30 / FASTER, "its `for` is divided, not dropped"
        panel = Panel("Kafka", "up", ("longwave_kafka_up{job=~'$job'}",))
        assert showed(panel, server, (calm, began), (began, time.time()))
        assert not showed(panel, server, (calm, began - 1), (calm, began - 1)), "nothing had changed"
        page.text = "longwave_kafka_up 1\n"
        wait_until("it is over", lambda: "KafkaDown" not in alerts(server), 10)
        time.sleep(2 * server.interval)
        history = server.history('ALERTS{alertstate="firing"}', began, time.time())
    at, until = first(history, "KafkaDown"), last(history, "KafkaDown")
    assert at is not None
    assert until is not None
    assert began < at <= until < time.time()
    assert first(history, "ClickHouseDown") is None


def test_a_process_that_does_not_answer_is_not_seen() -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    with served(Page("")) as address, prometheus.running(free_ports(1)[0], Rules(), FASTER) as server:
        server.watch({"worker": [address]})
        wait_until("it is scraped", lambda: server.sees({"worker"}), 30)
        assert not server.sees({"worker", "writer"})
        server.watch({"worker": [address, nobody]})
        wait_until("the other is missed", lambda: not server.sees({"worker"}), 30)
        wait_until("an alert says so", lambda: "TargetDown" in alerts(server), 60)


def test_without_prometheus_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="apt-get install prometheus"):
        prometheus.installed()


def test_a_query_that_is_none_is_an_error() -> None:
    with (
        prometheus.running(free_ports(1)[0], Rules(), FASTER) as server,
        pytest.raises(RuntimeError, match="query_range"),
    ):
        server.history("sum(", time.time() - 1, time.time())
