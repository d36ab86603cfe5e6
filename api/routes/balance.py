"""Routes of an account's money: its balance, top-ups, statement and invoice. Money is decimal text, exact."""

from __future__ import annotations

import asyncio
import calendar
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from adapters.clickhouse import ledger as kept
from adapters.clock import now_ms
from api.csv_answer import csv_answer
from api.services import Services, services
from api.web.audit import note_change
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.idempotency import keyed
from api.web.pending import ANSWER_SECONDS, pending
from pipeline.ledger.periods import invoice as invoiced
from pipeline.ledger.periods import statement as lines_of
from schemas import topics
from schemas.accounts import SignedCredits, in_credits, micro
from schemas.campaign import Line
from schemas.ids import NAME_PATTERN
from schemas.json import JsonObject
from schemas.ledger import TopUp, TopUpCommand
from schemas.statement import Item
from schemas.times import iso
from schemas.wire import encode

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])
Shared = Annotated[Services, Depends(services)]
Name = Annotated[str, Path(pattern=NAME_PATTERN)]
MOST_DAYS: Final = 400
"""Of a statement."""
First = Annotated[date, Query(alias="from", description="First day, UTC.")]
Last = Annotated[date, Query(alias="to", description="Last day, UTC.")]
Month = Annotated[str, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="Such as 2026-11, UTC.")]
_STATEMENT: Final = (
    "at", "kind", "campaign", "name", "billing", "price", "messages", "segments", "amount", "balance", "reserved",
    "note", "by",
)  # fmt: skip
_INVOICE: Final = ("campaign", "name", "billing", "price", "messages", "segments", "amount")


class TopUpBody(BaseModel):
    """Credits to add."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    amount: SignedCredits
    """Best as text, for instance "250.00"; below zero it is a correction."""
    note: Annotated[Line, Field(max_length=200)] = ""
    """Why, for the statement: the number of an invoice, for instance."""


@router.get("/{account}/balance")
async def balance(account: Name, shared: Shared) -> JsonObject:
    """An account's balance now: what is available is neither spent nor reserved."""
    await _known(shared, account)
    return _balance_json(shared, account)


@router.post("/{account}/top-ups", status_code=201)
async def top_up(account: Name, body: TopUpBody, shared: Shared) -> JSONResponse:
    """Add credits to an account's balance; with an `Idempotency-Key` once, however often it is sent. A correction
    (below zero) that is more than what is available is refused (409). Only with a key for every account."""
    caller().check_every_account("top-ups")
    await _known(shared, account)
    amount = micro(body.amount)
    if not amount:
        raise ApiError(422, "amount: is 0, so nothing would change", fields=[{"field": "amount", "error": "is 0"}])
    key = keyed()
    command = TopUpCommand(
        id=uuid.uuid4().hex if key is None else key.top_up(),
        account=account,
        amount=amount,
        note=body.note,
        at=now_ms(),
        by=str(caller()),
    )
    shared.check_kafka("topped up")
    await shared.producer.emit(topics.LEDGER_COMMANDS.name, encode(command), key=account.encode())
    place = f"/v1/accounts/{account}/balance"
    try:
        made = await shared.ledger_view.top_up(account, command.id, ANSWER_SECONDS)
    except TimeoutError:
        return pending(place, command.id, "no worker answered", f"{place} for what became of it")
    _check(made, amount, shared, account)
    note_change(account, None, {f"top-up {made.id}": {"amount": in_credits(amount), "note": made.note}})
    return JSONResponse(_top_up_json(shared, made), 201, headers={"Location": place})


def _check(made: TopUp, amount: int, shared: Services, account: str) -> None:
    if made.amount != amount:
        raise ApiError(422, "Idempotency-Key: this key came with another amount before; nothing was changed")
    if made.refused == "below_zero":
        free = in_credits(shared.ledger.book(account).available)
        raise ApiError(409, f"amount: only {free} credits are available: the rest is spent or reserved for campaigns")
    if made.refused:
        raise ApiError(409, "amount: the top-ups of an account may sum up to 1,000,000,000,000 credits at most")


@router.get("/{account}/statement")
async def statement(
    account: Name,
    shared: Shared,
    first: First,
    last: Last,
    size: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0, le=10_000_000, description="`next` of the page before.")] = 0,
) -> JsonObject:
    """What changed an account's balance on days in UTC, both included: top-ups, and for each day and campaign what it
    spent and by how much its reservation changed. `opening` and `closing` are the balance before and after."""
    await _known(shared, account)
    begin, end = _span(first, last)
    items = await asyncio.to_thread(_items, shared, account, begin, end)
    sums = [(await asyncio.to_thread(kept.sums, shared.figures.store, account, at))[0] for at in (begin, end)]
    page = items[after : after + size]
    return {
        "account": account,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "opening": in_credits(sums[0]),
        "closing": in_credits(sums[1]),
        "items": [_item_json(shared, item) for item in page],
        "next": str(after + size) if len(items) > after + size else "",
    }


@router.get("/{account}/statement.csv")
async def statement_csv(account: Name, shared: Shared, first: First, last: Last) -> StreamingResponse:
    """The same as a file."""
    await _known(shared, account)
    items = await asyncio.to_thread(_items, shared, account, *_span(first, last))
    return await _csv(shared, f"statement-{account}-{first}-{last}.csv", _STATEMENT, items)


@router.get("/{account}/invoice.csv")
async def invoice_csv(account: Name, shared: Shared, month: Month) -> StreamingResponse:
    """What each campaign spent in a month (UTC), by price: the amounts sum up to what was accepted."""
    await _known(shared, account)
    year, number = (int(part) for part in month.split("-"))
    first = date(year, number, 1)
    span = _span(first, date(year, number, calendar.monthrange(year, number)[1]))
    snapshots = await asyncio.to_thread(kept.snapshots, shared.figures.store, account, *span)
    return await _csv(shared, f"invoice-{account}-{month}.csv", _INVOICE, invoiced(snapshots))


async def _csv(shared: Services, name: str, columns: Sequence[str], items: Sequence[Item]) -> StreamingResponse:
    def pages() -> Iterator[list[Item]]:
        yield list(items)

    def row(item: Item) -> list[object]:
        shown = _item_json(shared, item)
        return [shown[column] for column in columns]

    return await csv_answer(name, columns, pages(), row)


def _items(shared: Services, account: str, begin: int, end: int) -> list[Item]:
    store = shared.figures.store
    return lines_of(kept.snapshots(store, account, begin, end), kept.credited(store, account, begin, end))


def _span(first: date, last: date) -> tuple[int, int]:
    """Both days and those between, as [begin, end) in ms."""
    if not (2000 <= first.year <= 2099 and 2000 <= last.year <= 2099):
        raise ApiError(422, "from, to: a year from 2000 to 2099")
    if last < first or (last - first).days >= MOST_DAYS:
        raise ApiError(422, f"from, to: at most {MOST_DAYS} days, the first one first")
    return _instant(first), _instant(last + timedelta(days=1))


def _instant(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


async def _known(shared: Services, account: str) -> None:
    """
    Raises:
        ApiError: 404, there is no such account that the key sees; 503.
    """
    await shared.ready()
    exists = shared.accounts.account(account) is not None or account in shared.ledger.accounts()
    if not exists or not caller().sees(account):
        raise ApiError(404, f"no account {account!r}; see `longwave accounts list`")


def _balance_json(shared: Services, account: str) -> JsonObject:
    book, known = shared.ledger.book(account), shared.accounts.account(account)
    low = known.spec.low_balance if known else None
    return {
        "account": account,
        "billing": known.spec.billing if known else "invoice",
        "balance": in_credits(book.balance),
        "reserved": in_credits(book.reserved),
        "available": in_credits(book.available),
        "topped_up": in_credits(book.credited),
        "spent": in_credits(book.spent),
        "uncovered": in_credits(book.uncovered),
        "segments": book.segments,
        "low_balance": None if low is None else str(low),
        "waiting": [
            {"campaign": charge.campaign, "asked": in_credits(charge.asked), "missing": in_credits(charge.missing)}
            for charge in book.waiting
        ],
    }


def _top_up_json(shared: Services, made: TopUp) -> JsonObject:
    return {
        "id": made.id,
        "account": made.account,
        "amount": in_credits(made.amount),
        "note": made.note,
        "at": iso(made.at),
        "by": made.by,
        "balance": _balance_json(shared, made.account),
    }


def _item_json(shared: Services, item: Item) -> JsonObject:
    document = shared.campaigns.get(item.campaign) if item.campaign else None
    return {
        "at": iso(item.at),
        "kind": item.kind,
        "campaign": item.campaign,
        "name": _name_of(item, None if document is None else document.spec.get("name")),
        "billing": item.billing,
        "price": in_credits(item.price),
        "messages": item.messages,
        "segments": item.segments,
        "amount": in_credits(item.amount),
        "balance": in_credits(item.balance),
        "reserved": in_credits(item.reserved),
        "note": item.note,
        "by": item.who,
    }


def _name_of(item: Item, name: object) -> str:
    """What is not a campaign that people made is a sender's replies to their texts."""
    if not item.campaign:
        return ""
    return "replies" if name is None else str(name)
