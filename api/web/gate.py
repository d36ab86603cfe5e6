"""The checks that every request passes first: host names, origins, body sizes.

The browser of somebody who is signed in could be used against the API: by pages of others (Origin), by names that
lead here (Host), in frames. Bodies are read whole here, so that no route can forget a bound.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.doors.settings import Api
from api.web.caller import READING
from api.web.hosts import Hosts

LARGEST: Final = 2_000_000
"""Bytes of a body; a campaign travels through Kafka whole. About 100,000 typed numbers; more belong in a list."""
DRAINED: Final = 64_000_000
"""Bytes of a body too large that are read and forgotten: who is cut off while sending never reads why."""


class Gate:
    """ASGI middleware. Programs send no Origin and pass; browsers send one with every POST, PUT and DELETE."""

    def __init__(self, app: ASGIApp, listen: Api) -> None:
        self._app = app
        self._hosts = Hosts(listen)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif scope["method"] in READING:
            await self._app(scope, receive, send)
        else:
            await self._with_body(scope, receive, send, headers)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if not self._hosts.is_ours(host):
            return _answer(403, f"refused: this server is not {host[:100]!r}; add the name to api.hosts if it is")
        origin = headers.get("origin")
        if method not in READING and origin is not None and not self._hosts.is_ours_origin(origin, host):
            return _answer(
                403,
                "refused: this request came from another site's page; use the page of Longwave, the CLI or a program",
            )
        return None

    async def _with_body(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        announced = headers.get("content-length", "")
        size = int(announced) if announced.isdecimal() else 0
        body = bytearray()
        total = 0
        more = size <= DRAINED
        while more and total <= DRAINED:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            part = message.get("body", b"")
            total += len(part)
            body += part if total <= LARGEST else b""
            more = message.get("more_body", False)
        if max(total, size) > LARGEST:
            refusal = _answer(413, _TOO_LONG)
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)


_TOO_LONG: Final = (
    f"the body is larger than {LARGEST:,} bytes: send fewer items at once; import long lists of numbers with "
    "`longwave contacts import FILE --list NAME` and name the list"
)


def _answer(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text, "fields": []}, status)
