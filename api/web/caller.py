"""Who asks: the name that goes with a command into the campaign's document and the log.

There is no log-in yet, so a name is what the caller says of itself (`Longwave-By`, which the command line sends), and
nothing is allowed because of it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.terminal import one_line

HEADER: Final = "longwave-by"
LONGEST: Final = 60
"""Characters of a name that are kept."""

_caller: ContextVar[str] = ContextVar("caller", default="api")


def caller() -> str:
    """Who sent the request that this task answers, for instance `maria (command line) from 10.1.2.3`."""
    return _caller.get()


class Caller:
    """ASGI middleware that notes who asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _caller.set(_described(scope))
        await self._app(scope, receive, send)


def _described(scope: Scope) -> str:
    headers = Headers(scope=scope)
    # Browsers send an Origin with whatever changes something, programs do not.
    kind = "page" if "origin" in headers else "api"
    who = one_line(headers.get(HEADER, ""))[:LONGEST].strip() or kind
    client = scope.get("client")
    return f"{who} from {client[0]}" if client else who
