"""Routes of price lists."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse

from api import accounts as changing
from api.accounts import NotYet
from api.services import Services, services
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.etag import tagged
from pipeline.accounts import diff
from pipeline.accounts.book import DEFAULT_PRICES
from schemas.accounts import PriceCommand, PriceListSpec, prices_key
from schemas.ids import NAME_PATTERN
from schemas.json import JsonObject
from schemas.times import iso_or_none

router = APIRouter(prefix="/v1/prices", tags=["accounts"])
Shared = Annotated[Services, Depends(services)]
Name = Annotated[str, Path(pattern=NAME_PATTERN)]


@router.get("")
async def price_lists(shared: Shared) -> JsonObject:
    """The price lists that hold for accounts which the key sees."""
    await shared.ready()
    names = sorted({DEFAULT_PRICES, *shared.accounts.price_names()})
    return {"prices": [_json(shared, name) for name in names if _sees(shared, name)]}


@router.get("/{name}")
async def show(name: Name, shared: Shared) -> JSONResponse:
    """A price list; its ETag names this state of it. `default` is built in until it is made."""
    await shared.ready()
    if shared.accounts.price_spec(name) is None or not _sees(shared, name):
        raise ApiError(404, f"no price list {name!r}; see `longwave prices show`")
    document = shared.accounts.price_list(name)
    return tagged(_json(shared, name), 0 if document is None else document.revision)


@router.put("/{name}")
async def put(name: Name, spec: PriceListSpec, request: Request, shared: Shared) -> JSONResponse:
    """Make or replace a price list. With `If-Match` only if it is still as that ETag says (412)."""
    return await _changed(shared, request, name, spec)


@router.delete("/{name}")
async def remove(name: Name, request: Request, shared: Shared) -> JSONResponse:
    """Remove a price list; refused (409) while it is an account's. Without `default` the built-in prices hold."""
    return await _changed(shared, request, name, None)


async def _changed(shared: Services, request: Request, name: str, spec: PriceListSpec | None) -> JSONResponse:
    caller().check_every_account("prices")
    await shared.ready()
    form = None if spec is None else diff.form_of(spec)

    def make(seen: int | None) -> PriceCommand:
        command, who, at = changing.author()
        stored = shared.accounts.stored_prices(name)
        expected = changing.expected(seen, stored)
        return PriceCommand(id=command, name=name, at=at, by=who, spec=form, expected=expected)

    before = shared.accounts.price_spec(name)
    try:
        if await changing.persist(shared, request, make) == "done":
            changing.note("", prices_key(name), before, spec)
    except NotYet as waits:
        return changing.not_yet(waits.command, f"/v1/prices/{name}")
    if spec is None:
        return JSONResponse({"id": name, "deleted": True})
    return await show(name, shared)


def _sees(shared: Services, name: str) -> bool:
    who = caller()
    return not who.key.accounts or any(who.sees(account) for account in shared.accounts.using_prices(name))


def _json(shared: Services, name: str) -> JsonObject:
    document, spec = shared.accounts.price_list(name), shared.accounts.price_spec(name)
    return {
        "name": name,
        "revision": 0 if document is None else document.revision,
        "built_in": document is None,
        "prices": [] if spec is None else diff.form_of(spec)["prices"],
        "updated": None if document is None else iso_or_none(document.updated),
        "by": "" if document is None else document.by,
    }
