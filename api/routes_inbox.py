"""GET /v1/inbox: what people wrote, what it changed, what we answered, and every other change of consent."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from adapters.clickhouse.inbox import Line, What, inbox
from api.numbers import number_of
from api.services import Services, services
from api.times import iso

router = APIRouter(prefix="/v1", tags=["opt-outs"])
Shared = Annotated[Services, Depends(services)]
LAST_PAGE = 100
"""Older ones are in the export of opt-outs, or found by number."""


@router.get("/inbox")
async def lines(
    shared: Shared,
    what: Annotated[What, Query(description="Texts by what they ask for, or changes that no text caused.")] = "",
    number: Annotated[str, Query(max_length=40, description="Of this number only.")] = "",
    page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Newest first, as ClickHouse has it, a second behind Kafka. `at` is when it came, `said` when it was
    sent, as others say. `change`: out, in, held or null; `hold` names what waits for a decision
    (`POST /v1/optouts/{number}/holds`); `answer` may be null. `number` is "" where the sender cannot be read:
    `person` has it as it came."""
    wanted = number_of(number) if number.strip() else 0
    found, older = await asyncio.to_thread(inbox, shared.figures.store, what, wanted, page, size)
    return {"lines": [_as_json(line) for line in found], "page": page, "older": older and page < LAST_PAGE}


def _as_json(line: Line) -> dict[str, Any]:
    answer = line.answer
    return {
        "at": iso(line.at),
        "number": f"+{line.number}" if line.number else "",
        "person": line.person,
        "account": line.account,
        "intent": line.intent or None,
        "sender": line.sender,
        "id": line.id,
        "text": line.text,
        "said": iso(line.said),
        "notes": list(line.notes),
        "change": line.state,
        "hold": line.hold,
        "word": line.word,
        "rule": line.rule,
        "who": line.who,
        "source": line.source,
        "evidence": line.evidence,
        "answer": None if answer is None else {"kind": answer.kind, "text": answer.text, "at": iso(answer.at)},
    }
