"""Routes that change campaigns: each becomes one command."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import JSONResponse

from adapters.clock import now_ms
from api import exporting, resolving, reviewing
from api.commands import carry_out
from api.services import Services, definition_of, services
from api.web.body import SPEC_BODY, checked, spec_of
from api.web.errors import ApiError
from api.web.idempotency import keyed
from api.web.selection import checked_selection
from pipeline.campaign.selecting import to_retry
from pipeline.content.texts import NOBODY_REACHED, PLACEHOLDER, check_texts
from pipeline.identity.tokens import new_campaign_id
from schemas.campaign import SENT_OUT, CampaignDocument, CampaignSpec
from schemas.json import JsonObject

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
Shared = Annotated[Services, Depends(services)]
RETRY_LIMIT = 50_000
"""Typed numbers travel in the document through Kafka; more belong in a list."""


def _fresh_id() -> str:
    key = keyed()
    return new_campaign_id(secrets.token_bytes(5) if key is None else key.campaign())


@router.post("", status_code=201, openapi_extra=SPEC_BODY)
async def create(request: Request, shared: Shared) -> JSONResponse:
    """Create a draft from JSON or TOML; refused (422) if a placeholder would be sent as written."""
    spec = _checked(await spec_of(request))
    await shared.ready()
    return await carry_out(shared, _fresh_id(), "create", spec)


@router.put("/{campaign}", openapi_extra=SPEC_BODY)
async def edit(campaign: str, request: Request, shared: Shared) -> JSONResponse:
    """Replace the definition of a draft."""
    spec = _checked(await spec_of(request))
    await shared.document(campaign)
    return await carry_out(shared, campaign, "edit", spec)


@router.delete("/{campaign}")
async def delete(campaign: str, shared: Shared) -> JSONResponse:
    """Delete a draft, or a scheduled campaign before its send time."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, "delete")


@router.post("/{campaign}/launch")
async def launch(
    campaign: str,
    shared: Shared,
    allow_empty: Annotated[
        bool, Query(description="Launch even if the review says that no recipient would get the message.")
    ] = False,
) -> JSONResponse:
    """Review, then launch; refused (409) with the review's problems."""
    document = await shared.document(campaign)
    if document.status == "draft":
        await _check_review(shared, document, allow_empty)
    return await carry_out(shared, campaign, "launch")


def _checked(spec: CampaignSpec) -> CampaignSpec:
    problems = [problem for problem in check_texts(spec, "")[1] if problem.code == PLACEHOLDER]
    if problems:
        text = "; ".join(f"{problem.where}: {problem.what}" for problem in problems)
        raise ApiError(422, text, fields=[{"field": problem.where, "error": problem.what} for problem in problems])
    return spec


async def _check_review(shared: Services, document: CampaignDocument, allow_empty: bool) -> None:
    spec = definition_of(document)
    until_somebody = not shared.pays_beforehand(spec.account)  # else all that it can cost is counted
    review, _ = await reviewing.review_of(shared, spec, document.id, until_somebody=until_somebody)
    problems = [problem for problem in review.problems if not (allow_empty and problem.code == NOBODY_REACHED)]
    if problems:
        fields = [{"field": p.where, "error": p.what} for p in problems]
        text = "; ".join(f"{p.where}: {p.what}" for p in problems)
        raise ApiError(409, f"not launched: {text}", fields=fields, more={"id": document.id})


@router.post("/{campaign}/duplicate", status_code=201)
async def duplicate(
    campaign: str, shared: Shared, changes: Annotated[JsonObject | None, Body()] = None
) -> JSONResponse:
    """Create a draft with the same definition; the body may replace top-level fields (`{"name": …}`)."""
    document = await shared.document(campaign)
    name = f"{_name_of(document)} (copy)"
    return await carry_out(shared, _fresh_id(), "create", _copied(document, {"name": name, **(changes or {})}))


def _name_of(document: CampaignDocument) -> str:
    # A document that this version cannot read may have none.
    return str(document.spec.get("name") or document.id)[:190]


def _copied(document: CampaignDocument, changes: JsonObject) -> CampaignSpec:
    # A copy has no send time: that of the original is past or not meant for it.
    merged = {**document.spec, "send_at": None, "deadline": None, **changes}
    return _checked(checked(merged, now_ms()))


@router.post("/{campaign}/retry-failed", status_code=201)
async def retry_failed(campaign: str, shared: Shared) -> JSONResponse:
    """Create a draft to the numbers whose message was rejected or undelivered, or expired after an outage."""
    document = await shared.document(campaign)
    if document.status not in SENT_OUT | {"canceled"}:
        raise ApiError(409, f"campaign {campaign} is {document.status}: wait until it is sent, then retry the failed")
    numbers = await asyncio.to_thread(_failed_numbers, shared, campaign)
    if not numbers:
        raise ApiError(
            409, f"campaign {campaign} has no rejected, undelivered or late messages, so there is nothing to retry"
        )
    return await carry_out(shared, _fresh_id(), "create", _to_numbers(document, "retry", numbers))


def _to_numbers(document: CampaignDocument, what: str, numbers: Sequence[int]) -> CampaignSpec:
    name = f"{_name_of(document)} ({what})"
    return _copied(document, {"name": name, "audience": {"numbers": [f"+{number}" for number in numbers]}})


def _failed_numbers(shared: Services, campaign: str) -> list[int]:
    numbers: list[int] = []
    for table in exporting.tables(shared.figures.store, campaign, checked_selection(to_retry([], []))):
        numbers += table["number"].to_numpy().tolist()
        if len(numbers) > RETRY_LIMIT:
            raise ApiError(
                409,
                f"campaign {campaign}: more than {RETRY_LIMIT:,} messages failed, too many for one draft. Export "
                f"them (`longwave campaign export {campaign} --state rejected --state undelivered --out FILE.csv`), "
                "import the file (`longwave contacts import FILE.csv --list NAME`) and create a campaign to it",
            )
    return numbers


@router.post("/{campaign}/resolve")
async def resolve(campaign: str, body: resolving.ResolveBody, shared: Shared) -> JSONResponse:
    """Record the outcome of unknown messages; `resend` also creates a draft to their numbers."""
    document = await shared.document(campaign)
    resolutions = await asyncio.to_thread(resolving.resolutions, shared.figures.store, document, body)
    extra: JsonObject = {
        "as": body.outcome,
        "recipients": sum(len(resolution.ordinals) for resolution in resolutions),
    }
    if body.outcome == "resend":
        # The draft first: it sends nothing by itself, and resolved messages cannot be looked up again.
        numbers = sorted({number for resolution in resolutions for number in resolution.numbers})
        draft = await carry_out(shared, _fresh_id(), "create", _to_numbers(document, "resend", numbers), by=body.by)
        extra["resend"] = orjson.loads(draft.body)["id"]
    answer = await carry_out(shared, campaign, "resolve", by=body.by, resolutions=resolutions)
    return JSONResponse({**orjson.loads(answer.body), "resolution": extra}, answer.status_code)


@router.post("/{campaign}/pause")
async def pause(campaign: str, shared: Shared) -> JSONResponse:
    """Pause a campaign: messages that were not submitted wait until it is resumed."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, "pause")


@router.post("/{campaign}/resume")
async def resume(campaign: str, shared: Shared) -> JSONResponse:
    """Resume a paused or suspended campaign."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, "resume")


@router.post("/{campaign}/cancel")
async def cancel(campaign: str, shared: Shared) -> JSONResponse:
    """Cancel a campaign: nothing more is submitted. A scheduled campaign becomes a draft again."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, "cancel")
