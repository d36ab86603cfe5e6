"""GET /v1/audit: who did what through the API."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from msgspec.structs import asdict

from adapters.clickhouse.audit import audit_lines
from api.services import Services, services
from api.web import cursor as cursors
from api.web.caller import caller
from api.web.errors import ApiError
from schemas.audit import AuditEntry
from schemas.json import JsonObject
from schemas.times import iso

router = APIRouter(prefix="/v1", tags=["keys"])
Shared = Annotated[Services, Depends(services)]
_NEWEST: Final = cursors.Place(253402300799999, "")


@router.get("/audit")
async def audit(
    shared: Shared,
    key: Annotated[str, Query(max_length=8, description="Only what was done with the key of this id.")] = "",
    campaign: Annotated[str, Query(max_length=8, description="Only what was done to this campaign.")] = "",
    size: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(max_length=100, description="`next` of the page before.")] = "",
) -> JsonObject:
    """Changes, exports and refused keys, the newest first; as ClickHouse has it, a second behind Kafka. A key that is
    bound to accounts sees what was done to their campaigns. `next` is the cursor of what follows ("": nothing
    does)."""
    try:
        before = cursors.read(cursor) if cursor else _NEWEST
    except ValueError as error:
        raise ApiError(422, f"cursor: {error}", fields=[{"field": "cursor", "error": str(error)}]) from error
    entries = await asyncio.to_thread(
        audit_lines, shared.figures.store, before, size, key=key, campaign=campaign, accounts=caller().key.accounts
    )  # fmt: skip
    last = entries[-1] if len(entries) == size else None
    return {
        "entries": [_as_json(entry) for entry in entries],
        "next": "" if last is None else cursors.written(cursors.Place(last.at, last.id)),
    }


def _as_json(entry: AuditEntry) -> JsonObject:
    fields = asdict(entry)
    del fields["v"]
    return {**fields, "at": iso(entry.at)}
