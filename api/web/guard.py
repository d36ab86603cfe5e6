"""The lock of the API: a request under `/v1` comes with a key that may do what it asks for, or is refused here.

| route | key |
|---|---|
| the page's files, `/healthz`, `/readyz`, the description, signing in | none |
| GET | scope `read` |
| POST, PUT, DELETE | scope `operate`; a forecast, a sign-in link and signing out `read` |
| `/v1/keys`, `/v1/audit`, the secret of an account's webhooks | scope `admin` |
| changes of `/v1/accounts` and `/v1/prices`, a test of alerts | scope `admin` |

Which accounts, campaigns and numbers a key sees is decided in the routes (`api.web.caller`). A key comes as
`Authorization: Bearer …`, or in a browser as the session's cookie.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.web.audit import changes_begin, record
from api.web.caller import HEADER, READING, Caller, address_of, said, set_caller
from api.web.sessions import COOKIE, CSRF_HEADER
from schemas.keys import Scope as KeyScope

if TYPE_CHECKING:
    from api.services import Services

SIGN_IN: Final = "/v1/session"
_ADMIN: Final = re.compile(r"/v1/(keys|audit)(/.*)?|/v1/accounts/[^/]*/alerts/secret/?")
_ADMIN_CHANGES: Final = re.compile(r"/v1/(accounts|prices)(/.*)?")
_READS: Final = frozenset({("POST", "/v1/forecast"), ("DELETE", SIGN_IN), ("POST", "/v1/session/links")})
"""What changes nothing that others see."""
NO_KEY: Final = (
    "sign in: send a key as `Authorization: Bearer KEY`. The first one is in the file api-key of the data folder; "
    "`longwave keys create` makes others"
)
WRONG_KEY: Final = "this key is not known, has expired, or was revoked; ask an administrator for another"


class Guard:
    """ASGI middleware behind `gate.Gate`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        services: Services = scope["app"].state.services
        headers = Headers(scope=scope)
        if not await services.is_unlocked():
            await _not_yet(services)(scope, receive, send)
            return
        who = _identified(services, headers, address_of(scope))
        refusal = _refused(services, who, scope, headers) if isinstance(who, Caller) else who
        if not isinstance(who, Caller) or refusal is not None:
            assert isinstance(refusal, JSONResponse)
            record(services, scope, who if isinstance(who, Caller) else None, refusal.status_code)
            await refusal(scope, receive, send)
            return
        set_caller(who)
        changes = changes_begin()

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                record(services, scope, who, message["status"], changes)
            await send(message)

        await self._app(scope, receive, recording)


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no key."""
    return not path.startswith("/v1/") or (method == "POST" and path == SIGN_IN)


def needed(method: str, path: str) -> KeyScope:
    """The scope that a request needs."""
    if _ADMIN.fullmatch(path) or (method not in READING and _ADMIN_CHANGES.fullmatch(path)):
        return "admin"
    return "read" if method in READING or (method, path) in _READS else "operate"


def too_many(seconds: int, text: str) -> JSONResponse:
    """429 with Retry-After."""
    return JSONResponse({"error": text, "fields": []}, 429, {"Retry-After": str(seconds)})


def locked(seconds: int) -> JSONResponse:
    """What an address gets from which too many wrong keys came."""
    return too_many(seconds, f"too many wrong keys from this address: try again in {seconds} s")


def _not_yet(services: Services) -> JSONResponse:
    text = f"the keys cannot be read yet: {services.waiting_for()}"
    return JSONResponse({"error": text, "fields": []}, 503, {"Retry-After": "2"})


def _identified(services: Services, headers: Headers, address: str) -> Caller | JSONResponse:
    who = said(headers.get(HEADER, ""))
    kind, _, text = headers.get("authorization", "").partition(" ")
    if kind:
        seconds = services.allowance.seconds_locked(address)
        if seconds:
            return locked(seconds)
        key = services.keys.holder(text) if kind.lower() == "bearer" else None
        if key is None:
            services.allowance.wrong_key(address)
            return _unauthorized(WRONG_KEY)
        return Caller(key, who, address)
    session = services.sessions.read(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))
    return _unauthorized(NO_KEY) if session is None else Caller(session.key, who or "page", address, session.csrf)


def _unauthorized(text: str) -> JSONResponse:
    return JSONResponse({"error": text, "fields": []}, 401, {"WWW-Authenticate": 'Bearer realm="longwave"'})


def _refused(services: Services, who: Caller, scope: Scope, headers: Headers) -> JSONResponse | None:
    seconds = services.allowance.request(who.key.id)
    if seconds:
        return too_many(seconds, "too many requests with this key: slow down")
    method, path = scope["method"], scope["path"]
    wanted = needed(method, path)
    if not who.may(wanted):
        have = ", ".join(who.key.scopes)
        return _forbidden(f"this key may not do that: it needs the scope {wanted}, and has {have}")
    # As bytes: of text that is not ASCII `compare_digest` knows nothing.
    given = headers.get(CSRF_HEADER, "").encode()
    if who.csrf and method not in READING and not hmac.compare_digest(given, who.csrf.encode()):
        return _forbidden(f"the header {CSRF_HEADER} is missing or wrong; reload the page")
    return None


def _forbidden(text: str) -> JSONResponse:
    return JSONResponse({"error": text, "fields": []}, 403)
