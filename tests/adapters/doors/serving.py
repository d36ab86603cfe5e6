"""A server of ours around a small application, on a real socket of this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from adapters.doors import server as doors
from adapters.doors import settings
from schemas.metrics import SERVER_REFUSED


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how long the body is, whom it comes from and by which scheme; `/wait` first waits a second, `/long`
    answers 10 MB."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/wait":
        await asyncio.sleep(1)
    said = f"{size} {scope['client'][0]} {scope['scheme']}".encode()
    body = bytes(10_000_000) if scope["path"] == "/long" else said
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def of(**given: Any) -> settings.PublicListen:
    """Settings of a server; its port is not used."""
    return settings.PublicListen(**{"port": 1, "connections": 64, "connections_per_address": 32, **given})


@contextlib.asynccontextmanager
async def served(
    listen: settings.PublicListen | None = None, *, kind: type[doors.Server] = doors.Server, app: Any = echo
) -> AsyncIterator[int]:
    """Serve `app`; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = kind("api", app, listen or of(), lifespan="off", timeout_keep_alive=1, timeout_graceful_shutdown=1)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def said(port: int, *parts: bytes) -> bytes:
    """All that the server answers to what is sent on one connection, until it closes that."""
    async with connected(port) as (reader, writer):
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(reader.read(), 10)


def refusals(cause: str, server: str = "api") -> Callable[[], float]:
    """How often the server has refused for a cause since this was called."""
    counter = SERVER_REFUSED.labels(server, cause)
    before = counter._value.get()
    return lambda: float(counter._value.get() - before)
