"""Routes that only read: list, one campaign, review, export."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from api import exporting, reviewing
from api.documents import as_json, row, sources
from api.listing import Filter
from api.services import Services, draft_of, services
from api.web.cursor import read
from api.web.errors import ApiError
from api.web.etag import tagged
from api.web.selection import MOST_NAMED, checked_selection
from pipeline.campaign.selecting import selected
from schemas.campaign import Status
from schemas.json import JsonObject

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
Shared = Annotated[Services, Depends(services)]
StatusFilter = Literal["", Status]


def filtered(
    search: Annotated[str, Query(max_length=200)] = "",
    status: StatusFilter = "",
    tag: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1)] = 1,
    size: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str, Query(max_length=100, description="`next` of the page before; `page` is not used.")] = "",
) -> Filter:
    """The list's query parameters."""
    try:
        after = read(cursor) if cursor else None
    except ValueError as error:
        raise ApiError(422, f"cursor: {error}", fields=[{"field": "cursor", "error": str(error)}]) from error
    return Filter(search, status, tag, page, size, after)


@router.get("")
async def campaigns(shared: Shared, wanted: Annotated[Filter, Depends(filtered)]) -> JsonObject:
    """Campaigns, newest first, with status from Kafka and figures as of the last reading. `next` is the cursor of
    those that follow ("": none do): what is made or deleted meanwhile repeats and loses nobody."""
    await shared.ready()
    page, total = wanted.select(shared.visible())
    return {
        "campaigns": [row(shared, document) for document in page],
        "total": total,
        "page": wanted.page_of(total),
        "pages": wanted.pages(total),
        "next": wanted.next_of(page),
        "sources": sources(shared),
    }


@router.get("/{campaign}")
async def campaign(campaign: str, shared: Shared) -> JSONResponse:
    """One campaign with figures of now, or the last known with their age where ClickHouse does not answer. `missing`
    names what a draft lacks; the ETag names this state of its definition."""
    document = await shared.document(campaign)
    await shared.figures.fresh(document)
    return tagged({**as_json(shared, document), "sources": sources(shared)}, document.revision)


@router.get("/{campaign}/review")
async def review(campaign: str, shared: Shared) -> JsonObject:
    """What would forbid a launch, warnings, who would get it and who would be skipped for which reason, segments,
    cost, shortest duration, and the forecast: finish time, who would not be reached, and why."""
    document = await shared.document(campaign)
    draft = draft_of(document)
    reviewed, acted = await reviewing.review_of(shared, draft, campaign)
    ahead = await reviewing.forecast_review(shared, draft, acted, campaign)
    return {
        "id": campaign,
        "status": document.status,
        "ok": not reviewed.problems,
        **dataclasses.asdict(reviewed),
        "forecast": None if ahead is None else dataclasses.asdict(ahead),
    }


@router.get("/{campaign}/export")
async def export(
    campaign: str,
    shared: Shared,
    format: exporting.Format = "csv",
    state: Annotated[list[str] | None, Query(max_length=MOST_NAMED)] = None,
    reason: Annotated[list[str] | None, Query(max_length=MOST_NAMED)] = None,
) -> Any:
    """One row per recipient: ordinal, number, state, reason, price, times. `state` and `reason` may be given several
    times; a reason without its detail stands for all details."""
    document = await shared.document(campaign)
    return await exporting.stream(shared, document, format, checked_selection(selected(state or [], reason or [])))
