"""`longwave bench delay`: millions wait in the lanes; memory, restart, release, look-up and cancel.

In one process, on the lane's own state: what looking for due work costs with 10,000, a million and ten million
waiting. On a private stack with two workers and four lanes: `recipients` are written to the lanes as WORK of 500,
due in hours, and the workers' memory is looked at once a second from there to the end. While another campaign sends
at the full rate, probes fall due all the time, and their due times are compared with their arrivals at the
aggregator, by its own record. One worker, which has half of all who wait, is killed with SIGKILL; each lane is back
when a probe that fell due after the kill arrives from it. Last, a campaign with half of all who wait is canceled
through the API.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from adapters import http
from adapters.clock import now_ms
from loadtest.aggregator.record import entries
from loadtest.bench import delay_lookup
from loadtest.bench.account import one_sender
from loadtest.bench.campaigns import Api, fill, wait_until
from loadtest.bench.delay_records import LaneWriter, Template, control
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from loadtest.bench.watch import Watch
from schemas.wire import CHUNK_LIMIT

MEMORY_MB, RESTART_S, RELEASE_MS, CANCEL_S, LOOKUP_RATIO = 1536.0, 15.0, 1000.0, 5.0, 3.0
LANES = tuple(range(4))
WORKERS = 2
RATE = 4000
"""Segments per second: 1,000 a lane, from which on a slice is a twentieth of a second of the rate. All of it is used
while release is measured; a limit beyond what the machine can send would measure the queue before it instead."""
BULK, PROBE, STAYS = "0000bvk1", "0000prb1", "0000stay"
HOUR = 3_600_000
FIRST_ORDINAL = 4_000_000
"""Above those of the canceled campaign's real audience."""
PROBES_APART_MS = 250
PROBE_SIZE = 5
LOADED_S, QUIET_S, AFTER_KILL_S = 20, 4, 51
"""75 s together, as long as three records of probes in each lane: none of them may still wait at the cancel, which
looks for what waits."""
SETTLE_S = 6
"""Between writing the probes and the first of them."""


def run(recipients: int = 10_000_000, note: Callable[[str], None] = lambda text: None) -> Result:
    """All figures, with `recipients` waiting in all lanes together."""
    costs = {}
    for waiting in (10_000, 1_000_000, 10_000_000):
        costs[waiting] = delay_lookup.microseconds(waiting, control)
        note(f"look-up with {waiting:,} waiting: {costs[waiting]} µs")
    ratios = {name: round(costs[10_000_000][name] / costs[10_000][name], 2) for name in costs[10_000]}
    figures = _on_a_stack(recipients, note)
    ok = {
        "memory": figures["memory_peak_mb"] <= MEMORY_MB,
        "restart": figures["restart_s"] <= RESTART_S,
        "release": figures["release_p99_ms"] <= RELEASE_MS,
        "look-up": max(ratios.values()) <= LOOKUP_RATIO,
        "cancel": figures["cancel_s"] <= CANCEL_S,
    }
    return Result(
        name="delay",
        figure=figures["memory_peak_mb"],
        unit=f"MB (peak of all workers, {recipients:,} waiting)",
        limit=None,
        ratio=None,
        required=f"<= {MEMORY_MB:.0f} MB; restart <= {RESTART_S:.0f} s; release p99 <= {RELEASE_MS:.0f} ms; "
        f"look-up at 10M / 10k <= {LOOKUP_RATIO:.0f}; cancel of half <= {CANCEL_S:.0f} s",
        ok=all(ok.values()),
        inputs={"recipients": recipients, "workers": WORKERS, "lanes": len(LANES), "rate": RATE},
        details={"reached": ok, **figures, "lookup_us": {f"{n:,}": c for n, c in costs.items()}, "ratios": ratios},
    )


def _on_a_stack(recipients: int, note: Callable[[str], None]) -> dict[str, Any]:
    with private_stack(one_sender(RATE, LANES, f"kafka.lanes = {len(LANES)}"), workers=WORKERS) as stack:
        fill(stack.settings, "few", 8)
        api = Api(stack.settings)
        soon = datetime.fromtimestamp(time.time() + 870, UTC).isoformat()
        goes = api.launch("goes", ["few"], send_at=soon)
        wait_until("its own audience waits", lambda: _state(api, goes, "delayed") == 8, 60)
        load = _Load(stack, goes, recipients // CHUNK_LIMIT // 2 * CHUNK_LIMIT)
        with Watch(stack, goes, workers=WORKERS) as watch:
            figures = load.fill()
            note(f"{2 * load.half:,} wait: {figures}")
            figures |= load.release_and_kill(note)
            figures |= load.cancel(api)
            note(f"canceled: {figures['cancel_s']} s")
        sums = [sum(mb for name, mb in look.memory.items() if name.startswith("worker")) for look in watch.looks]
        return figures | {"memory_peak_mb": max(sums), "memory_at_end_mb": sums[-1]}


def _state(api: Api, campaign: str, state: str) -> int:
    figures = api.show(campaign)["figures"]
    return int(figures["states"][state]) if figures else 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """Times in ms since the epoch; lane and due time are those of a probe, which follow from its ordinal."""

    campaign: str
    lane: int
    due: int
    at: float


def _first(probes: list[Arrival], lane: int, kill_at: int) -> float:
    """Seconds from the kill to the first arrival from a lane of something that fell due after it."""
    after = [probe.at for probe in probes if probe.lane == lane and probe.due > kill_at]
    return round((min(after, default=float("inf")) - kill_at) / 1000, 2)


@dataclass(slots=True)
class _Load:
    """What is done to the stack, one after another."""

    stack: Stack
    goes: str
    """The campaign that will be canceled."""
    half: int
    writer: LaneWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = LaneWriter(self.stack.settings.kafka.bootstrap)

    def fill(self) -> dict[str, Any]:
        """Half of all who wait belong to the campaign that will be canceled, half to one that stays."""
        begun, now = time.monotonic(), now_ms()
        self.writer.controls(STAYS, now, LANES)
        for campaign, seed in ((self.goes, 1), (STAYS, 2)):
            template = Template(campaign, seed)
            for n in range(self.half // CHUNK_LIMIT):
                quarter = CHUNK_LIMIT // 4
                dues = [(quarter, now + (3 + part) * HOUR + n % 3600 * 1000) for part in range(4)]
                self.writer.write(LANES[n % len(LANES)], template.record(FIRST_ORDINAL + n * CHUNK_LIMIT, now, dues))
        self.writer.flush()
        written = time.monotonic() - begun
        wait_until("all wait in the lanes", lambda: self._delayed() >= 2 * self.half, 240, 0.5)
        held = time.monotonic() - begun
        time.sleep(3)  # the checkpoint that the last records called for
        return {
            "written_per_s": round(2 * self.half / written),
            "held_per_s": round(2 * self.half / held),
            "memory_when_all_wait_mb": self._memory(),
            "checkpoints": int(self._sum("longwave_lane_checkpoints_total")),
        }

    def release_and_kill(self, note: Callable[[str], None]) -> dict[str, Any]:
        """Probes all the time: under load, then a kill, then until long after it."""
        start = now_ms() + SETTLE_S * 1000
        seconds = LOADED_S + QUIET_S + AFTER_KILL_S
        self._write_probes(start, seconds)
        self._write_bulk(start - 2000)
        _until(start + (LOADED_S + QUIET_S) * 1000)
        kill_at = self._kill()
        _until(start + seconds * 1000)
        wait_until("the killed worker's share waits again", lambda: self._delayed() >= 2 * self.half, 120, 0.5)
        arrivals = self._arrivals(start)
        bulk = [arrival.at for arrival in arrivals if arrival.campaign == BULK]
        probes = [arrival for arrival in arrivals if arrival.campaign == PROBE]
        loaded_to = min(start + LOADED_S * 1000, max(bulk) - 1000)
        late = sorted(probe.at - probe.due for probe in probes if start <= probe.due <= loaded_to)
        cuts = statistics.quantiles(late, n=100, method="inclusive")
        back = {str(lane): _first(probes, lane, kill_at) for lane in LANES}
        note(f"release p99 {cuts[98]:.0f} ms; lanes back after {back} s")
        return {
            "release_p50_ms": round(cuts[49], 1),
            "release_p99_ms": round(cuts[98], 1),
            "release_max_ms": round(late[-1], 1),
            "released_under_load": len(late),
            "bulk_per_s_meanwhile": round(sum(start <= at <= loaded_to for at in bulk) / (loaded_to - start) * 1000),
            "restart_s": max(back.values()),
            **self._split(back),
            "lane_back_s": back,
            "probes": len(probes),
            "memory_after_restart_mb": self._memory(),
            "checkpoints_after_restart": int(self._sum("longwave_lane_checkpoints_total")),
        }

    def cancel(self, api: Api) -> dict[str, Any]:
        """From the command to: all withdrawn in the accounting, and nobody of it left in a lane."""
        begun = time.monotonic()
        api.act(self.goes, "cancel")
        freed = accounted = 0.0
        while not (freed and accounted):
            if time.monotonic() - begun > 120:
                raise RuntimeError(f"not canceled within 120 s: {api.show(self.goes)['figures']}")
            if not freed and self._delayed() <= self.half:
                freed = time.monotonic() - begun
            if not accounted and _state(api, self.goes, "canceled") == self.half + 8:
                accounted = time.monotonic() - begun
            time.sleep(0.05)
        return {
            "cancel_s": round(max(freed, accounted), 2),
            "cancel_lanes_free_s": round(freed, 2),
            "cancel_accounted_s": round(accounted, 2),
            "canceled": self.half + 8,
        }

    def _write_probes(self, start: int, seconds: int) -> None:
        ticks = CHUNK_LIMIT // PROBE_SIZE
        template = Template(PROBE, 3)
        self.writer.controls(PROBE, start, LANES)
        for first in range(0, seconds * 1000 // PROBES_APART_MS, ticks):
            dues = [(PROBE_SIZE, start + tick * PROBES_APART_MS) for tick in range(first, first + ticks)]
            for lane in LANES:
                ordinal = first * PROBE_SIZE * len(LANES) + lane
                self.writer.write(lane, template.record(ordinal, now_ms(), dues, step=len(LANES)))
        self.writer.flush()

    def _write_bulk(self, at: int) -> None:
        template = Template(BULK, 4)
        self.writer.controls(BULK, at, LANES)
        for n in range((LOADED_S + 4) * RATE // CHUNK_LIMIT):
            self.writer.write(LANES[n % len(LANES)], template.record(n * CHUNK_LIMIT, at, [(CHUNK_LIMIT, at)]))
        self.writer.flush()

    def _kill(self) -> int:
        pid = int(self.stack.entries()["worker-0"]["pid"])
        at = now_ms()
        os.kill(pid, signal.SIGKILL)
        return at

    def _arrivals(self, start: int) -> list[Arrival]:
        arrivals = []
        for entry in entries(self.stack.settings.data / "aggregator"):
            for message in entry.batch().messages:
                campaign, _, ordinal = message.id.split("-")
                tick = int(ordinal) // (PROBE_SIZE * len(LANES))
                due = start + tick * PROBES_APART_MS
                arrivals.append(Arrival(campaign, int(ordinal) % len(LANES), due, entry.at / 1e6))
        return arrivals

    def _split(self, back: dict[str, float]) -> dict[str, Any]:
        """What of a lane's return is the group's (until Kafka and Faust had assigned the lane for the last time, and
        until the next probe was due) and what is its owner's (to read the log), by the owner's own clock."""
        rebuilt = {lane: round(seconds, 2) for lane, seconds in self._newest("longwave_lane_rebuild_seconds").items()}
        slowest = max(back, key=lambda lane: back[lane])
        of_owner = rebuilt.get(slowest, 0.0)
        return {
            "restart_rebuild_s": of_owner,
            "restart_detection_s": round(back[slowest] - of_owner, 2),
            "lane_rebuild_s": rebuilt,
        }

    def _memory(self) -> dict[str, int]:
        return {name: mb for name, mb in self.stack.memory_mb().items() if name.startswith("worker")}

    def _delayed(self) -> int:
        """Who waits."""
        return int(sum(self._newest("longwave_lane_delayed_recipients").values()))

    def _newest(self, name: str) -> dict[str, float]:
        return _of_newest_owner(self._scraped(), name)

    def _sum(self, name: str) -> float:
        return sum(sum(metrics_of_process.get(name, {}).values()) for metrics_of_process in self._scraped())

    def _scraped(self) -> list[dict[str, dict[str, float]]]:
        """Values by metric and lane, of each worker that answers."""
        metrics_of_processes = []
        for worker in range(WORKERS):
            url = f"http://127.0.0.1:{self.stack.settings.metrics_port + worker}/metrics"
            if metrics := http.page(url, timeout=5):
                metrics_of_processes.append(_by_lane(metrics))
        return metrics_of_processes


def _by_lane(text: str) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = {}
    for name, lane, value in re.findall(r'^(\w+)\{lane="(\d+)"\} (\S+)$', text, re.MULTILINE):
        values.setdefault(name, {})[lane] = float(value)
    return values


def _of_newest_owner(scraped: list[dict[str, dict[str, float]]], name: str) -> dict[str, float]:
    """A gauge of each lane as its newest owner has it: who had the lane before still shows what he knew."""
    newest: dict[str, tuple[float, float]] = {}
    for metrics_of_process in scraped:
        for lane, epoch in metrics_of_process.get("longwave_lane_epoch", {}).items():
            value = metrics_of_process.get(name, {}).get(lane, 0.0)
            newest[lane] = max(newest.get(lane, (0.0, 0.0)), (epoch, value))
    return {lane: value for lane, (_, value) in newest.items()}


def _until(at: int) -> None:
    time.sleep(max(0, at - now_ms()) / 1000)
