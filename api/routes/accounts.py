"""Routes of accounts, their senders, and files of them. Every change is one command, and stands in the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse

from api import accounts as changing
from api.accounts import NotYet
from api.services import Services, services
from api.web.body import document_of
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.etag import tagged
from pipeline.accounts import diff
from pipeline.accounts.book import Account
from pipeline.accounts.file import Wanted, WrongFile, read_accounts
from pipeline.accounts.holding import waiting_of
from pipeline.accounts.placing import lanes_of
from schemas.accounts import (
    AccountCommand,
    AccountSpec,
    Change,
    PriceCommand,
    SenderDocument,
    SenderSpec,
    filled,
    sender_key,
    sender_spec,
)
from schemas.ids import NAME_PATTERN
from schemas.json import JsonObject
from schemas.times import iso

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])
Shared = Annotated[Services, Depends(services)]
AT_ONCE: Final = 32
"""Accounts of a file that are changed at the same time."""
Name = Annotated[str, Path(pattern=NAME_PATTERN)]
Suspend = Annotated[bool, Query(description="Suspend campaigns that need what is taken away, instead of refusing.")]
Size = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str, Query(max_length=64, description="`next` of the page before.")]


@router.get("")
async def accounts(shared: Shared, size: Size = 100, after: After = "") -> JsonObject:
    """The accounts that the key sees, by name. `next` is what `after` is for the following page ("": none)."""
    await shared.ready()
    who = caller()
    names = [name for name in shared.accounts.names() if name > after and who.sees(name)]
    shown = [account for name in names[:size] if (account := shared.accounts.account(name)) is not None]
    following = names[size - 1] if len(names) > size else ""
    return {"accounts": [_account_json(shared, account) for account in shown], "next": following}


@router.post("/apply")
async def apply(
    request: Request,
    shared: Shared,
    dry_run: Annotated[bool, Query(description="Only say what would change.")] = False,
    suspend: Suspend = False,
) -> JsonObject:
    """Apply a file (TOML or JSON) of accounts, senders and prices: what it does not name stays as it is. Applied
    again it changes nothing. `refused` says what was not changed, and why; all else was."""
    await shared.ready()
    try:
        document = await document_of(request)
        wanted = await asyncio.to_thread(read_accounts, document)  # a second for ten thousand senders
    except WrongFile as error:
        fields = [{"field": place, "error": what} for place, what in error.fields]
        raise ApiError(422, str(error), fields=fields) from error
    for name in wanted.accounts:
        caller().check_account(name)
        changing.check_money(name, shared.accounts.holding(name).account, wanted.accounts[name])
    if wanted.prices:
        caller().check_every_account("prices")
    differences = await asyncio.to_thread(diff.differences, wanted, shared.accounts)
    command, who, at = changing.author()
    author = diff.Author(who, at, command, suspend)
    if dry_run:
        refused, waiting = _previewed(shared, wanted, author), False
    else:
        refused, waiting = await _applied(shared, wanted, author)
    return {
        "dry_run": dry_run,
        "changes": [
            {
                "key": item.key,
                "what": item.what,
                "fields": {name: _shown(name, pair) for name, pair in item.fields.items()},
            }
            for item in differences
        ],
        "refused": [{"key": key, "error": error} for key, error in refused],
        "carried_out": not waiting,
    }


def _shown(name: str, pair: tuple[Any, Any]) -> list[Any]:
    """A field's value before and after, as the caller may see it."""
    if name != "alerts" or caller().may("numbers"):
        return list(pair)
    return [changing.without_numbers({name: value})[name] if value else value for value in pair]


def _previewed(shared: Services, wanted: Wanted, author: diff.Author) -> list[tuple[str, str]]:
    campaigns = shared.campaigns.all()
    refused = []
    # Account by account: each change must fit the campaigns of its own.
    for name in wanted.accounts:
        part = Wanted({name: wanted.accounts[name]}, {name: wanted.senders[name]}, wanted.prices)
        world = shared.world(waiting_of(name, campaigns))
        refused += [item for item in diff.preview(part, shared.accounts, author, world) if item[0] == name]
    prices = Wanted(prices=wanted.prices)
    return [*diff.preview(prices, shared.accounts, author, shared.world()), *refused]


async def _applied(shared: Services, wanted: Wanted, author: diff.Author) -> tuple[list[tuple[str, str]], bool]:
    """What was refused, and whether any command still waits for a worker."""
    by_subject: dict[str, list[diff.AnyCommand]] = {}
    for command in await asyncio.to_thread(lambda: list(diff.commands(wanted, shared.accounts, author))):
        by_subject.setdefault(changing.subject_of(command), []).append(command)
    places = asyncio.Semaphore(AT_ONCE)

    async def carried_out(subject: str, commands: Sequence[diff.AnyCommand]) -> _Outcome:
        async with places:
            outcome = _Outcome()
            for command in commands:
                await _carry_out(shared, subject, command, outcome)
            return outcome

    prices = [item for item in by_subject.items() if isinstance(item[1][0], PriceCommand)]
    accounts = [item for item in by_subject.items() if not isinstance(item[1][0], PriceCommand)]
    # Prices first: accounts name them. Accounts know nothing of each other.
    outcomes = [await carried_out(*item) for item in prices]
    outcomes += await asyncio.gather(*(carried_out(*item) for item in accounts))
    return [item for outcome in outcomes for item in outcome.refused], any(outcome.waits for outcome in outcomes)


@dataclass(slots=True)
class _Outcome:
    refused: list[tuple[str, str]] = field(default_factory=list)
    waits: bool = False


async def _carry_out(shared: Services, subject: str, command: diff.AnyCommand, outcome: _Outcome) -> None:
    before = changing.specs_before(shared, command)
    try:
        verdict = await changing.carry_out(shared, command)
    except ApiError as error:
        outcome.refused.append((subject, str(error)))
    except NotYet:
        outcome.waits = True
    else:
        if verdict == "done":
            changing.note_command(command, before)


@router.get("/{account}")
async def show(account: Name, shared: Shared) -> JSONResponse:
    """An account; its ETag names this state of it. Phone numbers of `alerts` are masked without the scope numbers."""
    known = await find_account(shared, account)
    return tagged(_account_json(shared, known), known.document.revision)


@router.put("/{account}")
async def put(
    account: Name, spec: AccountSpec, request: Request, shared: Shared, suspend: Suspend = False
) -> JSONResponse:
    """Make or replace an account. With `If-Match` only if it is still as that ETag says, with `If-None-Match: *` only
    if there is none (412)."""
    return await _changed(shared, request, account, "", spec, suspend)


@router.delete("/{account}")
async def remove(account: Name, request: Request, shared: Shared, suspend: Suspend = False) -> JSONResponse:
    """Remove an account with its senders; refused (409) while campaigns wait on it, unless they are suspended."""
    return await _changed(shared, request, account, "", None, suspend)


@router.get("/{account}/senders")
async def senders(account: Name, shared: Shared, size: Size = 100, after: After = "") -> JsonObject:
    """The senders of an account, by name."""
    await find_account(shared, account)
    known = shared.accounts.senders(account)
    names = sorted(name for name in known if name > after)
    following = names[size - 1] if len(names) > size else ""
    return {"senders": [_sender_json(shared, known[name]) for name in names[:size]], "next": following}


@router.get("/{account}/senders/{sender}")
async def show_sender(account: Name, sender: Name, shared: Shared) -> JSONResponse:
    """A sender; its ETag names this state of it."""
    await find_account(shared, account)
    known = shared.accounts.sender(account, sender)
    if known is None:
        raise ApiError(404, f"account {account!r} has no sender {sender!r}; see `longwave senders list`")
    return tagged(_sender_json(shared, known), known.revision)


@router.put("/{account}/senders/{sender}")
async def put_sender(
    account: Name, sender: Name, spec: SenderSpec, request: Request, shared: Shared, suspend: Suspend = False
) -> JSONResponse:
    """Make or replace a sender (see PUT of an account)."""
    return await _changed(shared, request, account, sender, spec, suspend)


@router.delete("/{account}/senders/{sender}")
async def remove_sender(
    account: Name, sender: Name, request: Request, shared: Shared, suspend: Suspend = False
) -> JSONResponse:
    """Remove a sender; refused (409) while campaigns wait on it, unless they are suspended."""
    return await _changed(shared, request, account, sender, None, suspend)


async def _changed(
    shared: Services,
    request: Request,
    account: str,
    sender: str,
    spec: AccountSpec | SenderSpec | None,
    suspend: bool,
) -> JSONResponse:
    caller().check_account(account)
    await shared.ready()
    form = None if spec is None else diff.form_of(filled(spec) if isinstance(spec, SenderSpec) else spec)

    def make(seen: int | None) -> AccountCommand:
        command, who, at = changing.author()
        held = shared.accounts.holding(account)
        stored = held.senders.get(sender) if sender else held.account
        if isinstance(spec, AccountSpec):
            changing.check_money(account, held.account, spec)
        change = Change(sender=sender, spec=form, expected=changing.expected(seen, stored))
        return AccountCommand(id=command, account=account, at=at, by=who, changes=[change], suspend=suspend)

    place = f"/v1/accounts/{account}" + (f"/senders/{sender}" if sender else "")
    before = changing.spec_before(shared, account, sender)
    try:
        if await changing.persist(shared, request, make) == "done":
            changing.note(account, sender_key(account, sender) if sender else account, before, spec)
    except NotYet as waits:
        return changing.not_yet(waits.command, place)
    if spec is None:
        return JSONResponse({"id": sender_key(account, sender) if sender else account, "deleted": True})
    return await (show_sender(account, sender, shared) if sender else show(account, shared))


async def find_account(shared: Services, name: str) -> Account:
    """An account that the caller's key sees.

    Raises:
        ApiError: 404 there is none, 503 the accounts are not read yet.
    """
    await shared.ready()
    account = shared.accounts.account(name)
    if account is None or not caller().sees(name):
        raise ApiError(404, f"no account {name!r}; see `longwave accounts list`")
    return account


def _account_json(shared: Services, account: Account) -> JsonObject:
    document = account.document
    return {
        "account": account.name,
        "revision": document.revision,
        "spec": document.spec if caller().may("numbers") else changing.without_numbers(document.spec),
        "senders": len(shared.accounts.senders(account.name)),
        "created": iso(document.created),
        "updated": iso(document.updated),
        "by": document.by,
    }


def _sender_json(shared: Services, sender: SenderDocument) -> JsonObject:
    return {
        "account": sender.account,
        "sender": sender.sender,
        "revision": sender.revision,
        "spec": diff.form_of(sender_spec(sender)),
        "lanes": list(lanes_of(sender, shared.settings.kafka.lanes)),
        "created": iso(sender.created),
        "updated": iso(sender.updated),
        "by": sender.by,
    }
