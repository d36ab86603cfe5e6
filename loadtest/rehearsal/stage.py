"""A private stack at work, watched by Prometheus: what incidents happen to."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import psutil

from adapters import http
from adapters.settings import API_METRICS, INGRESS_METRICS, WRITER_METRICS
from adapters.terminal import UserError
from cli.client import Client, api_of
from loadtest.bench.campaigns import TEXT, fill, wait_until
from loadtest.bench.stack import Stack, free_ports, private_stack
from loadtest.rehearsal import prometheus
from loadtest.rehearsal.prometheus import Prometheus
from loadtest.rehearsal.rules import Rules

PATIENCE: Final = 150.0
"""Seconds to wait for a process at most; on a busy machine a JVM alone can take 30."""
RATE: Final = 40
"""Segments a second of the traffic."""
TRAFFIC_SECONDS: Final = 1500.0
"""For how long the traffic lasts, undivided; an incident and its end are over before."""
RECIPIENTS: Final = 8000
"""Of the traffic at least; a start and a restart take their time however fast the rules are."""
LIST: Final = "rehearsal"
DISK_BYTES: Final = 3 << 30
"""Of the disk that can be filled. It is in memory, and takes only what is written."""
CALM: Final = """
idempotency_keys = true
latency = { median = 0.05 }
[receipts]
delivered = 0.97
delay = { median = 1.0, sigma = 0.3, least = 0.1 }
"""
"""How the aggregator behaves on a good day."""
SETTINGS: Final = f"""
kafka.partitions = 2
kafka.lanes = 3
aggregators.local.idempotency_keys = true
[accounts.demo]
site_name = "Harbor & Pine"
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = {RATE}
lanes = [0, 1]
"""


@dataclass(slots=True)
class Stage:
    """A running stack with its Prometheus; `campaign` is its traffic."""

    stack: Stack
    prometheus: Prometheus
    script: Path
    api: Client
    campaign: str = ""
    children: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """Ended with the stage, whatever becomes of the incident."""
    extra_ingresses: list[int] = field(default_factory=list)
    """Ports with the metrics of ingresses that Prometheus scrapes besides the supervised one."""

    # What operators see

    def show(self) -> dict[str, Any]:
        """What the API says of the traffic's campaign."""
        return self.api.get(f"/v1/campaigns/{self.campaign}")

    def watch(self) -> None:
        """Have Prometheus scrape the stack's processes."""
        settings = self.stack.settings
        workers = sum(name.startswith("worker-") for name in self.stack.entries())
        ports = {
            "worker": [settings.metrics_port + index for index in range(workers)],
            "writer": [settings.metrics_port + WRITER_METRICS],
            "api": [settings.metrics_port + API_METRICS],
            "ingress": [settings.metrics_port + INGRESS_METRICS],
        }
        ports["ingress"] += self.extra_ingresses
        self.prometheus.watch({job: [f"127.0.0.1:{port}" for port in at] for job, at in ports.items()})

    # What happens

    def keep_down(self, name: str) -> Callable[[], None]:
        """`kill -9`, and nobody starts it again until what this returns is called."""
        supervisor = psutil.Process(self.stack.supervisor())
        supervisor.suspend()

        def allow() -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                supervisor.resume()

        self.children.callback(allow)
        os.kill(self.pid(name), signal.SIGKILL)
        return allow

    def kill(self, name: str) -> None:
        """`kill -9`, and wait until its supervisor has another one ready."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        self.stack.until_restarted(name, pid, PATIENCE)

    def freeze(self, name: str) -> Callable[[], None]:
        """SIGSTOP: it hangs until what this returns is called."""
        process = psutil.Process(self.pid(name))
        process.suspend()

        def thaw() -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

        self.children.callback(thaw)
        return thaw

    def set_behavior(self, script: str) -> None:
        """From now on the aggregator behaves as this script (TOML) says."""
        self.script.write_text(script, encoding="utf-8")
        self.kill("aggregator")

    def second_ingress(self, **env: str) -> Callable[[], None]:
        """One ingress more with these variables, scraped by Prometheus until what this returns is called."""
        port, *_, metrics = free_ports(5)
        folder = Path(self.children.enter_context(tempfile.TemporaryDirectory(prefix="longwave-rehearsal-")))
        own = {
            "LONGWAVE_DATA": str(folder),
            "LONGWAVE_INGRESS__PORT": str(port),
            "LONGWAVE_METRICS_PORT": str(metrics),
            **env,
        }
        log = self.children.enter_context((folder / "ingress.log").open("wb"))
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.main", "run", "ingress"],
            env={**self.stack.env, **own}, stdout=log, stderr=log,
        )  # fmt: skip

        def end() -> None:
            self.extra_ingresses.clear()
            self.watch()
            child.kill()
            child.wait()

        self.children.callback(end)
        wait_until("it is ready", lambda: http.answers(f"http://127.0.0.1:{port}/readyz"), PATIENCE)
        self.extra_ingresses.append(metrics + INGRESS_METRICS)
        self.watch()
        return end

    def launch(self, audience: str, recipients: int, first: int, **spec: Any) -> str:
        """A campaign to that many new contacts, from number `first` on; its id."""
        fill(self.stack.settings, audience, recipients, first)
        message = {"text": TEXT, "links": {"default": "https://shop.example/sale"}}
        body = {"name": audience, "audience": {"lists": [audience]}, "messages": [message], "smart_sending_hours": 0}
        # A rehearsed kill is no defect: whoever was in flight is asked for again with its key, none stays unknown.
        draft = {**body, "unknown": "resend-with-key", **spec}
        campaign: str = self.api.send("POST", "/v1/campaigns", orjson.dumps(draft))["id"]
        self.api.send("POST", f"/v1/campaigns/{campaign}/launch", b"")
        return campaign

    def pid(self, name: str) -> int:
        """The process of this name.

        Raises:
            RuntimeError: it has none for minutes.
        """
        wait_until(f"{name} runs", lambda: bool(self.stack.entries()[name]["pid"]), PATIENCE)
        return int(self.stack.entries()[name]["pid"])

    def is_well(self) -> bool:
        """Whether the API shows messages of the traffic that were delivered."""
        with contextlib.suppress(UserError):
            figures = self.show()["figures"]
            return bool(figures and figures["states"]["delivered"])
        return False


@contextlib.contextmanager
def stage(rules: Rules, faster: float, *, small_disk: bool = False) -> Iterator[Stage]:
    """A stack with traffic, watched by a Prometheus with `rules`, whose durations are divided by `faster`.

    Raises:
        UserError: Prometheus is not installed, or a small disk cannot be mounted.
        RuntimeError: the stack does not come up.
    """
    prometheus.installed()
    with contextlib.ExitStack() as made:
        folder = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="longwave-rehearsal-")))
        script = folder / "script.toml"
        script.write_text(CALM, encoding="utf-8")
        disk = made.enter_context(_small_disk(folder / "disk")) if small_disk else None
        stack = made.enter_context(private_stack(SETTINGS, script=script, parent=disk))
        watched = made.enter_context(prometheus.running(free_ports(1)[0], rules, faster))
        started = Stage(stack, watched, script, api_of(stack.settings, timeout=30.0))
        made.enter_context(started.children)
        started.campaign = started.launch(
            LIST, RECIPIENTS + round(RATE * TRAFFIC_SECONDS / faster / 2), 12_125_000_000
        )
        started.watch()
        wait_until("messages are delivered", started.is_well, PATIENCE, pause=0.5)
        yield started


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "longwave-rehearsal", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"this incident mounts a small disk of its own, which only root may: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def until_calm(stage: Stage, jobs: set[str], seconds: float) -> float:
    """Wait until Prometheus sees all jobs and no alert's condition has held for `seconds`; since when (s since 1970).

    Raises:
        RuntimeError: it does not become calm; the text names what brews.
    """
    since = time.time()
    brewing: list[str] = []

    def calm() -> bool:
        nonlocal since
        brewing[:] = sorted({alert["alertname"] for alert in stage.prometheus.brewing()})
        if brewing or not stage.prometheus.sees(jobs):
            since = time.time()
        return time.time() - since >= seconds

    try:
        wait_until("no alert's condition holds", calm, PATIENCE + 3 * seconds, pause=stage.prometheus.interval)
    except RuntimeError as error:
        raise RuntimeError(
            f"{error}; it holds for {', '.join(brewing) or 'none, but a target is missing'}"
        ) from error
    return since
