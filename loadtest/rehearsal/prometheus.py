"""A real Prometheus over a private stack: our rules, the stack's processes as its targets, a folder of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from adapters import http
from adapters.terminal import UserError
from loadtest.bench.campaigns import wait_until
from loadtest.rehearsal import past
from loadtest.rehearsal.durations import divided, seconds
from loadtest.rehearsal.rules import DEPLOY, Rules

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
Series = dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]
"""Labels → (time in s, value), by time."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server at `url`; `interval` (s) is that of its evaluation, divided by `faster`."""

    url: str
    folder: Path
    interval: float
    faster: float

    def watch(self, targets: Mapping[str, list[str]]) -> None:
        """Scrape `host:port` addresses, by job; they replace those before at once."""
        groups = [{"targets": at, "labels": {"job": job}} for job, at in targets.items()]
        fresh = self.folder / "targets.new"
        fresh.write_text(json.dumps(groups), encoding="utf-8")
        fresh.replace(self.folder / "targets.json")

    def firing(self) -> list[dict[str, str]]:
        """The alerts that fire now, as their labels."""
        return self._alerts("firing")

    def brewing(self) -> list[dict[str, str]]:
        """The alerts whose condition holds now, whether they fire yet or not."""
        return [*self._alerts("pending"), *self._alerts("firing")]

    def history(self, expression: str, start: float, end: float) -> Series:
        """An expression's values from `start` to `end` (s since 1970), one for each evaluation.

        Raises:
            RuntimeError: Prometheus does not understand it or does not answer.
        """
        answer = self._ask("query_range", query=expression, start=start, end=end, step=self.interval)
        return {
            tuple(sorted(series["metric"].items())): [(float(at), float(value)) for at, value in series["values"]]
            for series in answer["result"]
        }

    def sees(self, jobs: set[str]) -> bool:
        """Whether each of the jobs has a target, and all targets were scraped well."""
        targets = self._ask("query", query="up")["result"]
        return {target["metric"]["job"] for target in targets} >= jobs and all(
            target["value"][1] == "1" for target in targets
        )

    def _alerts(self, state: str) -> list[dict[str, str]]:
        return [
            {**alert["labels"], "state": state} for alert in self._ask("alerts")["alerts"] if alert["state"] == state
        ]

    def _ask(self, what: str, **query: str | float) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        try:
            with http.request(url, timeout=30) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
        except OSError as error:
            raise RuntimeError(f"Prometheus does not answer {what} {query}: {error}") from error
        return data


@contextlib.contextmanager
def running(port: int, rules: Rules, faster: float) -> Iterator[Prometheus]:
    """Run one on a port of 127.0.0.1 with the rules and intervals of `deploy/`, each duration divided by `faster`.

    Raises:
        UserError: Prometheus is not installed, or does not start (with its last lines).
    """
    program = installed()
    folder = Path(tempfile.mkdtemp(prefix="longwave-prometheus-"))
    try:
        server = _prepare(folder, port, rules, faster)
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen(
                _command(program, folder, port), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            _await(server, child)
            yield server
        finally:
            _end(child)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def installed() -> str:
    """Where the program is.

    Raises:
        UserError: it is not installed; says how to.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise UserError(
            "Prometheus is not installed (no `prometheus` on PATH): `sudo apt-get install prometheus` on Debian or "
            "Ubuntu; on others put the release's program on PATH"
        )
    return program


def _prepare(folder: Path, port: int, rules: Rules, faster: float) -> Prometheus:
    deployed = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))["global"]
    interval, scrapes = (divided(deployed[name], faster) for name in ("evaluation_interval", "scrape_interval"))
    config = {
        # A scrape may not take longer than the time to the next one.
        "global": {"scrape_interval": scrapes, "scrape_timeout": scrapes, "evaluation_interval": interval},
        "rule_files": ["rules/*.yml"],
        # Its own files, not the network: the targets change while it runs.
        "scrape_configs": [
            {"job_name": "stack", "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "rules").mkdir()
    rules.write(folder / "rules", faster)
    (folder / "targets.json").write_text("[]", encoding="utf-8")
    past.make(folder / "tsdb", time.time(), faster)
    return Prometheus(f"http://127.0.0.1:{port}", folder, seconds(interval), faster)


def _command(program: str, folder: Path, port: int) -> list[str]:
    return [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        # An alert whose condition holds again after a restart would wait for this long; here nothing is restarted.
        "--rules.alert.for-grace-period=0s",
    ]


def _await(server: Prometheus, child: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        if child.poll() is not None:
            raise UserError(f"Prometheus ended with {child.returncode}; it said:\n{_said(server)}")
        return "Ready" in http.page(f"{server.url}/-/ready")

    try:
        wait_until("Prometheus is ready", ready, START_SECONDS)
    except RuntimeError as error:
        raise UserError(f"{error}; it said:\n{_said(server)}") from error


def _said(server: Prometheus) -> str:
    return (server.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
