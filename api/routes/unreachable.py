"""Routes of numbers that carriers cannot reach: the list, its export, and giving a number another chance."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from adapters.clickhouse.unreachable import Listed, all_listed, count, listed
from adapters.clock import now_ms
from api.csv_answer import csv_answer
from api.services import Services, services
from api.web.caller import caller
from api.web.numbers import number_of
from schemas import topics
from schemas.feedback import Unreachable
from schemas.json import JsonObject
from schemas.reasons import Reason, in_words
from schemas.times import iso_of
from schemas.wire import encode

router = APIRouter(prefix="/v1", tags=["unreachable"])
Shared = Annotated[Services, Depends(services)]
COLUMNS = ("number", "reason", "at", "retry_at", "account", "campaign")
MOST = 1000


@router.get("/unreachable")
async def numbers(
    shared: Shared,
    cursor: Annotated[
        str, Query(max_length=16, pattern=r"^(\+[0-9]{1,15})?$", description="`next` of the page before.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> JsonObject:
    """Numbers that campaigns skip as `unreachable`, in order, a page at a time: why, since when, said about which
    campaign's message, and when each is tried again (null: not by itself). `counts`: reason to numbers, of all.
    `next` is the cursor of those that follow ("": none do)."""
    _check_caller()
    store = shared.figures.store
    page = await asyncio.to_thread(listed, store, int(cursor.lstrip("+") or 0), limit)
    counts = await asyncio.to_thread(count, store)
    rows = [dict(zip(COLUMNS, _row(shared, row), strict=True)) for row in page]
    following = rows[-1]["number"] if len(page) == limit else ""
    return {"counts": counts, "numbers": rows, "next": following}


@router.get("/unreachable/export")
async def exported(shared: Shared) -> StreamingResponse:
    """Export all unreachable numbers as CSV."""
    _check_caller()
    header = (*COLUMNS, "meaning")
    return await csv_answer("unreachable.csv", header, all_listed(shared.figures.store), partial(_line, shared))


@router.delete("/unreachable/{number}")
async def clear(
    number: str, shared: Shared, who: Annotated[str, Query(max_length=100, description="Who decided.")] = ""
) -> JsonObject:
    """Let campaigns try a number again. Who is opted out at the carrier stays held: `POST
    /v1/optouts/{number}/holds` decides about that. Clearing a number that is not listed changes nothing."""
    caller().check_every_account("unreachable numbers")
    digits = number_of(number)
    shared.check_kafka("recorded")
    record = Unreachable(number=digits, state="cleared", at=now_ms(), by=who)
    await shared.producer.emit(topics.UNREACHABLE.name, encode(record), key=str(digits).encode())
    return {"cleared": f"+{digits}"}


def _check_caller() -> None:
    caller().check_every_account("unreachable numbers")
    caller().check_numbers("unreachable numbers")


def _row(shared: Services, row: Listed) -> tuple[str, str, str, str | None, str, str]:
    account = shared.accounts.account(row.account)
    days = 90 if account is None else account.spec.unreachable_retry_days
    retry = None if row.reason == Reason.OPTED_OUT_AT_CARRIER or not days else iso_of(row.at + timedelta(days=days))
    return f"+{row.number}", row.reason, iso_of(row.at) or "", retry, row.account, row.campaign


def _line(shared: Services, row: Listed) -> tuple[str | None, ...]:
    return (*_row(shared, row), in_words(row.reason))
