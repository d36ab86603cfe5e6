"""Keys of the API: list, create, rotate, revoke."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from adapters.clock import now_ms
from api.services import Services, services
from api.web.caller import caller
from api.web.errors import ApiError
from pipeline.identity.api_keys import KEY_OCTETS, KeyText, covers, has_scope, hash_of, made, state
from schemas.ids import Name
from schemas.json import JsonObject
from schemas.keys import ApiKey, Scope
from schemas.times import iso_or_none

router = APIRouter(prefix="/v1/keys", tags=["keys"])
Shared = Annotated[Services, Depends(services)]
MOST = 10_000
"""Keys of an installation, revoked ones included."""
DAY_MS = 24 * 3600 * 1000


class KeyBody(BaseModel):
    """What a new key may do."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1, max_length=60)]
    """Who or what uses it."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    """`read`, `operate`, `admin` (each includes those before it), `numbers` (see phone numbers)."""
    accounts: Annotated[list[Name], Field(max_length=1000)] = []
    """The accounts that it is for; [] = every account."""
    expires_days: Annotated[float, Field(gt=0, le=3660)] | None = None
    """Days until it expires; null = it does not."""


class RotateBody(BaseModel):
    """How the old key ends."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: Annotated[float, Field(ge=0, le=720)] = 0.0
    """Hours for which the old key still holds."""


@router.get("")
async def keys(shared: Shared) -> JsonObject:
    """Every key that this one covers, the newest first, without secrets. `state`: active, expired or revoked."""
    who = caller()
    return {"keys": [_as_json(key) for key in shared.keys.view.all() if covers(who.key, key)]}


@router.post("", status_code=201)
async def create(body: KeyBody, shared: Shared) -> JsonObject:
    """Create a key. `secret` is the key itself: it is shown this once, and cannot be read again."""
    unknown = [account for account in body.accounts if shared.accounts.account(account) is None]
    if unknown:
        raise ApiError(422, f"accounts: there is no account {unknown[0]!r}; make it first")
    now = now_ms()
    expires = 0 if body.expires_days is None else now + round(body.expires_days * DAY_MS)
    text, fresh = _fresh(
        ApiKey(
            id="", name=body.name, hash="", scopes=body.scopes, accounts=body.accounts, created=now, expires=expires
        )
    )
    if not covers(caller().key, fresh):
        raise ApiError(403, "this key cannot make one that may do more than itself, or for other accounts")
    await _write(shared, fresh)
    return {**_as_json(fresh), "secret": str(text)}


@router.post("/{key}/rotate", status_code=201)
async def rotate(key: str, body: RotateBody, shared: Shared) -> JsonObject:
    """Replace a key by a new one that may do the same. The old one ends now, or after `overlap_hours`."""
    old = _known(shared, key)
    now = now_ms()
    if state(old, now) != "active":
        raise ApiError(409, f"key {key} is {state(old, now)}: create a new one")
    text, fresh = _fresh(replace(old, created=now, replaces=old.id))
    await _write(shared, fresh)
    if body.overlap_hours:
        ends = now + round(body.overlap_hours * 3_600_000)
        await _write(shared, replace(old, expires=min(old.expires or ends, ends)))
    else:
        await _write(shared, replace(old, revoked=now, revoked_by=str(caller())))
    return {**_as_json(fresh), "secret": str(text)}


@router.delete("/{key}")
async def revoke(key: str, shared: Shared) -> JsonObject:
    """Revoke a key: within a second it holds on no process anymore, and who is signed in with it is signed out."""
    old = _known(shared, key)
    if not old.revoked:
        _check_not_last(shared, old)
        await _write(shared, replace(old, revoked=now_ms(), revoked_by=str(caller())))
    return {"revoked": key}


def _known(shared: Services, key_id: str) -> ApiKey:
    key = shared.keys.view.get(key_id)
    if key is None or not covers(caller().key, key):
        raise ApiError(404, f"no key {key_id!r}; see `longwave keys list`")
    return key


def _check_not_last(shared: Services, key: ApiKey) -> None:
    now = now_ms()
    others = [
        other
        for other in shared.keys.view.all()
        if other.id != key.id and _rules(other) and not other.expires and state(other, now) == "active"
    ]
    if _rules(key) and not others:
        raise ApiError(
            409, "this is the last key that administers every account: create another without expiry, then revoke it"
        )


def _rules(key: ApiKey) -> bool:
    return has_scope(key, "admin") and not key.accounts


def _fresh(like: ApiKey) -> tuple[KeyText, ApiKey]:
    text = made(secrets.token_bytes(KEY_OCTETS))
    return text, replace(like, id=text.id, hash=hash_of(text), by=str(caller()))


async def _write(shared: Services, key: ApiKey) -> None:
    shared.check_kafka()
    # However many there are, a key can be revoked.
    if shared.keys.view.get(key.id) is None and len(shared.keys.view.all()) >= MOST:
        raise ApiError(409, f"there are {MOST:,} keys already, revoked ones included")
    await shared.keys.view.change(shared.producer, key)


def _as_json(key: ApiKey) -> JsonObject:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "accounts": list(key.accounts),
        "state": state(key, now_ms()),
        "created": iso_or_none(key.created),
        "by": key.by,
        "expires": iso_or_none(key.expires),
        "revoked": iso_or_none(key.revoked),
        "revoked_by": key.revoked_by,
        "replaces": key.replaces,
    }
