"""The limits of connections, heads and slow clients, on raw sockets: each with its answer and its count."""

from __future__ import annotations

import asyncio
import socket

import pytest
from starlette.types import Receive, Scope, Send

from adapters.doors import protocol
from adapters.doors.headers import SAFE_HEADERS
from adapters.doors.protocol import HEAD_BYTES, HEADERS, URL_BYTES, DoorProtocol
from adapters.doors.server import Server
from tests.adapters.doors.serving import connected, of, refusals, said, served

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n"


class Hasty(Server):
    class protocol(DoorProtocol):
        head_seconds = 0.3
        body_seconds = 0.5
        read_seconds = 0.5


def head(size: int, count: int = 1) -> bytes:
    """A request with `count` headers of `size` bytes each, which the server is to close."""
    lines = b"".join(b"x-%03d: %s\r\n" % (index, b"a" * (size - 5)) for index in range(count))
    return b"GET / HTTP/1.1\r\nconnection: close\r\n" + lines + b"\r\n"


def url(size: int) -> bytes:
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "cause"),
    [
        (url(URL_BYTES), b"200 OK", ""),
        (url(URL_BYTES + 1), b"414 Request-URI Too Long", "url"),
        (url(500_000)[:-4], b"414", "url"),
        (head(10, HEADERS - 1), b"200 OK", ""),
        (head(10, HEADERS), b"431 Request Header Fields Too Large", "head"),
        (head(HEAD_BYTES - 100), b"200 OK", ""),
        (head(HEAD_BYTES + 1), b"431", "head"),
        (head(1000, 40), b"431", "head"),
        (head(900_000)[:-4], b"431", "head"),
        (b"\x16\x03\x01\x00\xc8\x01\x00", b"400 Bad Request", "no_http"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400", "no_http"),
    ],
)
async def test_a_head_has_limits(sent: bytes, status: bytes, cause: str) -> None:
    counted = refusals(cause or "head")
    async with served() as port:
        answer = await said(port, *(sent[start : start + 60_000] for start in range(0, len(sent), 60_000)))
    first, _, rest = answer.partition(b"\r\n")
    assert first.startswith(b"HTTP/1.1 " + status)
    assert counted() == (1 if cause else 0)
    named = dict(line.split(b": ", 1) for line in rest.partition(b"\r\n\r\n")[0].splitlines())
    assert {name: named[name.lower().encode()].decode() for name in SAFE_HEADERS} == SAFE_HEADERS


@pytest.mark.parametrize(
    ("sent", "answered", "cause"),
    [
        (b"", b"", ""),
        (b"\r\n", b"408", "slow_head"),
        (b"POST / HT", b"408", "slow_head"),
        (HEAD, b"408", "slow_head"),
        (HEAD + b"\r\n", b"408", "slow_body"),
        (HEAD + b"\r\n12345", b"408", "slow_body"),
        (HEAD + b"\r\n1234567890" + HEAD + b"\r\n1", b"408", "slow_body"),
        (HEAD + b"\r\n1234567890" + b"GET", b"200 OK", "slow_head"),
    ],
)
async def test_half_a_request_is_given_up(sent: bytes, answered: bytes, cause: str) -> None:
    counted = refusals(cause or "slow_head")
    async with served(kind=Hasty) as port:
        assert answered in await said(port, sent)
    assert counted() == (1 if cause else 0)


async def test_a_head_by_the_byte_is_given_up() -> None:
    async with served(kind=Hasty) as port, connected(port) as (reader, writer):

        async def drip() -> None:
            for byte in HEAD:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert b"408" in await asyncio.wait_for(reader.read(), 5)
        dripping.cancel()


async def test_a_body_by_the_byte_is_given_up_and_whole_requests_are_not() -> None:
    async with served(kind=Hasty) as port, connected(port) as (reader, writer):
        for _ in range(3):
            writer.write(HEAD + b"\r\n1234567890")
            assert b"200 OK" in await reader.readuntil(b"10 127.0.0.1 http")
            await asyncio.sleep(0.4)
        writer.write(HEAD + b"\r\n")
        for _ in range(3):
            await asyncio.sleep(0.13)
            writer.write(b"1")
        assert b"408" in await asyncio.wait_for(reader.read(), 5)


async def test_a_connection_that_is_idle_is_closed() -> None:
    async with served() as port, connected(port) as (reader, writer):
        writer.write(GET)
        answer = await asyncio.wait_for(reader.read(), 10)  # to the end of the connection
        assert answer.count(b"HTTP/1.1") == 1


async def test_who_does_not_read_the_answer_is_cut_off() -> None:
    counted = refusals("slow_reader")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with served(kind=Hasty) as port:
            await asyncio.to_thread(client.connect, ("127.0.0.1", port))
            client.sendall(b"GET /long HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for _ in range(100):
                if counted():
                    break
                await asyncio.sleep(0.1)
    assert counted() == 1


async def test_an_address_has_so_many_connections_and_gets_one_when_it_gives_one_back() -> None:
    counted = refusals("connections_per_address")
    async with served(of(connections_per_address=2)) as port, connected(port) as (first, _):
        async with connected(port) as (second, _):
            answer = await said(port, GET)
            assert answer.startswith(b"HTTP/1.1 429 Too Many Requests")
            assert b"retry-after: 2" in answer
            assert (await said(port)).startswith(b"HTTP/1.1 429"), "without a request too"
            assert counted() == 2
            assert not first.at_eof()
            assert not second.at_eof()
        await asyncio.sleep(0.1)
        assert b"200 OK" in await said(port, GET)


async def test_the_server_has_so_many_and_those_who_are_there_go_on() -> None:
    async with served(of(connections=16)) as port:
        own = [await asyncio.open_connection("127.0.0.1", port) for _ in range(16)]
        assert (await said(port, GET)).startswith(b"HTTP/1.1 503 Service Unavailable")
        for reader, writer in own:
            writer.write(GET)
            assert b"200 OK" in await reader.readuntil(b"0 127.0.0.1 http")
            writer.close()


async def test_who_was_refused_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never closes its end does not keep its place."""
    monkeypatch.setattr(protocol, "CLOSING_SECONDS", 0.2)
    async with served(of(connections_per_address=1)) as port, connected(port) as (reader, writer):
        writer.write(b"nonsense\r\n\r\n")
        assert b"400" in await asyncio.wait_for(reader.read(), 5)
        for _ in range(50):
            if b"200 OK" in (answer := await said(port, GET)):
                break
            await asyncio.sleep(0.1)
        assert b"200 OK" in answer


async def test_who_was_answered_early_gets_no_second_answer() -> None:
    """A body that nobody waits for, of a request that was answered before it."""
    async with served(kind=Hasty, app=_at_once) as port:
        answer = await said(port, HEAD + b"\r\n12345")
        assert answer.count(b"HTTP/1.1") == 1
        assert b"200 OK" in answer


async def _at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def test_a_refusal_does_not_come_in_place_of_another_answer() -> None:
    async with served(kind=Hasty) as port:
        answer = await said(port, b"GET /wait HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"nonsense\r\n\r\n")
        assert answer == b"", "it would be taken for the answer to the first request"
