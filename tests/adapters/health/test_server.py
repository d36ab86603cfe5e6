"""The port with metrics and health: its paths, slow clients, too many clients."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from adapters.errors import LongwaveError
from adapters.health import server
from adapters.health.state import Health
from tests.stack import free_ports


@pytest.fixture
def port() -> int:
    health = Health("writer")
    health.look("partitions", lambda: "its partitions are not assigned yet")
    (number,) = free_ports(1)
    server.serve(health, "127.0.0.1", number)
    return number


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_its_paths(port: int) -> None:
    status, body = get(port, "/readyz")
    said: dict[str, Any] = json.loads(body)
    assert (status, said["ready"], said["not_ready"][0]["part"]) == (503, False, "partitions")
    assert get(port, "/healthz") == (200, '{"process":"writer","alive":true}')
    status, body = get(port, "/metrics")
    assert status == 200
    assert "# TYPE" in body


def test_clients_that_say_nothing_end_and_the_others_are_answered(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 1.0)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(server.CONNECTIONS + 10)]
    try:
        began = time.monotonic()
        while True:
            try:
                assert get(port, "/healthz")[0] == 200
                break
            except (OSError, urllib.error.URLError):
                assert time.monotonic() - began < 10, "silent clients keep the others out forever"
                time.sleep(0.1)
        for item in silent:
            item.settimeout(10)
            assert item.recv(100) == b"", "it was closed"
    finally:
        for item in silent:
            item.close()


def test_a_taken_port_is_an_error(port: int) -> None:
    with pytest.raises(LongwaveError, match="in use; stop who has the port, or set metrics_port"):
        server.serve(Health("writer"), "127.0.0.1", port)
