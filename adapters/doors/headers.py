"""The security headers of every answer, of the application as well as of what stands before it."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.doors.names import host_name
from adapters.doors.settings import LOOPBACK

SAFE_HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Nobody frames a page of ours, tricks anybody into opting out, guesses types, or learns tokens from addresses."""
HSTS: Final = "max-age=31536000"
"""A browser that was here by HTTPS comes by HTTPS for a year."""

_RAW: Final = tuple((name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items())
_RAW_HSTS: Final = (b"strict-transport-security", HSTS.encode())


class SafeHeaders:
    """ASGI middleware. `Strict-Transport-Security` where the connection, or a named proxy's, is HTTPS; not for this
    machine's own names, under which people run other servers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_secure, has_begun = scope.get("scheme") == "https", False

        async def safely(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                # ASGI's names are in lower case; `MutableHeaders` would take 10 µs of each answer.
                given = list(message.get("headers", ()))
                own = {name for name, _ in given}
                given += [header for header in _RAW if header[0] not in own]
                if is_secure and host_name(Headers(scope=scope).get("host", "")) not in LOOPBACK:
                    given.append(_RAW_HSTS)
                message["headers"] = given
            await send(message)

        try:
            await self._app(scope, receive, safely)
        except Exception:
            if not has_begun:  # uvicorn's own answer to a defect has no such headers
                await safely({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
                await safely({"type": "http.response.body", "body": b""})
            raise
