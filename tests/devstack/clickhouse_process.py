"""The endpoint as users run it: a process on a free port, with a directory of its own."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from adapters.settings import LOCAL_PASSWORDS

ROOT = Path(__file__).resolve().parents[2]


class Endpoint:
    """A running endpoint; with `file_limit`, no file of it may pass so many bytes, as if the disk were full."""

    def __init__(self, data: Path, *options: str, file_limit: int | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, "-m", "devstack.clickhouse", str(data), str(self.port), *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        if file_limit is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_limit, file_limit))
        self._data = data
        self._wait()

    def password(self, user: str = "default") -> str:
        return (self._data / LOCAL_PASSWORDS[user]).read_text().strip()

    def client(self, **given: Any) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, **{"password": self.password(), **given}
        )

    def http(
        self, body: bytes | None = None, headers: dict[str, str] | None = None, path: str = "/", **params: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One plain request of `default`: status, headers, body. A POST where there is a body."""
        if path == "/" and (body is not None or params):
            headers = {"X-ClickHouse-Key": self.password(), **(headers or {})}
        return self.raw(body, headers, path, **params)

    def raw(
        self, body: bytes | None = None, headers: dict[str, str] | None = None, path: str = "/", **params: str
    ) -> tuple[int, dict[str, str], bytes]:
        """As `http`, but nobody in particular."""
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(params)}"
        request = urllib.request.Request(url, body, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def _wait(self) -> None:
        for _ in range(300):
            try:
                if self.http(path="/ping")[2] == b"Ok.\n":
                    return
            except urllib.error.URLError:
                time.sleep(0.1)
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                raise AssertionError(self.process.stderr.read().decode())
        self.process.kill()
        raise AssertionError("the endpoint did not answer /ping in 30 s")


@contextmanager
def endpoint(data: Path, *options: str, file_limit: int | None = None) -> Iterator[Endpoint]:
    """An endpoint that is gone at the end, whatever the test did."""
    os.environ.pop("HTTP_PROXY", None)
    running = Endpoint(data, *options, file_limit=file_limit)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()
