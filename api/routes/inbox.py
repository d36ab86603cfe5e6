"""GET /v1/inbox: inbound texts with their consent changes and our replies, and all other consent changes."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from adapters.clickhouse.inbox import NEWEST, Line, Place, What, inbox
from api.services import Services, services
from api.web import cursor as cursors
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.numbers import number_of
from schemas.json import JsonObject
from schemas.times import iso_of

router = APIRouter(prefix="/v1", tags=["opt-outs"])
Shared = Annotated[Services, Depends(services)]
_MARK: Final = re.compile("[0-9a-f~.]{1,40}")


@router.get("/inbox")
async def lines(
    shared: Shared,
    what: Annotated[What, Query(description="Texts by intent, or consent changes without a text.")] = "",
    number: Annotated[str, Query(max_length=40, description="Only this number.")] = "",
    size: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=200, description="`next` of the page before.")] = "",
) -> JsonObject:
    """Newest first, as ClickHouse has it, a second behind Kafka. `at` is when it came, `said` when it was
    sent, as others say. `change`: out, in, held or null; `hold` names what waits for a decision
    (`POST /v1/optouts/{number}/holds`); `answer` may be null. `number` is "" where the sender cannot be read:
    `person` has it as it came. `next` is the cursor of the lines that follow ("": none do): what comes in
    or is decided meanwhile repeats and loses nobody. A key that is bound to accounts gets their lines, which may be
    fewer than `size`."""
    who = caller()
    who.check_numbers("replies")
    wanted = number_of(number) if number.strip() else 0
    after = read_place(cursor) if cursor else NEWEST
    page, last = await asyncio.to_thread(inbox, shared.figures.store, what, wanted, after, size)
    following = "" if last is None else written_place(last)
    # What is for every account, or for none that we know, is not for a key that is bound to some.
    return {"lines": [_as_json(line) for line in page if who.sees(line.account)], "next": following}


def written_place(place: Place) -> str:
    """The cursor of a line."""
    return cursors.written(cursors.Place(place.at, f"{place.number}/{place.mark}"))


def read_place(cursor: str) -> Place:
    """The place of a cursor.

    Raises:
        ApiError: 422, it is none of this list.
    """
    try:
        at, rest = cursors.read(cursor)
        number, mark = rest.split("/")
        if not _MARK.fullmatch(mark) or len(number) > 15:
            raise ValueError(number)
        return Place(at, int(number), mark)
    except ValueError as error:
        message = cursors.NONE_OF_OURS
        raise ApiError(422, f"cursor: {message}", fields=[{"field": "cursor", "error": message}]) from error


def _as_json(line: Line) -> JsonObject:
    answer = line.answer
    return {
        "at": iso_of(line.at),
        "number": f"+{line.number}" if line.number else "",
        "person": line.person,
        "account": line.account,
        "intent": line.intent or None,
        "sender": line.sender,
        "id": line.id,
        "text": line.text,
        "said": iso_of(line.said),
        "notes": list(line.notes),
        "change": line.state,
        "hold": line.hold,
        "word": line.word,
        "rule": line.rule,
        "who": line.who,
        "source": line.source,
        "evidence": line.evidence,
        "answer": None if answer is None else {"kind": answer.kind, "text": answer.text, "at": iso_of(answer.at)},
    }
