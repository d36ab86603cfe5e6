"""What a process needs in order to work, and since when something of it is missing.

Two questions are asked of every process:

| GET | 200 | 503 |
|---|---|---|
| `/healthz` | it is alive: its event loop turns | it stands still: start it again |
| `/readyz` | it can do its work | the answer names what is not ready, and since when |

A server that hangs answers nothing at all, so a request must never wait for it. Each *probe* (Kafka, ClickHouse)
runs in a thread of its own, one call after the other with a pause between them, and a request only reads what the
probe said last. So requests never pile up behind a server, however many come. A probe that says nothing for
`OVERDUE_SECONDS` counts as a problem itself. A *look* reads the state of this process; it returns at once, so it is
asked for each request.

The texts are for strangers too (the ingress is public): they name no address, no user and no secret.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final, Literal

from adapters.clock import now_ms
from schemas import metrics
from schemas.times import iso

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""What is wrong with one part, in words for operators; "" if nothing is."""
Need = Literal["required", "optional"]
"""Without a `required` part the process is not ready; without an `optional` one it does only a part of its work."""

UP: Final = {"kafka": metrics.KAFKA_UP, "clickhouse": metrics.STORE_UP}
"""What a probe's name is in the metrics."""
PROBE_EVERY: Final = 2.0
"""Seconds between the end of a probe and the next one."""
LOOK_EVERY: Final = 1.0
"""Seconds between looks without a request, so that `since` is right."""
OVERDUE_SECONDS: Final = 10.0
"""A probe whose last answer is older hangs."""
STANDSTILL_SECONDS: Final = 5.0
"""An event loop that has not turned for so long is a problem."""
DEAD_SECONDS: Final = 60.0
"""An event loop that has not turned for so long never will: the process is to be started again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A part that is not ready. `since` in ms: when that was first seen."""

    part: str
    text: str
    since: int


class Part:
    """What one check said last."""

    def __init__(self, name: str, need: Need, check: Check) -> None:
        self.name = name
        self.need = need
        self._check = check
        self._text = "not checked yet"
        self._since = now_ms()
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Run the check and keep what it says. A check that raises says that it failed; its error is logged."""
        try:
            text = self._check()
        except Exception:
            log.exception("the health check of %s failed", self.name)
            text = "its check failed; see the log of this process"
        with self._lock:
            if text and not self._text:
                self._since = now_ms()
            self._text = text

    @property
    def problem(self) -> Problem | None:
        """What is wrong, None if nothing is."""
        with self._lock:
            return Problem(self.name, self._text, self._since) if self._text else None

    @property
    def text(self) -> str:
        """What is wrong, "" if nothing is."""
        problem = self.problem
        return "" if problem is None else problem.text

    @property
    def since(self) -> int:
        """Since when it is wrong (ms), 0 if nothing is."""
        problem = self.problem
        return 0 if problem is None else problem.since


class Probe(Part):
    """A check that may block for a few seconds, asked again and again in a thread of its own."""

    def __init__(self, name: str, need: Need, check: Check) -> None:
        super().__init__(name, need, check)
        self._stopping = threading.Event()
        self._answered = monotonic()
        self._answered_ms = now_ms()

    def start(self) -> None:
        # A daemon: a probe that hangs does not keep the process from ending.
        threading.Thread(target=self._run, name=f"probe-{self.name}", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    @property
    def problem(self) -> Problem | None:
        found = super().problem
        silent = monotonic() - self._answered
        if found is None and silent > OVERDUE_SECONDS:
            return Problem(self.name, f"no answer to a check for {silent:.0f} s", self._answered_ms)
        return found

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.ask()
            self._answered, self._answered_ms = monotonic(), now_ms()
            self._stopping.wait(PROBE_EVERY)


class Health:
    """The parts that a process consists of; `process` is its name in answers."""

    def __init__(self, process: str) -> None:
        self.process = process
        self._probes: list[Probe] = []
        self._looks: list[Part] = []
        self._stopping = threading.Event()
        self._turned = 0.0
        """When the event loop turned last (monotonic); 0 before it runs."""

    def probe(self, name: str, check: Check, need: Need = "required") -> Probe:
        """Have `check`, which may block for a few seconds, asked in a thread of its own from `start` on."""
        made = Probe(name, need, check)
        self._probes.append(made)
        return made

    def look(self, name: str, check: Check, need: Need = "required") -> None:
        """Have `check`, which returns at once and may be called in any thread, asked for each request."""
        self._looks.append(Part(name, need, check))

    def start(self) -> None:
        """Begin to check, and to export whether each server answers."""
        for probe in self._probes:
            probe.start()
            if probe.name in UP:
                UP[probe.name].set_function(partial(_is_up, probe))
        threading.Thread(target=self._look_on, name="health", daemon=True).start()

    def stop(self) -> None:
        """End the threads; one that hangs in a check ends with the process."""
        self._stopping.set()
        for probe in self._probes:
            probe.stop()

    async def follow_loop(self) -> None:
        """Note that the event loop turns, for as long as this task runs in it."""
        while True:
            self._turned = monotonic()
            await asyncio.sleep(LOOK_EVERY)

    @property
    def standstill(self) -> float:
        """Seconds for which the event loop has not turned; 0 before it is followed."""
        return max(0.0, monotonic() - self._turned - LOOK_EVERY) if self._turned else 0.0

    @property
    def is_alive(self) -> bool:
        """Whether this process may still come to do its work without being started again."""
        return self.standstill < DEAD_SECONDS

    def problems(self, need: Need) -> list[Problem]:
        """What is not ready now, in the order in which the parts were declared."""
        for look in self._looks:
            look.ask()
        parts = [part for part in (*self._probes, *self._looks) if part.need == need]
        found = [problem for part in parts if (problem := part.problem) is not None]
        if need == "required" and (seconds := self.standstill) > STANDSTILL_SECONDS:
            since = now_ms() - int(seconds * 1000)
            found.insert(0, Problem("event loop", f"this process has stood still for {seconds:.0f} s", since))
        return found

    @property
    def is_ready(self) -> bool:
        """Whether this process can do its work."""
        return not self.problems("required")

    def _look_on(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            for look in self._looks:
                look.ask()


def _is_up(probe: Probe) -> float:
    return float(probe.problem is None)


def alive_answer(health: Health) -> tuple[int, dict[str, Any]]:
    """Status and JSON of `/healthz`."""
    alive = health.is_alive
    return 200 if alive else 503, {"process": health.process, "alive": alive}


def ready_answer(health: Health) -> tuple[int, dict[str, Any]]:
    """Status and JSON of `/readyz`: `not_ready` and `limited` name the required and the optional parts that are not
    ready."""
    missing, limited = health.problems("required"), health.problems("optional")
    answer = {
        "process": health.process,
        "ready": not missing,
        "not_ready": [_as_json(problem) for problem in missing],
        "limited": [_as_json(problem) for problem in limited],
    }
    return 503 if missing else 200, answer


def _as_json(problem: Problem) -> dict[str, Any]:
    seconds = max(0, now_ms() - problem.since) // 1000
    return {"part": problem.part, "problem": problem.text, "since": iso(problem.since), "seconds": seconds}
