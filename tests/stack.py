"""Real servers for tests: private ones on free ports, started as the local stack starts them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient

from adapters import http
from adapters.kafka import topics
from adapters.settings import ClickHouse, Kafka
from devstack import children, ready
from loadtest.bench.stack import port_range

PATIENCE = 240.0
"""Seconds that a server may take on a busy machine; no test asserts how long it does."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it is, its process, and the folder with its data and log."""

    host: str
    port: int
    pid: int
    data: Path

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def clickhouse(self) -> ClickHouse:
        """Settings of a ClickHouse that runs here."""
        return ClickHouse(host=self.host, port=self.port, local=self.data / "clickhouse")


_given: set[int] = set()


def free_ports(count: int, *, adjacent: bool = False) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on and that this run has not given out before, unless it has all.

    Taken below the ephemeral range, so that an outgoing connection cannot grab one in the meantime.
    """
    # The other half of this worker's range is for the private stacks of loadtest.bench.stack.
    low = port_range()[1]
    for _ in range(2):
        ports: list[int] = []
        for port in range(low, low + 1500):
            if port in _given or not _is_free(port):
                ports = [] if adjacent else ports
                continue
            ports.append(port)
            if len(ports) == count:
                _given.update(ports)
                return ports
        _given.clear()
    raise RuntimeError("no free ports left")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def running(words: list[str], variables: dict[str, str], data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`longwave WORDS` as a child with these LONGWAVE_* variables; its output goes to DATA/log.

    It is terminated, then killed, at the end, and goes with the tests' process however that ends.
    """
    data.mkdir(parents=True, exist_ok=True)
    with children.running(*words, log=data / "log", variables=variables) as child:
        yield child


@contextlib.contextmanager
def running_kafka(data: Path) -> Iterator[Server]:
    """A private Apache Kafka without topics."""
    port = free_ports(2, adjacent=True)[0]
    with running(["run", "kafka"], environment(data, kafka_port=port), data) as child:
        server = Server("127.0.0.1", port, child.pid, data)
        ready.wait_for(
            f"Kafka ({data}/log)",
            lambda: ready.kafka_answers(server.address),
            lambda: child.poll() is None,
            timeout=PATIENCE,
        )
        yield server


def made_anew(server: Server) -> None:
    """All of Longwave's topics (two partitions, two lanes) on a broker, empty whatever was in them; what groups have
    committed goes with a topic."""
    kafka = Kafka(bootstrap=server.address, partitions=2, lanes=2)
    admin = AdminClient({"bootstrap.servers": server.address})

    def there() -> list[str]:
        return [name for name in admin.list_topics(timeout=PATIENCE).topics if not name.startswith("__")]

    if old := there():
        for future in admin.delete_topics(old).values():
            future.result(PATIENCE)
        ready.wait_for("a broker without topics", lambda: not there(), timeout=PATIENCE)
    topics.ensure(kafka)


@contextlib.contextmanager
def running_clickhouse(data: Path) -> Iterator[Server]:
    """A private ClickHouse endpoint (HTTP) over an empty folder."""
    port = free_ports(1)[0]
    with running(["run", "clickhouse"], environment(data, clickhouse_port=port), data) as child:
        server = Server("127.0.0.1", port, child.pid, data)
        url = f"http://{server.address}/ping"
        ready.wait_for(
            f"ClickHouse ({data}/log)", lambda: http.answers(url), lambda: child.poll() is None, timeout=PATIENCE
        )
        yield server


def environment(
    data: Path,
    *,
    kafka_bootstrap: str = "",
    kafka_port: int = 0,
    clickhouse_port: int = 0,
    api_port: int = 0,
    ingress_port: int = 0,
    aggregator_port: int = 0,
    metrics_port: int = 0,
    partitions: int = 4,
    lanes: int = 4,
) -> dict[str, str]:
    """The LONGWAVE_* variables of a private stack in `data`; every port not given is a free one.

    Merge with os.environ for a child, or use monkeypatch.setenv and `adapters.settings.load()`.
    """
    metrics = free_ports(12, adjacent=True)
    ports = iter(free_ports(4))
    aggregator = aggregator_port or next(ports)
    bootstrap = kafka_bootstrap or f"127.0.0.1:{kafka_port or free_ports(2, adjacent=True)[0]}"
    return {
        "LONGWAVE_DATA": str(data),
        "LONGWAVE_KAFKA__BOOTSTRAP": bootstrap,
        "LONGWAVE_KAFKA__PARTITIONS": str(partitions),
        "LONGWAVE_KAFKA__LANES": str(lanes),
        "LONGWAVE_CLICKHOUSE__PORT": str(clickhouse_port or next(ports)),
        "LONGWAVE_API__PORT": str(api_port or next(ports)),
        "LONGWAVE_INGRESS__PORT": str(ingress_port or next(ports)),
        "LONGWAVE_AGGREGATOR__PORT": str(aggregator),
        "LONGWAVE_AGGREGATORS__LOCAL__URL": f"http://127.0.0.1:{aggregator}/v1/messages",
        "LONGWAVE_AGGREGATORS__LOCAL__QUERY_URL": f"http://127.0.0.1:{aggregator}/v1/query",
        "LONGWAVE_METRICS_PORT": str(metrics_port or metrics[3]),
    }
