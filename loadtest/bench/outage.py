"""`longwave bench outage`: the aggregator is away in the middle of a campaign, ClickHouse too for a part of it.

Of the outage's time the aggregator hangs for the first half (SIGSTOP: it accepts connections and never answers) and
is gone for the second (killed: connections are refused). ClickHouse hangs from a quarter to a half, is killed at
three quarters, and hangs once more when sending is at full rate again: then statuses pile up. Measured: resident
memory of every process each second, what the metrics and the page say meanwhile, and at the end the account,
recipient by recipient, against the aggregator's own record.
"""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from adapters.settings import Worker
from devstack import record
from loadtest.bench.campaigns import Api, fill, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from loadtest.bench.watch import Look, Watch, resident_mb
from pipeline.limits.rate import most_unknown
from schemas.reasons import Reason
from schemas.succession import HANDED_OVER
from schemas.wire import CHUNK_LIMIT

LIST = "bench"
LANES = 2
KILLED = ("aggregator", "clickhouse")
"""Once each; what else ends meanwhile is a crash."""
SCRIPT = """
idempotency_keys = false
[receipts]
delivered = 0.97
delay = {median = 1.0, sigma = 0.5}
"""
BOUNDS_MB = {"kafka": 400, "clickhouse": 600}
"""How much more memory a server may have than at the outage's beginning: a heap and caches of their own sizes."""
OUR_BOUND_MB = 150
"""The same for each process of ours, whatever the length of the outage."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; times in seconds."""

    outage: float
    recipients: int
    rate: int
    timeout: float
    """After which a request without an answer is given up."""
    suspend_after: float

    @property
    def window(self) -> int:
        """Messages that may be in flight in all lanes together."""
        return LANES * most_unknown(self.rate / LANES, CHUNK_LIMIT, Worker().in_flight)


def run(minutes: float = 10.0, recipients: int = 300_000, rate: int = 5000) -> Result:
    """One campaign with one outage of `minutes`."""
    outage = 60 * minutes
    plan = Plan(outage, recipients, rate, timeout=min(10.0, outage / 6), suspend_after=min(300.0, outage / 2.5))
    with _script() as script, private_stack(_settings(plan), script=script) as stack:
        fill(stack.settings, LIST, recipients)
        api = Api(stack.settings)
        campaign = api.launch("bench outage", [LIST], smart_sending_hours=0)
        with Watch(stack, campaign) as watch:
            _until_accepted(stack, recipients // 5)
            # What each process needs to work at all is not what the outage costs.
            wait_until("the writer has written", lambda: _written(api, campaign), 60)
            start = resident_mb(stack)
            began = time.monotonic()
            _outage(stack, plan.outage, began)
            ended = time.monotonic()
            _until_accepted(stack, 0)
            there = time.monotonic() - ended
            _until_accepted(stack, 1)  # by the new process, which counts from nothing
            back = time.monotonic() - ended - there
            _clickhouse_hangs(stack, min(20.0, outage / 4))
            patience = 240 + 3 * recipients / rate
            wait_until("the campaign has finished", lambda: _finished(api, campaign), patience, pause=0.5)
            time.sleep(2)  # the page's and the metrics' last looks
        account = _account(stack, campaign)
        restarts = {name: entry["restarts"] for name, entry in stack.entries().items()}
        memory = _memory(watch, began, start)
        seen = _seen(watch, began, ended)
    checks = _checks(plan, account, memory, seen, restarts)
    return Result(
        name="outage",
        figure=max(entry["growth_mb"] for entry in memory.values()),
        unit="MB grown, the process that grew most",
        limit=None,
        ratio=None,
        required="memory bounded, lag visible, nobody lost or twice, unknown <= window, suspended, over afterwards",
        ok=all(checks.values()),
        inputs={"minutes": minutes, "recipients": recipients, "rate": rate, "receipts": True, "lanes": LANES},
        details={
            "checks": checks,
            **account,
            "window": plan.window,
            "seconds_until_aggregator_runs": round(there, 1),
            "seconds_until_sending_again": round(back, 1),
            "memory": memory,
            "restarts": restarts,
            **seen,
        },
    )


def _written(api: Api, campaign: str) -> bool:
    figures = api.show(campaign)["figures"]
    return bool(figures and figures["submitted"])


@contextlib.contextmanager
def _script() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="longwave-outage-") as folder:
        path = Path(folder) / "script.toml"
        path.write_text(SCRIPT, encoding="utf-8")
        yield path


def _settings(plan: Plan) -> str:
    return f"""
worker.suspend_after = {plan.suspend_after}
aggregators.local.timeout = {plan.timeout}
aggregators.local.idempotency_keys = false
[accounts.demo]
site_name = "Harbor & Pine"
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = {plan.rate}
lanes = {list(range(LANES))}
"""


def _outage(stack: Stack, seconds: float, began: float) -> None:
    """Have it; returns when everything has been let go again."""

    def until(share: float) -> None:
        time.sleep(max(0.0, began + share * seconds - time.monotonic()))

    aggregator, clickhouse = _process(stack, "aggregator"), _process(stack, "clickhouse")
    aggregator.suspend()
    until(0.25)
    clickhouse.suspend()
    until(0.5)
    clickhouse.resume()
    supervisor = psutil.Process((record.read(stack.settings.data) or {})["pid"])
    supervisor.suspend()  # else it would start the aggregator again
    try:
        os.kill(aggregator.pid, signal.SIGKILL)
        until(0.75)
        os.kill(clickhouse.pid, signal.SIGKILL)
        until(1.0)
    finally:
        supervisor.resume()


def _clickhouse_hangs(stack: Stack, seconds: float) -> None:
    """Every status of what is sent meanwhile has to wait, in Kafka."""
    wait_until("ClickHouse runs again", lambda: _runs(stack, "clickhouse"), 60)
    clickhouse = _process(stack, "clickhouse")
    clickhouse.suspend()
    time.sleep(seconds)
    clickhouse.resume()


def _runs(stack: Stack, name: str) -> bool:
    processes = (record.read(stack.settings.data) or {"processes": []})["processes"]
    return any(process["name"] == name and process["state"] == "ready" for process in processes)


def _process(stack: Stack, name: str) -> psutil.Process:
    return stack.processes()[name]


def _until_accepted(stack: Stack, wanted: int) -> None:
    def reached() -> bool:
        with contextlib.suppress(OSError):
            return stack.accepted() >= wanted
        return False

    wait_until(f"{wanted} are accepted", reached, 180)


def _finished(api: Api, campaign: str) -> bool:
    with contextlib.suppress(Exception):
        return bool(api.show(campaign)["status"] == "finished")
    return False


def _account(stack: Stack, campaign: str) -> dict[str, Any]:
    """Everybody, once by our export and once by the aggregator's record."""
    figures = Api(stack.settings).show(campaign)["figures"]
    states = _exported(stack, campaign)
    submissions = stack.submissions()
    received = {message_id for message_id in submissions.received if message_id.startswith(campaign)}
    handed_over = {message_id for message_id, state in states.items() if state in HANDED_OVER}
    unknown = {message_id for message_id, state in states.items() if state == "unknown"}
    return {
        "targeted": figures["targeted"],
        "states": dict(Counter(states.values())),
        "exported_as_shown": dict(Counter(states.values())) == {s: n for s, n in figures["states"].items() if n},
        "residual": figures["residual"],
        "received": len(received),
        "lost": len(handed_over - received),
        "not_in_our_account": len(received - handed_over - unknown),
        "received_twice": len(submissions.received_twice),
        "unknown": len(unknown),
    }


def _exported(stack: Stack, campaign: str) -> dict[str, str]:
    out = stack.settings.data / "outage.csv"
    words = ["campaign", "export", campaign, "--out", str(out)]
    subprocess.run([sys.executable, "-m", "cli.main", *words], check=True, capture_output=True, timeout=120)
    with out.open(newline="") as rows:
        return {f"{campaign}-0-{row['ordinal']}": row["state"] for row in csv.DictReader(rows)}


def _memory(watch: Watch, began: float, at_start: dict[str, float]) -> dict[str, dict[str, float]]:
    """By process: MB when the outage began, the most from then to the end, the growth, and its bound."""
    after = watch.between(began, float("inf"))
    memory: dict[str, dict[str, float]] = {}
    for name, start in at_start.items():
        most = max(look.memory.get(name, 0.0) for look in after)
        bound = float(BOUNDS_MB.get(name, OUR_BOUND_MB))
        memory[name] = {
            "start_mb": start, "most_mb": most, "growth_mb": round(max(0.0, most - start), 1), "bound_mb": bound
        }  # fmt: skip
    return memory


def _seen(watch: Watch, began: float, ended: float) -> dict[str, Any]:
    """What operators saw during the outage, and that it was over afterwards."""
    during, last = watch.between(began, ended), watch.looks[-1]

    def most(name: str) -> float:
        return max((look.metrics.get(name, 0.0) for look in during), default=0.0)

    afterwards = watch.between(began, last.at)
    waited = max(afterward.metrics.get("longwave_writer_waiting_seconds", 0.0) for afterward in afterwards)
    return {
        "looks": len(during),
        "breaker_open_after_s": _first(
            during, began, lambda look: look.metrics.get("longwave_aggregator_breaker") == 1
        ),
        "reason_after_s": _first(during, began, lambda look: look.reason.startswith(Reason.WAITING_FOR_AGGREGATOR)),
        "suspended_after_s": _first(during, began, lambda look: look.status == "suspended"),
        "suspended_by_metric": most("longwave_lane_suspended_campaigns") > 0,
        "reasons": sorted({look.reason for look in during if look.reason}),
        "queued_most": most("longwave_lane_queued_recipients"),
        "oldest_due_most_s": round(most("longwave_lane_oldest_due_seconds"), 1),
        "writer_waiting_most_s": round(waited, 1),
        "over": {
            "breaker": last.metrics.get("longwave_aggregator_breaker"),
            "suspended": last.metrics.get("longwave_lane_suspended_campaigns"),
            "queued": last.metrics.get("longwave_lane_queued_recipients"),
            "writer_waiting_s": last.metrics.get("longwave_writer_waiting_seconds"),
            "status": last.status,
            "reason": last.reason,
        },
    }


def _first(looks: list[Look], began: float, holds: Any) -> float | None:
    return next((round(look.at - began, 1) for look in looks if holds(look)), None)


def _checks(
    plan: Plan,
    account: dict[str, Any],
    memory: dict[str, dict[str, float]],
    seen: dict[str, Any],
    restarts: dict[str, int],
) -> dict[str, bool]:
    over = seen["over"]
    return {
        "memory_bounded": all(entry["growth_mb"] <= entry["bound_mb"] for entry in memory.values()),
        "everybody_accounted_for": account["residual"] == 0 and account["targeted"] == plan.recipients
        and account["exported_as_shown"],
        "nobody_lost": account["lost"] == account["not_in_our_account"] == 0,
        "nobody_twice": account["received_twice"] == 0,
        "unknown_within_window": account["unknown"] <= plan.window,
        "lag_visible": seen["queued_most"] > 0 and seen["oldest_due_most_s"] > 0.8 * plan.outage
        and seen["writer_waiting_most_s"] > 0,
        "breaker_and_suspension_seen": None not in (
            seen["breaker_open_after_s"], seen["reason_after_s"], seen["suspended_after_s"]
        ) and seen["suspended_by_metric"],
        "others_lived": all(count == (name in KILLED) for name, count in restarts.items()),
        "over_afterwards": over == {
            "breaker": 0.0, "suspended": 0.0, "queued": 0.0, "writer_waiting_s": 0.0, "status": "finished",
            "reason": "",
        },
    }  # fmt: skip
