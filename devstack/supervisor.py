"""The supervisor: starts the stack in order, keeps it running, stops it in reverse order."""

from __future__ import annotations

import time
from collections.abc import Callable

from adapters import http
from adapters.clock import now_ms
from adapters.settings import Settings
from adapters.terminal import UserError
from devstack import ports, ready, record
from devstack.child import Child
from devstack.plan import SERVERS, WORK, Process, clickhouse_url, elsewhere

_GIVE_UP_AFTER = 3
"""Exits of one process before it was ever ready, after which `up` fails."""
_START_TIMEOUT = 120.0
_TICK = 0.1


class Supervisor:
    """Runs `processes` on `settings.data`. One thread: `start`, then `tick` until it is time to `stop`.

    `report` gets one line per event.
    """

    def __init__(self, settings: Settings, processes: list[Process], report: Callable[[str], None]) -> None:
        self.settings = settings
        self.data = settings.data.absolute()
        self.children = [Child(process, self.data) for process in processes]
        self.state = "starting"
        self.report = report
        self._lock = record.Lock(self.data)
        self._started = now_ms()

    def start(self, stopping: Callable[[], bool] = lambda: False) -> float:
        """Start everything and wait until all is ready; gives the seconds. Ends early when `stopping()`.

        Raises:
            UserError: the data are in use, a port is taken, or something cannot start (with its last log lines).
                Nothing is left running then, except after KeyboardInterrupt: call `stop`.
        """
        begin = time.monotonic()
        self._lock.take()
        try:
            record.sweep(self.data)
            ports.check(port for child in self.children for port in child.process.ports)
            self._start_tier(SERVERS, SERVERS, stopping)
            if not stopping():
                self._prepare_servers()
                self._start_tier(SERVERS + 1, WORK, stopping)
        except Exception:
            self.stop()
            raise
        self.state = "ready"
        self._write()
        return time.monotonic() - begin

    def tick(self) -> None:
        """Restart what ended, notice what became ready, keep the record. Call about ten times a second."""
        changed = False
        for child in self.children:
            before = child.running
            if not child.tick():
                continue
            changed = True
            if before is not None and child.running is None:
                self.report(f"{child.process.name} ended with {exit_text(child.last_exit)}; see {child.log}")
            elif child.ready:
                self.report(f"{child.process.name} is ready (pid {child.running.pid if child.running else '-'})")
        if changed:
            self._write()

    def stop(self) -> None:
        """Stop everything, the highest tier first; SIGKILL after the grace period. Then let go of the data."""
        self.state = "stopping"
        self._write()
        for tier in range(WORK, SERVERS - 1, -1):
            members = [child for child in self.children if child.process.tier == tier and child.running]
            now = time.monotonic()
            for child in members:
                child.terminate()
            for child in members:
                child.finish(now + child.process.grace)
                self.report(f"{child.process.name} stopped with {exit_text(child.last_exit)}")
            self._write()
        record.remove(self.data)
        self._lock.release()

    def _start_tier(self, first: int, last: int, stopping: Callable[[], bool]) -> None:
        members = [child for child in self.children if first <= child.process.tier <= last]
        for child in members:
            child.start()
        self._write()
        deadline = time.monotonic() + _START_TIMEOUT
        while not stopping() and not all(child.ready for child in members):
            self.tick()
            for child in members:
                self._check_start(child, deadline)
            time.sleep(_TICK)

    def _check_start(self, child: Child, deadline: float) -> None:
        if child.ready:
            return
        if child.running is None and child.restarts + 1 >= _GIVE_UP_AFTER:
            problem = f"ended {_GIVE_UP_AFTER} times before it was ready, last with {exit_text(child.last_exit)}"
        elif time.monotonic() > deadline:
            problem = f"was not ready after {_START_TIMEOUT:.0f} s"
        else:
            return
        raise UserError(f"{child.process.name} {problem}. Its log ({child.log}) ends:\n{child.tail()}")

    def _prepare_servers(self) -> None:
        """Topics and tables, on whichever servers the settings name, ours or others'."""
        needed = {name for child in self.children for name in child.process.needs}
        others = elsewhere(self.settings)
        if "kafka" in needed:
            self._await("kafka", others, lambda: ready.kafka_answers(self.settings.kafka.bootstrap))
            from adapters.kafka import topics

            if made := topics.ensure(self.settings.kafka):
                self.report(f"made {len(made)} topics")
        if "clickhouse" in needed:
            self._await("clickhouse", others, lambda: http.answers(f"{clickhouse_url(self.settings)}/ping"))
            from adapters.clickhouse import migrate

            if files := migrate(self.settings):
                self.report(f"applied {len(files)} migrations")

    def _await(self, name: str, others: dict[str, str], answers: Callable[[], bool]) -> None:
        where = f" at {others[name]}" if name in others else ""
        try:
            ready.wait_for(name, answers, timeout=15)
        except UserError as error:
            raise UserError(f"{error}{where}: start it, or correct its address ({name}.* settings)") from error

    def _write(self) -> None:
        record.write(
            self.data,
            {
                **record.of_this_process(),
                "state": self.state,
                "started": self._started,
                "data": str(self.data),
                "processes": [child.record() for child in self.children],
            },
        )


def exit_text(code: int | None) -> str:
    """`exit 1`, `signal 9`, or `-` when it never ended."""
    if code is None:
        return "-"
    return f"signal {-code}" if code < 0 else f"exit {code}"
