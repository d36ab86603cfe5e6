"""Refuses what a foreign web page makes a browser ask of us: there is no log-in yet, so the browser of anybody
on this machine could be used against the API (cross-site requests, DNS rebinding)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.settings import Listen

_SAFE = {"GET", "HEAD", "OPTIONS"}
_WILDCARDS = {"0.0.0.0", "::", ""}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SameOrigin:
    """ASGI middleware: a request that changes something must come from our own page or from no page at all.

    Programs send no Origin and pass; browsers send one with every POST, PUT and DELETE.
    """

    def __init__(self, app: ASGIApp, listen: Listen) -> None:
        self._app = app
        self._listen = listen
        public = urlsplit(listen.url)
        self._hosts = _LOOPBACK | {listen.host, public.hostname or ""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._allowed(scope):
            text = (
                "refused: this request came from another site's page; use the page of Longwave, the CLI or a program"
            )
            await JSONResponse({"error": text, "fields": []}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # A foreign name that resolves to us makes a foreign page same-origin: so the name itself must be ours.
        if self._listen.host not in _WILDCARDS and urlsplit(f"//{host}").hostname not in self._hosts:
            return False
        origin = headers.get("origin")
        if scope["method"] in _SAFE or origin is None:
            return True
        found = urlsplit(origin)
        return found.netloc == host or origin == self._listen.url
