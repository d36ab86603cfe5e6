"""Routes of opt-outs: who may not be written to, since when and why; and what was answered to people's texts."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from adapters.clickhouse.consents import COLUMNS, Consent, export, history, reply_figures
from adapters.clock import now_ms
from api.errors import ApiError
from api.numbers import number_of, refusal
from api.services import Services, services
from api.times import iso
from pipeline.numbering import Accepted, read
from schemas import topics
from schemas.feedback import OptOut
from schemas.wire import encode

router = APIRouter(prefix="/v1", tags=["opt-outs"])
Shared = Annotated[Services, Depends(services)]
MOST_NUMBERS = 10_000
"""In one request; more belong in a file: `longwave optouts import`."""


class OptOutsBody(BaseModel):
    """Numbers that opted out, and what is known about how."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    numbers: Annotated[list[str], Field(min_length=1, max_length=MOST_NUMBERS)]
    """With + and country code."""
    evidence: Annotated[str, Field(max_length=2000)] = ""
    """What the person said or did, kept for ever."""


class OptInBody(BaseModel):
    """Why a number may be written to again."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    evidence: Annotated[str, Field(min_length=1, max_length=2000)]
    """What the person agreed to, when and how: without it a number is not taken off."""


@router.post("/optouts")
async def add(body: OptOutsBody, shared: Shared) -> dict[str, Any]:
    """Record opt-outs: all or none. The answer comes when Kafka has acknowledged them; within a second no lane
    submits to these numbers any more, waiting messages included."""
    numbers, wrong = _numbers(body.numbers)
    if wrong:
        raise ApiError(422, f"nothing recorded: {wrong[0]['field']}: {wrong[0]['error']}", fields=wrong)
    await _record(shared, numbers, out=True, evidence=body.evidence)
    return {"recorded": len(set(numbers))}


@router.delete("/optouts/{number}")
async def remove(number: str, body: OptInBody, shared: Shared) -> dict[str, Any]:
    """Record that a number may be written to again."""
    await _record(shared, [number_of(number)], out=False, evidence=body.evidence)
    return {"recorded": 1}


@router.get("/optouts/export")
async def exported(
    shared: Shared, current: Annotated[bool, Query(description="Only who is opted out now.")] = False
) -> StreamingResponse:
    """Every consent change with its evidence, as CSV, in order of number and time."""
    pages = export(shared.figures.store, current=current)
    # The first page decides about the status: what fails later can only break the connection off.
    nothing: list[Consent] = []
    first = await asyncio.to_thread(next, pages, nothing)
    headers = {"Content-Disposition": 'attachment; filename="optouts.csv"'}
    return StreamingResponse(_csv(first, pages), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/optouts/{number}")
async def show(number: str, shared: Shared) -> dict[str, Any]:
    """Whether a number is opted out, and every change of it; as ClickHouse has it, a second behind Kafka."""
    digits = number_of(number)
    changes = await asyncio.to_thread(history, shared.figures.store, digits)
    return {
        "number": f"+{digits}",
        "opted_out": bool(changes) and changes[-1].out,
        "history": [_as_json(change) for change in changes],
    }


@router.get("/replies")
async def replies(shared: Shared) -> dict[str, Any]:
    """Answers to people's texts by sender: kinds, states, segments, what they cost in millionths of a credit."""
    found = await asyncio.to_thread(reply_figures, shared.figures.store)
    names = ("account", "sender", "targeted", "kinds", "states", "segments", "spent", "residual")
    return {"senders": [{name: getattr(one, name) for name in names} for one in found]}


async def _record(shared: Services, numbers: list[int], *, out: bool, evidence: str) -> None:
    if shared.kafka.problem:
        raise ApiError(503, f"{shared.kafka.waiting_for()}; nothing was recorded")
    now = now_ms()
    writes = [
        shared.producer.emit(
            topics.OPTOUTS.name,
            encode(OptOut(number=number, out=out, at=now, source="api", evidence=evidence)),
            key=str(number).encode(),
        )
        for number in dict.fromkeys(numbers)
    ]
    for result in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _numbers(texts: list[str]) -> tuple[list[int], list[dict[str, str]]]:
    numbers: list[int] = []
    wrong: list[dict[str, str]] = []
    for index, text in enumerate(texts):
        found = read(text, "")
        if isinstance(found, Accepted):
            numbers.append(found.number)
        else:
            wrong.append({"field": f"numbers.{index}", "error": f"{text[:40]!r}: {refusal(found)}"})
    return numbers, wrong


def _as_json(change: Consent) -> dict[str, Any]:
    return {"at": iso(change.at), "out": change.out, "source": change.source, "evidence": change.evidence}


def _csv(first: list[Consent], rest: Iterator[list[Consent]]) -> Iterator[bytes]:
    yield _written([COLUMNS])
    yield _written(_row(change) for change in first)
    for page in rest:
        yield _written(_row(change) for change in page)


def _row(change: Consent) -> tuple[str, ...]:
    evidence = change.evidence
    # A spreadsheet runs what begins like a formula, and evidence is what strangers wrote.
    if evidence[:1] in ("=", "+", "-", "@", "\t", "\r"):
        evidence = f"'{evidence}"
    return (f"+{change.number}", iso(change.at), "out" if change.out else "in", change.source, evidence)


def _written(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
