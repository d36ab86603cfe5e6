"""The part of HTTP that the ingress needs over raw ASGI: a request with a bounded body, an answer, and refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_LIMIT: Final = 4_000_000
"""Bytes of a callback at most."""

RETRY_AFTER_SECONDS: Final = 1


class Refused(Exception):
    """A request that is answered with an error: `status`, and text that says what is wrong and where."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class Gone(Exception):
    """The client went away before its request was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    return Answer(status, orjson.dumps(content), {"Content-Type": "application/json"} | (headers or {}))


def header(scope: Scope, name: str) -> str | None:
    """The first header of that name, None without one."""
    wanted = name.lower().encode("ascii")
    for key, value in scope["headers"]:
        if key == wanted:
            return str(value, "latin-1")
    return None


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body.

    Raises:
        Refused: 413, it is longer than `BODY_LIMIT`; said before reading where the length is announced.
        Gone: the client went away.
    """
    too_long = Refused(413, f"a body has at most {BODY_LIMIT} bytes: send fewer items at once")
    announced = header(scope, "content-length")
    if announced is not None and announced.isdecimal() and int(announced) > BODY_LIMIT:
        raise too_long
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Gone
        part = event.get("body", b"")
        size += len(part)
        if size > BODY_LIMIT:
            raise too_long
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send an answer whole."""
    headers = {"Content-Length": str(len(answer.body))} | answer.headers
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})
