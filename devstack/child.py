"""One supervised process: started, watched, restarted with back-off, stopped; its log kept within a bound."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from adapters.clock import now_ms
from devstack import children
from devstack.plan import Process, log_of

LOG_BOUND = 16 * 1024 * 1024
"""Bytes of a log before it moves to NAME.log.1, which replaces the one before."""
_FIRST_PAUSE, _LONGEST_PAUSE, _STEADY = 0.2, 30.0, 5.0
"""Seconds: the back-off is for what cannot start. What was ready and lived `_STEADY` comes back at once."""


@dataclass(slots=True)
class Child:
    """A process of the plan and what became of it. Times are Unix milliseconds, exits negative for signals."""

    process: Process
    data: Path
    running: subprocess.Popen[bytes] | None = None
    ready: bool = False
    since: int = 0
    created: float = 0.0
    restarts: int = 0
    last_exit: int | None = None
    wanted: bool = False
    """It was started, so an end of it is a crash; before its turn and once it is to stop it stays away."""
    _pause: float = _FIRST_PAUSE
    _started: float = 0.0
    _due: float = 0.0

    @property
    def log(self) -> Path:
        return log_of(self.data, self.process.name)

    def start(self) -> None:
        """Start it now; its output is appended to its log."""
        self.wanted = True
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                children.command(*self.process.words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=children.environment(),
                process_group=0,  # the terminal's Ctrl-C is for the supervisor, which stops them in order
            )
        self.created = psutil.Process(self.running.pid).create_time()
        self.ready, self.since, self._started = False, now_ms(), time.monotonic()

    def tick(self) -> bool:
        """Notice an end, restart when its pause is over, notice readiness, bound the log. True when something
        changed."""
        self._bound_log()
        if self.running is None:
            if not self.wanted or time.monotonic() < self._due:
                return False
            self.restarts += 1
            self.start()
            return True
        if (code := self.running.poll()) is not None:
            self._ended(code)
            return True
        if not self.ready and self.process.ready():
            self.ready = True
            return True
        return False

    def terminate(self) -> None:
        """Ask it to end, for good."""
        self.wanted = False
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGTERM)

    def finish(self, deadline: float) -> None:
        """Wait until it has ended; kill it at `deadline` (monotonic seconds)."""
        if self.running is None:
            return
        try:
            self.running.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
        self.last_exit, self.running, self.ready = self.running.returncode, None, False

    def record(self) -> dict[str, Any]:
        """What supervisor.json says of it."""
        absent = "waiting to restart" if self.wanted else "stopped" if self.since else "to be started"
        state = absent if self.running is None else "ready" if self.ready else "starting"
        return {
            "name": self.process.name,
            "pid": self.running.pid if self.running else None,
            "created": self.created,
            "state": state,
            "since": self.since,
            "ports": [port.number for port in self.process.ports],
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "log": str(self.log),
        }

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        try:
            text = self.log.read_bytes()[-8192:].decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def _ended(self, code: int) -> None:
        if self.ready and time.monotonic() - self._started > _STEADY:
            self._pause = _FIRST_PAUSE
        self._due = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self.last_exit, self.running, self.ready, self.since = code, None, False, now_ms()

    def _bound_log(self) -> None:
        # The child appends (O_APPEND), so it goes on at the new end; a line written in between may be lost.
        if self.log.is_file() and self.log.stat().st_size > LOG_BOUND:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            with self.log.open("r+b") as log:
                log.truncate(0)
