"""Metrics of the API's requests, as plain ASGI: a streamed answer (the live page's) passes through untouched."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.metrics import API_REQUESTS, API_SECONDS


class Measured:
    """Counts each request by its route's pattern, so that ids do not become labels."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()

        async def head(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = _route(scope)
                API_SECONDS.labels(route).observe(perf_counter() - started)
                API_REQUESTS.labels(route, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, head)


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return getattr(route, "path", None) or ("page" if scope["method"] in {"GET", "HEAD"} else "none")
