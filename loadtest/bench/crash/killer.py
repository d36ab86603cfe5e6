"""Carries out blows on a running stack."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from adapters import http
from devstack import children
from loadtest.bench.campaigns import wait_until
from loadtest.bench.crash.plan import Blow
from loadtest.bench.stack import Stack
from schemas import topics

STORM_SECONDS: Final = 3.0
"""Between the changes of a storm."""
READY_SECONDS: Final = 120.0
ASLEEP: Final = (1.0, 3.0)
"""By how much a stalled worker sleeps longer than its session lives (seconds, from and to)."""


@dataclass(slots=True)
class Struck:
    """A blow that was carried out: `at` in seconds since the epoch, the processes hit with their pids, and when the
    last death or awakening in its middle was, if one was."""

    kind: str
    at: float
    hit: dict[str, int] = field(default_factory=dict)
    death: float | None = None


def _signal(pid: int, number: int) -> None:
    """One that has ended by now, or was killed while it stood still, needs none."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Killer:
    """`coordinating()` gives the partition of `commands` that a running campaign's commands go through."""

    def __init__(self, stack: Stack, seed: int, coordinating: Callable[[], int]) -> None:
        self._stack = stack
        self._draw = random.Random(seed)
        self._coordinating = coordinating

    def strike(self, blow: Blow) -> Struck:
        """Returns when the blow is over, which is not when everything runs again."""
        struck = Struck(blow.kind, time.time())
        match blow.kind:
            case "worker":
                workers = self._workers()
                self._kill(struck, workers[int(blow.pick * len(workers))])
            case "coordinator":
                self._kill(struck, self._holder(topics.COMMANDS.name, self._coordinating()))
            case "broker":
                self._kill(struck, "kafka")
            case "writer" | "ingress" | "clickhouse":
                self._kill(struck, blow.kind)
            case "zombie":
                workers = self._workers()
                self._stall(struck, workers[int(blow.pick * len(workers))])
            case "everything":
                self._everything(struck)
            case "storm":
                self._storm(struck)
            case "overlap":
                self._overlap(struck, blow)
            case "rolling":
                self._rolling()
            case "scale":
                self._scale()
            case "restart":
                self._stack.down()
                self._stack.up()
            case _:
                raise ValueError(f"there is no blow {blow.kind!r}")
        return struck

    def recovered(self, struck: Struck) -> bool:
        """Whether every process of the stack is ready, those that were hit are new ones, and every worker has its
        partitions (one that was stalled never ended)."""
        entries = self._stack.entries()
        return (
            all(entry["state"] == "ready" for entry in entries.values())
            and all(entries[name]["pid"] != pid for name, pid in struck.hit.items())
            and self._work(self._workers())
        )

    def _work(self, workers: list[str]) -> bool:
        """Whether they do all that is assigned to them, their lanes included."""
        return all("longwave_worker_ready 1.0\n" in self._metrics(name) for name in workers)

    def _kill(self, struck: Struck, name: str) -> None:
        pid = struck.hit[name] = self._stack.entries()[name]["pid"]
        struck.at = time.time()
        os.kill(pid, signal.SIGKILL)

    def _stall(self, struck: Struck, name: str) -> None:
        pid = self._stack.entries()[name]["pid"]
        struck.at = time.time()
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(self._stack.settings.kafka.session_timeout + self._draw.uniform(*ASLEEP))
        finally:
            os.kill(pid, signal.SIGCONT)

    def _overlap(self, struck: Struck, blow: Blow) -> None:
        """Two blows, the second while the stack still gets over the first."""
        waking: list[threading.Timer] = []
        try:
            for number, what in enumerate(blow.pair):
                if number:
                    time.sleep(max(0.0, struck.at + blow.apart - time.time()))
                self._one_of_two(struck, what, (blow.pick + number / 2) % 1, waking)
                struck.death = time.time()
        finally:
            for timer in waking:
                timer.join()
        struck.death = time.time() if waking else struck.death

    def _one_of_two(self, struck: Struck, what: str, pick: float, waking: list[threading.Timer]) -> None:
        do, _, whom = what.partition(" ")
        name = "kafka" if whom == "broker" else self._workers()[int(pick * len(self._workers()))]
        pid = self._pid(name)
        if not struck.death:
            struck.at = time.time()
        if do == "kill":
            struck.hit[name] = pid
            _signal(pid, signal.SIGKILL)
            return
        _signal(pid, signal.SIGSTOP)
        seconds = self._stack.settings.kafka.session_timeout + self._draw.uniform(*ASLEEP)
        timer = threading.Timer(seconds, _signal, (pid, signal.SIGCONT))
        timer.start()
        waking.append(timer)

    def _pid(self, name: str) -> int:
        """Its pid, once it has one: a process that was just killed is started again a little later."""
        pids: list[int] = []

        def runs() -> bool:
            pid = self._stack.entries()[name]["pid"]
            pids[:] = [pid] if pid else []
            return bool(pids)

        wait_until(f"{name} runs", runs, READY_SECONDS)
        return pids[0]

    def _everything(self, struck: Struck) -> None:
        # The kernel kills the supervisor's children with it, all in the same instant.
        pid = self._stack.supervisor()
        struck.at = time.time()
        os.kill(pid, signal.SIGKILL)
        self._stack.up()

    def _rolling(self) -> None:
        for name in self._workers():
            pid = self._stack.entries()[name]["pid"]
            os.kill(pid, signal.SIGTERM)
            again = Struck("rolling", time.time(), {name: pid})
            wait_until(f"{name} is back", lambda: self.recovered(again), READY_SECONDS)  # noqa: B023

    def _scale(self) -> None:
        first = len(self._workers())
        with self._another(first), self._another(first + 1):
            names = [*self._workers(), f"worker-{first}", f"worker-{first + 1}"]
            wait_until(f"{names} work", lambda: self._work(names), READY_SECONDS)
            time.sleep(STORM_SECONDS)

    def _storm(self, struck: Struck) -> None:
        first = len(self._workers())
        with self._another(first) as first_stopped, self._another(first + 1) as other:
            self._until_joined(first, first + 1)
            first_stopped.terminate()
            time.sleep(STORM_SECONDS)
            other.kill()
            struck.death = time.time()
            time.sleep(STORM_SECONDS)
            with self._another(first + 2):
                self._until_joined(first + 2)

    def _until_joined(self, *indices: int) -> None:
        """A worker that is ended before it joined the group is no rebalance."""
        names = [f"worker-{index}" for index in indices]
        wait_until(f"{names} are in the group", lambda: all(map(self._joined, names)), READY_SECONDS)

    def _joined(self, worker: str) -> bool:
        """Whether it has partitions, or works: who joins last may be left without any."""
        has_some = re.search(r"^longwave_worker_assigned{.*} 1\.0$", self._metrics(worker), re.MULTILINE)
        return has_some is not None or self._work([worker])

    def _another(self, index: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """One worker more than the supervisor's, ended in good order."""
        log = self._stack.settings.data / "logs" / f"worker-{index}.log"
        return children.running("run", "worker", "--index", str(index), log=log)

    def _workers(self) -> list[str]:
        return sorted(name for name in self._stack.entries() if name.startswith("worker-"))

    def _holder(self, topic: str, partition: int) -> str:
        """The worker that has a partition now, or any worker where none has."""
        line = f'longwave_worker_assigned{{partition="{partition}",topic="{topic}"}} 1.0'
        workers = self._workers()
        return next((name for name in workers if line in self._metrics(name)), workers[0])

    def _metrics(self, worker: str) -> str:
        """A worker's metrics; "" where it does not answer."""
        port = self._stack.settings.metrics_port + int(worker.removeprefix("worker-"))
        return http.page(f"http://127.0.0.1:{port}/metrics", timeout=5)
