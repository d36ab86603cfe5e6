"""The port with metrics and health: its paths, slow clients, too many clients."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from adapters.doors.headers import SAFE_HEADERS
from adapters.errors import LongwaveError
from adapters.health import server
from adapters.health.state import Health
from tests.adapters.doors.serving import refusals
from tests.stack import free_ports


@pytest.fixture
def port() -> int:
    health = Health("writer")
    health.look("partitions", lambda: "its partitions are not assigned yet")
    (number,) = free_ports(1)
    server.serve(health, "127.0.0.1", number, ["metrics.internal.example"])
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


def raw(port: int, sent: bytes) -> bytes:
    """All that is answered until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(sent)
        said = b""
        while part := client.recv(65536):
            said += part
        return said


def asked(*headers: str, path: str = "/metrics") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.0", *headers, "", ""]).encode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (asked(), 200),
        (asked(path="/healthz"), 200),
        (asked(path="/readyz"), 503),
        (asked("Host: 127.0.0.1:18200"), 200),
        (asked("Host: 10.1.2.3:18200"), 200),
        (asked("Host: worker:18200"), 200),
        (asked("Host: metrics.internal.example"), 200),
        (asked("Host: evil.example"), 403),
        (asked("Host: evil.example", path="/readyz"), 403),
        (asked("Host: evil.example", "X-Forwarded-Host: localhost"), 403),
        (asked("Host: localhost", "X-Forwarded-Host: evil.example", "X-Forwarded-For: 8.8.8.8"), 200),
        (asked(path="/" + "a" * 65_530), 414),
        (asked(*(f"x-{index}: 1" for index in range(200))), 431),
        (asked("x: " + "a" * 65_540), 431),
        (b"GET / x HTTP/1.0\r\n\r\n", 400),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_names_and_heads_are_checked_and_every_answer_is_safe(port: int, sent: bytes, status: int) -> None:
    head = raw(port, sent).partition(b"\r\n\r\n")[0].decode()
    first, *lines = head.split("\r\n")
    assert first.split()[1] == str(status)
    named = dict(line.split(": ", 1) for line in lines)
    assert {name: named.get(name) for name in SAFE_HEADERS} == SAFE_HEADERS


def test_a_request_by_the_byte_is_ended(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 1.0)
    counted = refusals("slow", "metrics")
    ended = False
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for _ in range(100):
            try:
                client.sendall(b"x")
            except OSError:
                ended = True
                break
            time.sleep(0.1)
    assert (ended, counted()) == (True, 1)


def test_an_address_cannot_take_all_places(port: int) -> None:
    counted = refusals("connections_per_address", "metrics")
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(server.PER_ADDRESS + 3)]
    try:
        end = time.monotonic() + 4
        while counted() < 3 and time.monotonic() < end:
            time.sleep(0.05)
        assert counted() == 3
    finally:
        for item in silent:
            item.close()
