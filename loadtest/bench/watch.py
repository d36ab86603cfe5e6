"""Looks at a running stack once a second: memory of every process, what the metrics say, and one campaign's page."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from adapters import http
from adapters.terminal import UserError
from devstack import record
from loadtest.bench.campaigns import Api
from loadtest.bench.stack import Stack

METRICS = (
    "longwave_lane_queued_recipients",
    "longwave_lane_oldest_due_seconds",
    "longwave_lane_in_flight_recipients",
    "longwave_lane_suspended_campaigns",
    "longwave_aggregator_breaker",
    "longwave_writer_waiting_seconds",
    "longwave_freshness_seconds",
)
"""Of several lanes or steps the sum counts, of seconds and states the greatest."""


@dataclass(frozen=True, slots=True)
class Look:
    """`memory`: MB of resident memory by process; `metrics` by name; `status` and `reason` of the campaign, "" where
    the API had no answer. `at` is of the monotonic clock."""

    at: float
    memory: dict[str, float]
    metrics: dict[str, float]
    status: str
    reason: str


@dataclass(slots=True)
class Watch:
    """A thread that looks once a second; a context manager."""

    stack: Stack
    campaign: str
    looks: list[Look] = field(default_factory=list)
    workers: int = 1
    pause: float = 1.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _page: tuple[str, str] = ("", "")

    def __enter__(self) -> Watch:
        # The page may hang for as long as ClickHouse does; the memory must be looked at all the same.
        self._threads = [threading.Thread(target=body, daemon=True) for body in (self._look_at_page, self._run)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def between(self, first: float, last: float) -> list[Look]:
        return [look for look in self.looks if first <= look.at <= last]

    def _run(self) -> None:
        while not self._stop.wait(self.pause):
            memory = resident_mb(self.stack)
            ports = [self.stack.settings.metrics_port + n for n in range(-1, self.workers)]
            self.looks.append(Look(time.monotonic(), memory, scraped(ports), *self._page))

    def _look_at_page(self) -> None:
        api = Api(self.stack.settings)
        while not self._stop.wait(self.pause / 2):
            try:
                shown = api.show(self.campaign)
                self._page = (shown["status"], shown["reason"])
            except UserError:
                self._page = ("", "")


def resident_mb(stack: Stack) -> dict[str, float]:
    """Resident memory of each process that runs now."""
    megabytes: dict[str, float] = {}
    for entry in (record.read(stack.settings.data) or {"processes": []})["processes"]:
        with contextlib.suppress(psutil.Error):
            if process := record.alive(entry):
                megabytes[entry["name"]] = round(process.memory_info().rss / 2**20, 1)
    return megabytes


def scraped(ports: list[int]) -> dict[str, float]:
    """`METRICS` of the processes at these ports; what does not answer is left out."""
    values: dict[str, float] = {}
    for port in ports:
        for name, value in _values(http.page(f"http://127.0.0.1:{port}/metrics", timeout=3).splitlines()):
            before = values.get(name, 0.0)
            values[name] = before + value if name.endswith(("_recipients", "_campaigns")) else max(before, value)
    return values


def _values(lines: list[str]) -> list[tuple[str, Any]]:
    parts = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return [(name.partition("{")[0], float(value)) for name, value in parts if name.partition("{")[0] in METRICS]
