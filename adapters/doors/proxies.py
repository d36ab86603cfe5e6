"""Whom a request comes from: the connection says it, or a proxy that the settings name.

`X-Forwarded-For` and `X-Forwarded-Proto` of anybody else, and `X-Forwarded-Host` of everybody, mean nothing.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from adapters.doors.names import group_of, is_address

_PEER: Final = "longwave.peer"


class Networks:
    """Addresses and networks."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


class Forwarded:
    """ASGI middleware: a request that comes from a named proxy has the address and scheme that the proxy says."""

    def __init__(self, app: ASGIApp, proxies: Iterable[str]) -> None:
        self._app = app
        self._reading: Any = ProxyHeadersMiddleware(self._checked, list(proxies))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_PEER] = scope.get("client")
        await self._reading(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        # What a proxy passes on may be any text; it would be counted by, and written to the audit log.
        if client and not is_address(client[0]):
            scope["client"] = scope[_PEER]
        await self._app(scope, receive, send)


class PerAddress:
    """ASGI middleware behind `Forwarded`: bounds the requests at a time of each address. `refused` is called for each
    that is answered 429."""

    def __init__(self, app: ASGIApp, most: int, proxies: Networks, refused: Callable[[], None]) -> None:
        self._app = app
        self._most = most
        self._proxies = proxies
        self._refused = refused
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        address = client[0] if client else ""
        # A proxy that does not say whom it asks for would be refused for all of them.
        if scope["type"] != "http" or not address or address in self._proxies:
            await self._app(scope, receive, send)
            return
        group = group_of(address)
        if self._running[group] >= self._most:
            self._refused()
            await _answer_too_many(send)
            return
        self._running[group] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running[group] -= 1
            if not self._running[group]:
                del self._running[group]


async def _answer_too_many(send: Send) -> None:
    body = orjson.dumps({"error": "too many requests at a time from this address: try again", "fields": []})
    headers = {"content-type": "application/json", "content-length": str(len(body)), "retry-after": "1"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 429, "headers": raw})
    await send({"type": "http.response.body", "body": body})
