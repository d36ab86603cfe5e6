"""Signing in and out of the page, and who is signed in."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from adapters.clock import now_ms
from api.services import Services, services
from api.web.audit import record
from api.web.caller import Caller, address_of, caller
from api.web.errors import ApiError
from api.web.guard import WRONG_KEY, locked
from api.web.sessions import COOKIE, LINK_SECONDS, Session
from schemas.json import JsonObject
from schemas.keys import ApiKey
from schemas.times import iso_or_none

router = APIRouter(prefix="/v1/session", tags=["keys"])
Shared = Annotated[Services, Depends(services)]


class SignIn(BaseModel):
    """A key, or the token of a sign-in link."""

    model_config = ConfigDict(extra="forbid")

    by: Literal["key", "link"] = "key"
    """Which of them it is."""
    secret: Annotated[SecretStr, Field(min_length=1, max_length=1000)]
    """The key, or the link's token."""


@router.post("")
async def sign_in(request: Request, body: SignIn, shared: Shared) -> Response:
    """Sign a browser in: the answer sets a cookie that JavaScript cannot read. What changes anything must carry
    `csrf` in the header `Longwave-Csrf`."""
    address = address_of(request.scope)
    if not await shared.is_unlocked():
        raise ApiError(503, f"the keys cannot be read yet: {shared.waiting_for()}")
    seconds = shared.allowance.seconds_locked(address)
    if seconds:
        return locked(seconds)
    secret = body.secret.get_secret_value()
    key = shared.keys.holder(secret) if body.by == "key" else shared.sessions.use_link(secret)
    if key is None:
        shared.allowance.wrong_key(address)
        record(shared, request.scope, None, 401)
        text = WRONG_KEY if body.by == "key" else "this sign-in link is used, too old, or none; ask for another"
        raise ApiError(401, text)
    cookie, session = shared.sessions.begin(key)
    record(shared, request.scope, Caller(key, "page", address), 200)
    answer = JSONResponse(_described(session.key, session))
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=shared.sessions.seconds,
        httponly=True,
        samesite="strict",
        secure=shared.sessions.secure or request.url.scheme == "https",
    )
    return answer


@router.get("")
async def current() -> JsonObject:
    """Whose key this request came with, what it may do, and for a browser its CSRF token."""
    who = caller()
    return _described(who.key, Session(who.key, who.csrf))


@router.delete("")
async def sign_out() -> Response:
    """Sign this browser out."""
    answer = JSONResponse({"signed_out": True})
    answer.delete_cookie(COOKIE)
    return answer


@router.post("/links", status_code=201)
async def link(shared: Shared) -> JsonObject:
    """Make a link that signs a browser in with the key of this request, once, within ten minutes."""
    token = shared.sessions.link(caller().key)
    url = f"{shared.settings.api.url}/#sign-in={token}"
    return {"url": url, "expires": iso_or_none(now_ms() + LINK_SECONDS * 1000)}


def _described(key: ApiKey, session: Session) -> JsonObject:
    return {
        "key": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "accounts": list(key.accounts),
        "expires": iso_or_none(key.expires),
        "csrf": session.csrf,
    }
