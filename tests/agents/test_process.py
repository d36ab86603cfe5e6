"""Worker and writer as processes: SIGTERM with Kafka there, hanging, gone, and never met; and a Kafka client that
cannot go on."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from devstack import children
from tests.stack import Server, environment, free_ports, running

PATIENCE = 10.0
NOISE = re.compile(r"Traceback|\|FAIL\||Unclosed|never retrieved|was destroyed|exception was never")


@contextlib.contextmanager
def process(words: list[str], bootstrap: str, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    variables = environment(data, kafka_bootstrap=bootstrap, partitions=2, lanes=2)
    with running(["run", *words], variables, data) as child:
        yield child


def wait_for(text: str, data: Path, seconds: float = 60.0) -> None:
    deadline = monotonic() + seconds
    while text not in (data / "log").read_text():
        assert monotonic() < deadline, f"no {text!r} in {data / 'log'}"
        sleep(0.1)


def ends_cleanly(child: subprocess.Popen[bytes], data: Path) -> None:
    began = monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(3 * PATIENCE) == 0
    assert monotonic() - began < PATIENCE
    assert not NOISE.findall((data / "log").read_text())


@pytest.mark.parametrize("words", [["worker"], ["writer"]], ids=["worker", "writer"])
def test_sigterm_ends_a_process_cleanly(own_kafka: Server, tmp_path: Path, words: list[str]) -> None:
    with process(words, own_kafka.address, tmp_path) as child:
        wait_for("has started", tmp_path)
        ends_cleanly(child, tmp_path)


@pytest.mark.parametrize("what", ["worker", "writer"])
def test_a_fatal_error_ends_a_process_with_its_reason(own_kafka: Server, tmp_path: Path, what: str) -> None:
    """Tried again, it would stand still forever; whoever supervises it starts it again."""
    env = {
        **children.environment(),
        **environment(tmp_path, kafka_bootstrap=own_kafka.address, partitions=2, lanes=2),
    }
    words = [sys.executable, "-m", "tests.agents.breaking", what, os.fspath(tmp_path / "now")]
    with (tmp_path / "log").open("ab") as log:
        child = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for("has started", tmp_path)
        assert child.poll() is None
        (tmp_path / "now").touch()
        assert child.wait(2 * PATIENCE) == 1
    finally:
        child.kill()
        child.wait()
    said = (tmp_path / "log").read_text()
    assert "Kafka's client cannot go on (OUT_OF_ORDER_SEQUENCE_NUMBER" in said
    assert "it is when it is started again" in said


def test_sigterm_while_kafka_hangs(own_kafka: Server, tmp_path: Path) -> None:
    with process(["worker"], own_kafka.address, tmp_path) as child:
        wait_for("has started", tmp_path)
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            ends_cleanly(child, tmp_path)
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)


def test_sigterm_before_kafka_was_ever_met(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    with process(["worker"], nobody, tmp_path) as child:
        wait_for("waits for Kafka", tmp_path)
        sleep(2)
        ends_cleanly(child, tmp_path)


def test_sigterm_after_kafka_went_and_the_log_stays_readable(own_kafka: Server, tmp_path: Path) -> None:
    """The last of this file: the broker does not come back."""
    with process(["worker"], own_kafka.address, tmp_path) as child:
        wait_for("has started", tmp_path)
        before = len((tmp_path / "log").read_text().splitlines())
        os.kill(own_kafka.pid, signal.SIGKILL)
        sleep(6)
        lines = (tmp_path / "log").read_text().splitlines()[before:]
        assert lines
        assert len(lines) < 60, "\n".join(lines)
        ends_cleanly(child, tmp_path)
