"""A private stack for one benchmark: all processes real, on free ports, data in a folder that goes with it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any

import psutil

from adapters import http
from adapters.settings import CONFIG_VARIABLE, Settings, load
from cli.accounts.book import stored_book
from cli.client import api_of, retrying
from devstack import record
from loadtest.aggregator.submissions import Submissions
from loadtest.bench.campaigns import wait_until
from loadtest.sample import accounts as sample
from schemas.accounts import SenderDocument

APPLIED_SECONDS = 60.0
SCRIPT = Path(__file__).parent.parent / "aggregator" / "scripts" / "benchmark.toml"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack and the settings that it runs with."""

    settings: Settings
    words: tuple[str, ...] = ()
    """The `longwave` command that brought it up."""
    env: dict[str, str] = field(default_factory=dict)

    def sender(self, account: str = "demo", name: str = "main") -> SenderDocument:
        """A sender of the stack."""
        found = stored_book(self.settings).sender(account, name)
        assert found is not None, f"{account}/{name} was added"
        return found

    def up(self) -> None:
        """Bring it up again, on the same data; returns when all is ready."""
        _run([*self.words], self.env)

    def down(self) -> None:
        """Stop all of it in good order; the data stay."""
        _run(["down"], self.env)

    def supervisor(self) -> int:
        """Its pid."""
        return int(self._record()["pid"])

    def entries(self) -> dict[str, dict[str, Any]]:
        """What the supervisor says of each process, by name."""
        return {entry["name"]: entry for entry in self._record()["processes"]}

    def until_restarted(self, name: str, pid: int, patience: float) -> None:
        """Wait until the supervisor has another process than `pid` ready under this name.

        Raises:
            RuntimeError: it has none within `patience` (s).
        """

        def again() -> bool:
            entry = self.entries()[name]
            return bool(entry["pid"]) and entry["pid"] != pid and entry["state"] == "ready"

        wait_until(f"{name} runs again", again, patience)

    def _record(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.settings.data / "supervisor.json").read_text())
        return document

    def submissions(self) -> Submissions:
        """What the aggregator has recorded so far."""
        return Submissions.read(self.settings.data / "aggregator")

    def accepted(self) -> int:
        """Messages that the aggregator has accepted so far, by its own count."""
        with http.request(f"{self.settings.aggregator.url}/v1/stats", timeout=10) as answer:
            return int(json.load(answer)["accepted"])

    def processes(self) -> dict[str, psutil.Process]:
        """Our processes that run now, by name (kafka, worker-0, …)."""
        return {name: process for name, entry in self.entries().items() if (process := record.alive(entry))}

    def cpu_seconds(self) -> dict[str, float]:
        return {name: sum(process.cpu_times()[:2]) for name, process in self.processes().items()}

    def memory_mb(self) -> dict[str, int]:
        return {name: process.memory_info().rss // 2**20 for name, process in self.processes().items()}


@contextmanager
def private_stack(
    changes: str,
    *,
    workers: int = 1,
    script: Path = SCRIPT,
    only: tuple[str, ...] = (),
    parent: Path | None = None,
) -> Iterator[Stack]:
    """A stack with `changes` (TOML): what its settings are beside those of a private stack, then its accounts as a
    file of accounts has them, without any the sample account. Its data are in a folder of their own in `parent`.

    Raises:
        RuntimeError: it did not come up; the text has what it said.
    """
    folder = Path(tempfile.mkdtemp(prefix="longwave-bench-", dir=parent))
    config = folder / "longwave.toml"
    changed, table, accounts = changes.partition("[accounts.")
    config.write_text(_settings(folder) + changed, encoding="utf-8")
    # Variables win over the file: those of the caller, or of another stack in this process, must not reach this one.
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("LONGWAVE_")}
    os.environ[CONFIG_VARIABLE] = str(config)
    env = dict(os.environ)
    try:
        wanted = [word for name in only for word in ("--only", name)]
        words = ("up", "--detach", "--workers", str(workers), "--script", str(script), *wanted)
        _run([*words], env)
        settings = load()
        if workers and (not only or "api" in only):
            add_accounts(settings, table + accounts or sample.text())
        yield Stack(settings, words, env)
    except BaseException:
        _keep_logs(folder)
        raise
    finally:
        os.environ.pop(CONFIG_VARIABLE, None)
        os.environ.update(before)
        _down(env)
        shutil.rmtree(folder, ignore_errors=True)


def add_accounts(settings: Settings, text: str) -> None:
    """Apply a file (TOML) of accounts to a stack that runs.

    Raises:
        RuntimeError: it could not be carried out, or some of it was refused.
    """
    api = api_of(settings)
    answer = retrying(
        lambda: api.send("POST", "/v1/accounts/apply", text.encode(), "application/toml"), APPLIED_SECONDS, sleep
    )
    if answer["refused"] or not answer["carried_out"]:
        raise RuntimeError(f"the accounts could not be applied: {answer['refused'] or 'no worker answered'}")


def _down(env: dict[str, str]) -> None:
    failed = sys.exc_info()[1]
    try:
        _run(["down"], env)
    except RuntimeError as error:
        if failed is None:
            raise
        print(error, file=sys.stderr)  # what went wrong first must not hide behind it


def _run(words: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *words], env=env, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise RuntimeError(f"longwave {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _keep_logs(folder: Path) -> None:
    kept = Path(tempfile.mkdtemp(prefix="longwave-bench-failed-"))
    shutil.copytree(folder / "logs", kept / "logs", dirs_exist_ok=True)
    print(f"the stack's logs are in {kept}", file=sys.stderr)


def _settings(folder: Path) -> str:
    # The controller's port follows Kafka's; metrics of the writer, the API and the ingress are before the workers'.
    kafka, _, clickhouse, api, ingress, aggregator, _, _, _, metrics = free_ports(10 + 8)[:10]
    values: dict[str, Any] = {
        "data": str(folder),
        "kafka.bootstrap": f"127.0.0.1:{kafka}",
        "clickhouse.port": clickhouse,
        "api.port": api,
        "ingress.port": ingress,
        "aggregator.port": aggregator,
        "metrics_port": metrics,
        "aggregators.local.url": f"http://127.0.0.1:{aggregator}/v1/messages",
        "aggregators.local.query_url": f"http://127.0.0.1:{aggregator}/v1/query",
    }
    return "".join(f"{name} = {value!r}\n".replace("'", '"') for name, value in values.items())


_given: set[int] = set()


def port_range() -> tuple[int, int]:
    """Where this process looks for ports: each of pytest's parallel workers (gw0, gw1, …) in a range of its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    return 20_000 + worker * 3000, 21_500 + worker * 3000


def free_ports(count: int) -> list[int]:
    """`count` adjacent ports that nobody listens on, below the range that outgoing connections take theirs from."""
    first, last = port_range()
    start = max([first, *(port + 1 for port in _given if first <= port < last)])
    run: list[int] = []
    for port in range(start, last):
        with socket.socket() as probe:
            free = probe.connect_ex(("127.0.0.1", port)) != 0
        run = [*run, port] if free else []
        if len(run) == count:
            _given.update(run)
            return run
    raise RuntimeError("no free ports")
