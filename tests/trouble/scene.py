"""A private stack on which things go wrong, and campaigns on it that are watched from launch to end."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Producer

from adapters.clock import now_ms
from adapters.kafka import dead_letters
from adapters.settings import CONFIG_VARIABLE
from adapters.terminal import UserError
from cli.client import api_of
from devstack import children, record
from loadtest.bench.campaigns import fill
from loadtest.bench.campaigns import wait_until as poll
from loadtest.bench.stack import Stack, private_stack
from pipeline.limits.rate import most_unknown
from schemas.campaign import Action, Command
from schemas.deadletter import DeadLetter
from schemas.topics import COMMANDS
from schemas.wire import CHUNK_LIMIT, encode
from tests.trouble.arrivals import Arrivals
from tests.trouble.looks import Looks

PATIENCE = 300.0
"""Seconds to wait for anything; on a busy machine a JVM alone can take 30."""
SETTINGS = """
kafka.partitions = 4
kafka.lanes = 2
worker.fanout_range = 2000
[accounts.demo]
site_name = "Harbor & Pine"
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 1500
lanes = [0, 1]
"""
AUTO = "Nobody reads this number, write to help@shop.example"
HELP = "Write to help@shop.example. Reply STOP to unsubscribe."
QUIET = "idempotency_keys = false\nreceipts = false\n"
"""A script: everything is accepted, also a second time, and nothing is said later."""

AREAS = (212, 213, 214, 215, 216, 217, 312, 313, 314, 315)
"""US area codes, each with eight blocks of a million valid numbers."""
_first_numbers = iter(
    10_000_000_000 + area * 10_000_000 + 1_000_000 * block for area in AREAS for block in range(2, 10)
)


class Scene:
    """One stack under trouble; `arrivals` is its aggregator's record."""

    def __init__(self, stack: Stack, script: Path) -> None:
        self.stack = stack
        self.script = script
        self.settings = stack.settings
        self.data = stack.settings.data
        self.arrivals = Arrivals(self.data / "aggregator")
        self.api = api_of(self.settings, timeout=60.0)

    @property
    def window(self) -> int:
        """Messages that may be unknown of what was in flight in the lanes of account demo when a process died."""
        sender = self.stack.sender()
        lanes = len(sender.lanes)
        rate = sender.segments_per_second / lanes
        return lanes * most_unknown(rate, CHUNK_LIMIT, self.settings.worker.in_flight)

    # Processes

    def entry(self, name: str) -> dict[str, Any]:
        """What the supervisor's record says of a process."""
        actual = record.read(self.data) or {"processes": []}
        return next((item for item in actual["processes"] if item["name"] == name), {})

    def signal(self, name: str, number: int) -> int:
        """Send a signal to a process of the stack; its pid."""
        pid: int = self.entry(name)["pid"]
        os.kill(pid, number)
        return pid

    def kill(self, name: str) -> None:
        """`kill -9`, and wait until the supervisor has it running and ready again."""
        self.restarted(name, self.signal(name, signal.SIGKILL))

    def restarted(self, name: str, pid: int) -> None:
        """Wait until another process than `pid` is ready under this name."""
        self.stack.until_restarted(name, pid, PATIENCE)

    def scripted(self, script: str) -> None:
        """From now on the aggregator behaves as `script` (TOML) says."""
        self.script.write_text(script)
        self.kill("aggregator")

    def well(self) -> None:
        """Wait until the API says that Kafka and ClickHouse answer again."""

        def answering() -> bool:
            with contextlib.suppress(UserError):
                sources = self.api.get("/v1/campaigns")["sources"]
                return bool(sources["kafka"]["ok"] and sources["clickhouse"]["ok"])
            return False

        wait_until("Kafka and ClickHouse answer", answering)

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """The process hangs (SIGSTOP) inside the block."""
        process = psutil.Process(self.signal(name, signal.SIGSTOP))
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def down(self, name: str) -> Iterator[None]:
        """The process is killed and stays away inside the block, because its supervisor sleeps."""
        supervisor = psutil.Process((record.read(self.data) or {})["pid"])
        supervisor.suspend()
        try:
            pid = self.signal(name, signal.SIGKILL)
            yield
        finally:
            supervisor.resume()
        self.restarted(name, pid)

    def another_worker(self, index: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """One worker more, beside those of the supervisor; it is killed at the end if it still runs."""
        log = self.data / "logs" / f"worker-{index}.log"
        return children.running("run", "worker", "--index", str(index), log=log, patience=0)

    def log(self, name: str) -> str:
        """A process's log so far."""
        return (self.data / "logs" / f"{name}.log").read_text(errors="replace")

    def write_stacks(self) -> None:
        """Have each process of ours write into its log what it is doing."""
        for name, process in self.stack.processes().items():
            if name not in ("kafka", "aggregator"):
                process.send_signal(signal.SIGUSR1)

    # The command line

    def longwave(self, *words: str, code: int = 0) -> str:
        """Run a command on this stack; what it printed. Its exit code must be `code`, and it never ends in a
        traceback."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{said}"
        assert "Traceback" not in said
        return said.strip()

    def letters(self) -> list[DeadLetter]:
        """Dead letters that nobody has dealt with."""
        return asyncio.run(dead_letters.read(self.settings.kafka))

    # Campaigns

    @contextlib.contextmanager
    def sending(self, recipients: int, **spec: Any) -> Iterator[Campaign]:
        """A campaign to that many new contacts, launched, and watched inside the block."""
        draft = self.draft(recipients, **spec)
        self.api.send("POST", f"/v1/campaigns/{draft.id}/launch")
        with draft.watched():
            yield draft

    def command(self, draft: Campaign, action: Action) -> None:
        """What the API writes when it has checked a campaign and all is well: the command, and nothing more."""
        command = Command(id=uuid.uuid4().hex, campaign=draft.id, action=action, at=now_ms(), by="test")
        self.produce(COMMANDS.name, encode(command), key=draft.id.encode())

    def produce(self, topic: str, value: bytes, *, key: bytes | None = None, partition: int = -1) -> tuple[int, int]:
        """Write one record; (partition, offset) of it."""
        where: list[tuple[int, int]] = []
        producer = Producer({"bootstrap.servers": self.settings.kafka.bootstrap, "partitioner": "murmur2_random"})
        producer.produce(
            topic,
            value,
            key,
            partition,
            on_delivery=lambda error, item: where.append((item.partition() or 0, item.offset() or 0)),
        )
        assert producer.flush(PATIENCE) == 0
        return where[0]

    def draft(self, recipients: int, **spec: Any) -> Campaign:
        """A campaign to that many new contacts, not launched yet; waits out what an earlier test did."""
        self.well()
        first = next(_first_numbers)
        name = f"list-{first}"
        fill(self.settings, name, recipients, first)
        body = {"name": name, "audience": {"lists": [name]}, "messages": [MESSAGE], "smart_sending_hours": 0, **spec}
        made = self.api.send("POST", "/v1/campaigns", json.dumps(body).encode())
        return Campaign(self, made["id"], recipients)


MESSAGE = {
    "text": "Hi {first_name|there}, {city|your town}'s sale ends Sunday: {link}",
    "links": {"default": "https://shop.example/sale"},
}


@dataclass(slots=True)
class Campaign:
    """A campaign on a scene."""

    scene: Scene
    id: str
    recipients: int
    looks: Looks = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.looks = Looks(self.scene.settings, self.id)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self.looks.start()
        try:
            yield
        finally:
            self.looks.stop()

    def show(self) -> dict[str, Any]:
        return self.scene.api.get(f"/v1/campaigns/{self.id}")

    def arrived(self) -> int:
        """Messages that the aggregator took so far."""
        return len(self.scene.arrivals.of(self.id))

    def until_arrived(self, count: int) -> None:
        wait_until(f"{count} messages of {self.id} arrived", lambda: self.arrived() >= count)

    def until(self, what: str, holds: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until an answer of the API satisfies `holds`; that answer."""
        last: list[dict[str, Any]] = [{}]

        def reached() -> bool:
            with contextlib.suppress(UserError):
                last[0] = self.show()
            return bool(last[0]) and holds(last[0])

        try:
            wait_until(f"{what} ({self.id})", reached, seconds, pause=0.3)
        except RuntimeError as error:
            raise AssertionError(f"{error}: {last[0].get('status')} {last[0].get('figures')}") from error
        return last[0]

    def ids(self, state: str = "") -> dict[str, str]:
        """Message id → state, by the export of the command line."""
        file = self.scene.data / f"{self.id}-{state or 'all'}.csv"
        words = ["--state", state] if state else []
        self.scene.longwave("campaign", "export", self.id, "--out", str(file), *words)
        with file.open(newline="") as rows:
            return {f"{self.id}-0-{row['ordinal']}": row["state"] for row in csv.DictReader(rows)}


def wait_until(what: str, reached: Callable[[], bool], seconds: float = PATIENCE, pause: float = 0.1) -> None:
    poll(what, reached, seconds, pause)


@contextlib.contextmanager
def scene(folder: Path, script: str, *, changes: str = SETTINGS, workers: int = 1) -> Iterator[Scene]:
    """A private stack with its aggregator scripted by `script` (TOML); its logs are left in `folder`."""
    (folder / "script.toml").write_text(script)
    with pytest.MonkeyPatch.context() as patch:
        # private_stack sets it for good; the tests after this one must not inherit it.
        patch.setenv(CONFIG_VARIABLE, "set by the stack")
        with private_stack(changes, workers=workers, script=folder / "script.toml") as stack:
            try:
                yield Scene(stack, folder / "script.toml")
            finally:
                shutil.copytree(stack.settings.data / "logs", folder / "logs", dirs_exist_ok=True)
