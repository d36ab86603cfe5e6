"""What the processes of the stack say of themselves, as findings with what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from cli.stack.findings import Finding, short_path
from devstack import plan, record
from devstack.readiness import Readiness

FIXES: Final = {
    "kafka": "see whether the broker runs and answers: `longwave doctor`",
    "clickhouse": "see whether it runs and answers: `longwave doctor`; sending goes on meanwhile",
    "partitions": "wait a minute; if it stays so, restart this process, and see its log {log}",
    "lanes": "wait a minute; if it stays so, restart one worker: the group then assigns all lanes again",
    "opt-outs": "it ends when Kafka answers this process; if Kafka does, see its log {log}",
    "inserts": "make room on ClickHouse's disk, and see why it refuses: {log}",
    "campaigns": "it ends when Kafka answers; if Kafka does, see its log {log}",
    "aggregators": "talk to the aggregator; campaigns wait, and go on by themselves when it answers",
    "callbacks": "restart it, and see its log {log}",
    "event loop": "see its log {log}; restart it if it does not come back",
}
"""By part of `/readyz`."""
_OTHERS: Final = "see its log {log}"


def examine(entries: Iterable[Mapping[str, Any]], said: Mapping[str, Readiness], data: Path) -> Iterator[Finding]:
    """The findings of each process in `entries` (`{name, pid, created, …}`), servers first, by what it said."""
    servers = {"kafka": 0, "clickhouse": 1}
    for entry in sorted(entries, key=lambda entry: servers.get(entry["name"], 2)):
        log = short_path(entry.get("log") or plan.log_of(data.absolute(), entry["name"]))
        yield from _findings(entry, said[entry["name"]], log)


def _findings(entry: Mapping[str, Any], readiness: Readiness, log: str) -> Iterator[Finding]:
    name = entry["name"]
    process = record.alive(dict(entry))
    if process is None:
        why = "does not run" if entry.get("state") in (None, "ready", "ended") else f"does not run: {entry['state']}"
        yield Finding(name, False, why, f"see its log {log}; the supervisor starts it again by itself")
    elif not readiness.answers:
        yield _silent(name, process, log)
    else:
        said = [*readiness.not_ready, *readiness.limited]
        for problem in said:
            fix = FIXES.get(problem["part"], _OTHERS).format(log=log)
            yield Finding(name, False, f"{problem['problem']} (since {_second(problem['since'])})", fix)
        if not said:
            yield Finding(name, True, "ready")


def _silent(name: str, process: psutil.Process, log: str) -> Finding:
    if _is_stopped(process):
        what = "does not answer: its process is stopped by a signal"
        return Finding(name, False, what, f"let it go on: `kill -CONT {process.pid}`")
    fix = f"wait if it is starting; else see {log}, and end it with `kill {process.pid}`: it is started again"
    return Finding(name, False, "does not answer", fix)


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _second(since: str) -> str:
    return f"{since[:19]}Z".replace("T", " ")
