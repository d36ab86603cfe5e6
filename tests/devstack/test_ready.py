"""What comes back at once, and a process that is ended while it starts."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from devstack import children
from devstack.child import Child
from devstack.plan import WORK, Process
from tests.stack import environment


def child(data: Path, was_ready: bool) -> Child:
    """A process that was ready, or not, and has lived for a minute."""
    made = Child(Process("sleeper", ["--help"], [], lambda: was_ready, WORK), data)
    made.start()
    made._started = time.monotonic() - 60
    made._pause = 8.0
    made.ready = was_ready
    assert made.running is not None
    made.running.kill()
    made.running.wait()
    made.tick()
    return made


@pytest.mark.parametrize("was_ready", [True, False])
def test_the_back_off_is_for_what_cannot_start(was_ready: bool, tmp_path: Path) -> None:
    made = child(tmp_path, was_ready)
    pause = made._due - time.monotonic()
    assert pause < 0.5 if was_ready else pause > 5
    assert made._pause == (0.4 if was_ready else 16.0)


def test_a_sigterm_while_starting_ends_with_0(tmp_path: Path) -> None:
    # No Kafka is there: without the signal it would wait for one.
    variables = environment(tmp_path)
    env = {**children.environment(), **variables}
    with (tmp_path / "log").open("wb") as log:
        words = children.command("run", "worker", "--index", "0")
        started = subprocess.Popen(words, env=env, stdout=log, stderr=log)
    try:
        for _ in range(400):
            if catches_sigterm(started.pid):
                break
            time.sleep(0.02)
        started.send_signal(signal.SIGTERM)
        assert started.wait(120) == 0, (tmp_path / "log").read_text()
    finally:
        started.kill()
        started.wait()


def catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it, by Linux' own account."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
