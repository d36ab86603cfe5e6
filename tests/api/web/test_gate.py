"""What no request gets past: foreign names and pages, bodies without end, heads and bodies by halves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from adapters.settings import Api
from api.ingress.http import Answer, send_answer
from api.web.deadlines import DeadlineProtocol
from api.web.gate import LARGEST, SAFE_HEADERS, Gate
from api.web.hosts import Hosts


@pytest.mark.parametrize(
    ("listen", "host", "ours"),
    [
        (Api(port=1), "127.0.0.1:18080", True),
        (Api(port=1), "localhost", True),
        (Api(port=1), "[::1]:18080", True),
        (Api(port=1), "evil.example", False),
        (Api(port=1), "127.0.0.1.evil.example", False),
        (Api(port=1), "", False),
        (Api(port=1), "[::1", False),
        (Api(port=1), "192.168.1.7", False),
        (Api(port=1, host="0.0.0.0"), "evil.example:18080", False),
        (Api(port=1, host="0.0.0.0"), "192.168.1.7:18080", True),
        (Api(port=1, host="0.0.0.0"), "0.0.0.0", True),
        (Api(port=1, host="0.0.0.0", public_url="https://sms.shop.example"), "SMS.shop.example", True),
        (Api(port=1, host="0.0.0.0", public_url="https://sms.shop.example"), "shop.example", False),
        (Api(port=1, host="0.0.0.0", hosts=("api",)), "api:18080", True),
        (Api(port=1, host="::"), "[2001:db8::1]:18080", True),
    ],
)
def test_only_our_own_names(listen: Api, host: str, ours: bool) -> None:
    assert Hosts(listen).is_ours(host) is ours


async def _echo(scope, receive, send):  # type: ignore[no-untyped-def]
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


async def ask(*parts: bytes, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer to a request with a body in `parts`."""
    named = {"host": "127.0.0.1:18080", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await Gate(_echo, Api(port=18080))({"type": "http", "method": method, "headers": raw}, receive, send)
    got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, b"".join(message["body"] for message in sent[1:])


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 200), ({"host": "evil.example"}, 403), ({"origin": "http://evil.example"}, 403)]
)
async def test_every_answer_is_unframed_and_refusals_too(headers: dict[str, str], status: int) -> None:
    answered, got, _ = await ask(**headers)
    assert answered == status
    assert {name: got[name.lower()] for name in SAFE_HEADERS} == SAFE_HEADERS


@pytest.mark.parametrize(
    "origin", ["null", "http://127.0.0.1:9", "http://127.0.0.1:18080.evil.example", "x", "http://["]
)
async def test_other_pages_change_nothing(origin: str) -> None:
    assert (await ask(origin=origin))[0] == 403
    assert (await ask(origin=origin, method="DELETE"))[0] == 403
    assert (await ask(origin="http://127.0.0.1:18080"))[0] == 200


async def test_bodies_are_bounded_whether_or_not_they_say_how_long_they_are() -> None:
    assert (await ask(b"x" * LARGEST))[2] == str(LARGEST).encode()
    for parts, headers in (([b"x" * 1_000_000] * 50, {}), ([b""], {"content_length": "50000000"})):
        status, _, body = await ask(*parts, **headers)
        assert status == 413
        assert b"longwave contacts import" in body


class Hasty(DeadlineProtocol):
    head_seconds = 0.3
    body_seconds = 0.5


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = Gate(_echo, Api(port=18080))
    server = uvicorn.Server(uvicorn.Config(app, http=Hasty, ws="none", lifespan="off", log_level="error"))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n"


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"POST / HT", b""),
        (HEAD, b""),
        (HEAD + b"\r\n", b"408"),
        (HEAD + b"\r\n12345", b"408"),
        (HEAD + b"\r\n1234567890" + HEAD + b"\r\n1", b"408"),
        (HEAD + b"\r\n1234567890" + b"GET", b"200 OK"),
    ],
)
async def test_half_a_request_is_given_up(sent: bytes, answered: bytes) -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        got = await asyncio.wait_for(reader.read(), 3)
        assert answered in got
        writer.close()


async def test_a_body_by_the_byte_is_given_up_and_whole_requests_are_not() -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(HEAD + b"\r\n1234567890")
            assert b"200 OK" in await reader.readuntil(b"\r\n0\r\n\r\n")
            await asyncio.sleep(0.4)
        writer.write(HEAD + b"\r\n")
        for _ in range(3):
            await asyncio.sleep(0.13)
            writer.write(b"1")
        assert b"408" in await asyncio.wait_for(reader.read(), 3)
        writer.close()


async def test_the_ingress_is_unframed_too() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await send_answer(send, Answer(200, b"x", {"Content-Type": "text/html"}))
    got = dict(sent[0]["headers"])
    assert got[b"x-frame-options"] == b"DENY"
    assert got[b"referrer-policy"] == b"no-referrer"
    assert got[b"content-type"] == b"text/html"
