"""Routes of the domains of an account's links. A domain is part of its account: its ETag is the account's."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse

from api import accounts as changing
from api.accounts import NotYet
from api.services import Services, services
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.etag import tagged
from pipeline.accounts import diff
from pipeline.accounts.book import Account
from pipeline.accounts.domains import Pool, pools_of
from schemas.accounts import AccountCommand, AccountSpec, Change
from schemas.domains import LONGEST_DOMAIN, Domain, host_name
from schemas.ids import NAME_PATTERN
from schemas.json import JsonObject

router = APIRouter(prefix="/v1/accounts/{account}/domains", tags=["accounts"])
Shared = Annotated[Services, Depends(services)]
Name = Annotated[str, Path(pattern=NAME_PATTERN)]
HOST: Final = Path(min_length=1, max_length=4 * LONGEST_DOMAIN, description="A host name, like go.example.com.")
Host = Annotated[str, HOST]


@router.get("")
async def domains(account: Name, shared: Shared) -> JsonObject:
    """The domains of an account, with the messages that have carried each, and what is left of each kind (a kind
    that is not there uses the installation's address)."""
    known = await _account(shared, account)
    document = shared.accounts.domains(account)
    pools = pools_of(known.spec, document)
    return {
        "domains": [_domain_json(shared, known, name) for name in known.spec.domains],
        "pools": [_pool_json(pool) for pool in pools],
    }


@router.get("/{domain}")
async def show(account: Name, domain: Host, shared: Shared) -> JSONResponse:
    """A domain; its ETag names this state of its account."""
    known = await _account(shared, account)
    name = _host(domain)
    if name not in known.spec.domains:
        raise _no_domain(account, name)
    return tagged(_domain_json(shared, known, name), known.document.revision)


@router.put("/{domain}")
async def put(account: Name, domain: Host, spec: Domain, request: Request, shared: Shared) -> JSONResponse:
    """Add or change a domain. With `If-Match` only if its account is still as that ETag says, with `If-None-Match: *`
    only if the account does not have it (412)."""
    return await _changed(shared, request, account, _host(domain), spec)


@router.delete("/{domain}")
async def remove(account: Name, domain: Host, request: Request, shared: Shared) -> JSONResponse:
    """Take a domain away. Its links on phones go on working for as long as it leads here."""
    return await _changed(shared, request, account, _host(domain), None)


async def _changed(
    shared: Services, request: Request, account: str, domain: str, spec: Domain | None
) -> JSONResponse:
    caller().check_account(account)
    before: AccountSpec = (await _account(shared, account)).spec
    after = before

    def make(seen: int | None) -> AccountCommand:
        nonlocal before, after
        known = shared.accounts.account(account)
        if known is None:
            raise ApiError(404, f"account {account!r} was removed in the meantime")
        if seen == 0 and domain in known.spec.domains:
            raise ApiError(412, f"account {account!r} has the domain {domain!r} already")
        if spec is None and domain not in known.spec.domains:
            raise ApiError(
                404, f"account {account!r} has no domain {domain!r}; see `longwave domains list {account}`"
            )
        before = known.spec
        listed = {name: item for name, item in before.domains.items() if name != domain or spec is not None}
        after = before.model_copy(update={"domains": listed if spec is None else {**listed, domain: spec}})
        command, who, at = changing.author()
        revision = seen or known.document.revision
        change = Change(spec=diff.form_of(after), expected=revision)
        return AccountCommand(id=command, account=account, at=at, by=who, changes=[change])

    place = f"/v1/accounts/{account}/domains/{domain}"
    try:
        if await changing.persist(shared, request, make) == "done":
            changing.note(account, account, before, after)
    except NotYet as waits:
        return changing.not_yet(waits.command, place)
    if spec is None:
        return JSONResponse({"id": f"{account}/{domain}", "deleted": True})
    return await show(account, domain, shared)


async def _account(shared: Services, name: str) -> Account:
    await shared.ready()
    account = shared.accounts.account(name)
    if account is None or not caller().sees(name):
        raise ApiError(404, f"no account {name!r}; see `longwave accounts list`")
    return account


def _no_domain(account: str, domain: str) -> ApiError:
    return ApiError(404, f"account {account!r} has no domain {domain!r}; see `longwave domains list {account}`")


def _host(text: str) -> str:
    try:
        return host_name(text)
    except ValueError as error:
        raise ApiError(422, f"domain: {error}") from error


def _domain_json(shared: Services, account: Account, name: str) -> JsonObject:
    domain, document = account.spec.domains[name], shared.accounts.domains(account.name)
    used = 0 if document is None else document.used().get(name, 0)
    return {
        "account": account.name,
        "domain": name,
        "revision": account.document.revision,
        "spec": diff.form_of(domain),
        "used": used,
        "left": None if domain.messages is None else max(0, domain.messages - used),
    }


def _pool_json(pool: Pool) -> JsonObject:
    return {
        "kind": pool.kind,
        "limit": pool.limit,
        "used": pool.used,
        "left": pool.left,
        "nearly_used": pool.is_nearly_used,
    }
