"""Which processes make up the local stack, in the order in which they start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from adapters import http
from adapters.doors.names import WILDCARDS
from adapters.doors.settings import Listen
from adapters.settings import API_METRICS, INGRESS_METRICS, WRITER_METRICS, Settings
from adapters.terminal import WrongUse
from devstack import ready
from devstack.kafka import controller_port
from devstack.ports import Port

NAMES = ("kafka", "clickhouse", "aggregator", "writer", "ingress", "worker", "api")
SERVERS, INTAKE, WORK = range(3)
"""Tiers: started upwards, stopped downwards, so that what a process needs is there until it has ended."""

_KAFKA, _CLICKHOUSE, _BOTH = frozenset({"kafka"}), frozenset({"clickhouse"}), frozenset({"kafka", "clickhouse"})
_LOCAL = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the stack: `words` follow `longwave`, `grace` is in seconds between SIGTERM and SIGKILL."""

    name: str
    words: Sequence[str]
    ports: Sequence[Port]
    ready: Callable[[], bool]
    tier: int
    needs: frozenset[str] = frozenset()
    """Which of kafka and clickhouse must answer, with topics and tables made, before it starts."""
    grace: float = 10.0


def make(settings: Settings, workers: int, only: Sequence[str] = (), script: Path | None = None) -> list[Process]:
    """The processes to start here; those that the settings place elsewhere are left out (see `elsewhere`).

    `script` is how the simulated aggregator behaves.

    Raises:
        WrongUse: `only` names something else than NAMES.
    """
    unknown = set(only) - set(NAMES)
    if unknown:
        raise WrongUse(f"there is no process {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    wanted = set(only or NAMES) - set(elsewhere(settings))
    makers: dict[str, Callable[[], list[Process]]] = {
        "kafka": lambda: [_kafka(settings)],
        "clickhouse": lambda: [_clickhouse(settings)],
        "aggregator": lambda: [_http(settings, "aggregator", INTAKE, frozenset(), options=_script(script))],
        "writer": lambda: [_metered(settings, "writer", ["run", "writer"], -1, INTAKE)],
        "ingress": lambda: [_http(settings, "ingress", INTAKE, _KAFKA)],
        "worker": lambda: [_worker(settings, index) for index in range(workers)],
        "api": lambda: [_http(settings, "api", WORK, _BOTH)],
    }
    return [process for name in NAMES if name in wanted for process in makers[name]()]


def elsewhere(settings: Settings) -> dict[str, str]:
    """What the settings place on other machines: name to where. It is waited for, never started."""
    processes = {}
    addresses = settings.kafka.bootstrap.split(",")
    if len(addresses) > 1 or ready.split_address(addresses[0])[0] not in _LOCAL:
        processes["kafka"] = settings.kafka.bootstrap
    if settings.clickhouse.host not in _LOCAL or settings.clickhouse.secure:
        processes["clickhouse"] = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
    urls = [urlsplit(aggregator.url) for aggregator in settings.aggregators.values()]
    if not any(url.hostname in _LOCAL and url.port == settings.aggregator.port for url in urls):
        processes["aggregator"] = ", ".join(url.netloc for url in urls)
    return processes


def clickhouse_url(settings: Settings) -> str:
    """The root of ClickHouse's HTTP interface."""
    scheme = "https" if settings.clickhouse.secure else "http"
    return f"{scheme}://{settings.clickhouse.host}:{settings.clickhouse.port}"


def log_of(data: Path, name: str) -> Path:
    """Where a process's output goes."""
    return data / "logs" / f"{name}.log"


def _kafka(settings: Settings) -> Process:
    host, port = ready.split_address(settings.kafka.bootstrap)
    ports = [
        Port(port, host, "kafka.bootstrap"),
        Port(controller_port(port), "127.0.0.1", "kafka.bootstrap (its port + 1 is the controller's)"),
    ]
    return Process(
        "kafka", ["run", "kafka"], ports, lambda: ready.kafka_answers(settings.kafka.bootstrap), SERVERS, _KAFKA
    )


def _clickhouse(settings: Settings) -> Process:
    port = Port(settings.clickhouse.port, settings.clickhouse.host, "clickhouse.port")
    url = f"{clickhouse_url(settings)}/ping"
    return Process("clickhouse", ["run", "clickhouse"], [port], lambda: http.answers(url), SERVERS, _CLICKHOUSE)


def _script(script: Path | None) -> list[str]:
    return ["--script", str(script)] if script else []


def _http(settings: Settings, name: str, tier: int, needs: frozenset[str], *, options: Sequence[str] = ()) -> Process:
    listen: Listen = getattr(settings, name)
    url = f"{_reachable(listen)}/readyz"
    ports = [Port(listen.port, listen.host, f"{name}.port")]
    if name in _METRICS:
        ports.append(_metrics(settings, _METRICS[name]))
    return Process(name, ["run", name, *options], ports, lambda: ready.says_ready(url), tier, needs)


def _worker(settings: Settings, index: int) -> Process:
    return _metered(settings, f"worker-{index}", ["run", "worker", "--index", str(index)], index, WORK, grace=20.0)


def _metered(settings: Settings, name: str, words: list[str], offset: int, tier: int, grace: float = 10.0) -> Process:
    port = _metrics(settings, offset)
    url = f"{base_url(settings, name)}/readyz"
    return Process(name, words, [port], lambda: ready.says_ready(url), tier, _BOTH, grace)


def _metrics(settings: Settings, offset: int) -> Port:
    return Port(settings.metrics_port + offset, settings.metrics_host, f"metrics_port (this one is {offset:+d})")


_METRICS: Final = {"writer": WRITER_METRICS, "api": API_METRICS, "ingress": INGRESS_METRICS}


def base_url(settings: Settings, name: str) -> str:
    """Where a process of ours (`worker-0`, `writer`, `ingress`, `api`, `aggregator`) answers `/metrics`, `/healthz`
    and `/readyz`."""
    if name == "aggregator":
        return _reachable(settings.aggregator)
    offset = _METRICS[name] if name in _METRICS else int(name.removeprefix("worker-"))
    return _reachable(Listen(host=settings.metrics_host, port=settings.metrics_port + offset))


def _reachable(listen: Listen) -> str:
    # 0.0.0.0 is where it listens, not an address to call.
    if listen.host in WILDCARDS:
        return f"{listen.scheme}://127.0.0.1:{listen.port}"
    return listen.model_copy(update={"public_url": ""}).url
