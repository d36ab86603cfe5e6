"""Who may ask: a program on this machine that knows a password of the data folder, and never a web page."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from adapters.doors.settings import LOOPBACK
from adapters.settings import READER
from devstack.clickhouse.errors import AUTHENTICATION_FAILED, ClickHouseError, refuse


def no_pages(host: str) -> Middleware:
    """Middleware: refuses what a browser was made to ask by a page, and names that are not this machine's."""
    ours = LOOPBACK | {host}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if urlsplit(f"//{request.headers.get('Host', '')}").hostname not in ours:
            return web.Response(status=403, text="refused: this endpoint has no such name\n")
        # Browsers send one or the other with whatever a page asks for; ClickHouse clients neither.
        if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
            return web.Response(status=403, text="refused: web pages may not ask this endpoint\n")
        answer = await handler(request)
        if not answer.prepared:
            answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    return check


class Users:
    """Passwords by user."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = dict(passwords)

    def identify(self, request: web.Request) -> str:
        """The user who asks, by header or URL as ClickHouse takes them.

        Raises:
            ClickHouseError: 516, name or password is missing or wrong.
        """
        user, password = _given(request)
        known = self._passwords.get(user, "")
        if not known or not hmac.compare_digest(known.encode(), password.encode()):
            raise _failed(user)
        return user

    @staticmethod
    def only_reads(user: str) -> bool:
        """Whether a user may change nothing."""
        return user == READER


def _given(request: web.Request) -> tuple[str, str]:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _failed("") from error
        return user or "default", password
    named = {**request.query, **_headers(request)}
    return named.get("user") or "default", named.get("password", "")


def _headers(request: web.Request) -> dict[str, str]:
    names = {"user": "X-ClickHouse-User", "password": "X-ClickHouse-Key"}
    return {key: request.headers[name] for key, name in names.items() if name in request.headers}


def _failed(user: str) -> ClickHouseError:
    reason = (
        f"{user[:40]}: Authentication failed: password is incorrect or missing. The passwords of "
        "this data folder are in its files password and reader-password"
    )
    return refuse(AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED", reason)
