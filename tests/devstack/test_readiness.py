"""What processes say of themselves, as `status` and `doctor` read it, whatever answers at their port."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from cli.stack import processes
from devstack import readiness, ready, record
from devstack.readiness import SILENT, Readiness

PROBLEM = {
    "part": "lanes",
    "problem": "lane 2 is without a worker",
    "since": "2026-11-27T04:00:00.000Z",
    "seconds": 3,
}


class Says(http.server.BaseHTTPRequestHandler):
    """Answers with `status` and `body`."""

    status = 200
    body = b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/readyz"
    server.shutdown()
    server.server_close()


def says(status: int, body: object) -> None:
    Says.status, Says.body = status, body if isinstance(body, bytes) else orjson.dumps(body)


def test_a_process_that_is_ready(url: str) -> None:
    says(200, {"ready": True, "not_ready": [], "limited": [PROBLEM]})
    assert readiness.read(url) == Readiness(ready=True, limited=[PROBLEM])
    assert ready.says_ready(url)


def test_a_process_that_is_not_ready_says_why(url: str) -> None:
    says(503, {"ready": False, "not_ready": [PROBLEM], "limited": []})
    assert readiness.read(url) == Readiness(ready=False, not_ready=[PROBLEM])
    assert not ready.says_ready(url)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"ready": true}', b'{"ready": true, "not_ready": 7}'])
def test_whatever_else_answers_there_is_not_ours(url: str, body: bytes) -> None:
    says(200, body)
    assert readiness.read(url) == SILENT


def test_nobody_answers() -> None:
    assert readiness.read("http://127.0.0.1:9/readyz") == SILENT
    assert not ready.says_ready("http://127.0.0.1:9/readyz")


def test_findings_say_what_to_do(tmp_path: Path) -> None:
    me = {"name": "worker-0", "state": "not ready", "log": str(tmp_path / "w.log"), **record.of_this_process()}
    gone = {"name": "kafka", "state": "waiting to restart", "log": "k.log", "pid": None, "created": 0.0}
    said = {"worker-0": Readiness(ready=False, not_ready=[PROBLEM]), "kafka": SILENT}
    kafka, worker = processes.examine([me, gone], said, tmp_path)
    assert (kafka.what, kafka.detail) == ("kafka", "does not run: waiting to restart"), "servers come first"
    assert (worker.what, worker.detail) == ("worker-0", "lane 2 is without a worker (since 2026-11-27 04:00:00Z)")
    assert worker.fix == processes.FIXES["lanes"]
    (well,) = processes.examine([me], {"worker-0": Readiness(ready=True)}, tmp_path)
    assert (well.ok, well.fix) == (True, "")


def test_a_process_that_hangs_delays_nobody(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    def hang(_: Says) -> None:
        time.sleep(6)

    monkeypatch.setattr(Says, "do_GET", hang)
    began = time.monotonic()
    assert readiness.read(url) == SILENT
    assert time.monotonic() - began < 4
