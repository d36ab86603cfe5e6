"""What counts as ready, what comes back at once, and a process that is ended while it starts."""

from __future__ import annotations

import http.server
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.settings import Settings
from cli.stack import doctor
from devstack import children, in_force, ready
from devstack.child import Child
from devstack.plan import WORK, Process
from tests.stack import environment


class Metrics(http.server.BaseHTTPRequestHandler):
    """Serves what `text` says."""

    text = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("says", "is_ready"), [(b"1.0", True), (b"0.0", False)])
def test_a_worker_is_ready_when_it_has_its_partitions(url: str, says: bytes, is_ready: bool) -> None:
    Metrics.text = b"# TYPE longwave_worker_ready gauge\nlongwave_worker_ready " + says + b"\nlongwave_other 1.0\n"
    assert ready.works(url) is is_ready


def test_a_metric_is_read_by_its_whole_name(url: str) -> None:
    Metrics.text = b"# HELP longwave_lanes Lanes.\nlongwave_lanes_unowned 3.0\nlongwave_lanes 4.0\n"
    assert (ready.metric(url, "longwave_lanes"), ready.metric(url, "longwave_lanes_unowned")) == (4.0, 3.0)
    assert ready.metric(url, "longwave_worker_ready") is None
    assert ready.metric("http://127.0.0.1:9/metrics", "longwave_lanes") is None


@pytest.mark.parametrize(
    ("says", "fine", "found"),
    [
        (b"longwave_worker_ready 1.0\nlongwave_lanes_unowned 0.0\n", True, "owns its lanes"),
        (b"longwave_worker_ready 0.0\nlongwave_lanes_unowned 4.0\n", False, "4 lanes have no worker"),
        (b"longwave_worker_ready 0.0\nlongwave_lanes_unowned 0.0\n", False, "is not ready"),
    ],
)
def test_doctor_says_whether_a_worker_works_now(
    says: bytes, fine: bool, found: str, url: str, tmp_path: Path
) -> None:
    Metrics.text = says
    settings = Settings(data=tmp_path, metrics_port=urlsplit(url).port)
    in_force.leave(settings, "worker-0")
    (finding,) = doctor._workers(settings)
    assert (finding.what, finding.ok) == ("worker-0", fine)
    assert found in finding.found


def test_a_worker_that_does_not_answer_is_not_ready() -> None:
    assert not ready.works("http://127.0.0.1:9/metrics")


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
        assert started.wait(30) == 0, (tmp_path / "log").read_text()
    finally:
        started.kill()
        started.wait()


def catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it, by Linux' own account."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
