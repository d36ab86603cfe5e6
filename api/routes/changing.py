"""Routes that change campaigns: each becomes one command."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from adapters.clickhouse.figures import message_sets
from adapters.clock import now_ms
from api import applying, resolving, reviewing
from api.commands import Instruction, carry_out
from api.services import Services, draft_of, services
from api.web.body import DRAFT_BODY, FILE_BODY, checked, document_of
from api.web.body import draft_of as draft_in
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.etag import seen_revision
from api.web.idempotency import keyed
from api.web.numbers import MASK
from api.web.selection import MOST_NAMED, checked_selection
from pipeline.campaign.retrying import retry_of
from pipeline.campaign.selecting import count, to_retry
from pipeline.content.texts import NOBODY_REACHED, PLACEHOLDER, PLAIN, check_texts
from pipeline.identity.tokens import campaign_id_of, new_campaign_id
from pipeline.insight.accounting import figures
from schemas.campaign import SENT_OUT, Action, CampaignDocument, DraftSpec
from schemas.ids import retry_list
from schemas.json import JsonObject
from schemas.selection import Selection

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
Shared = Annotated[Services, Depends(services)]


def _fresh_id(spec: DraftSpec | None = None) -> str:
    if spec is not None and spec.key is not None:
        return campaign_id_of(spec.account, spec.key)
    key = keyed()
    return new_campaign_id(secrets.token_bytes(5) if key is None else key.campaign())


@router.post("", status_code=201, openapi_extra=DRAFT_BODY)
async def create(request: Request, shared: Shared) -> JSONResponse:
    """Create a draft from JSON or TOML, complete or not; refused (422) if a placeholder would be sent as written.
    With an `Idempotency-Key` once, however often it is sent."""
    spec = without_foreign_placeholders(await draft_in(request))
    await shared.ready()
    return await carry_out(shared, _fresh_id(spec), Instruction("create", spec))


@router.post("/apply", openapi_extra=FILE_BODY)
async def apply(
    request: Request,
    shared: Shared,
    dry_run: Annotated[bool, Query(description="Only say what would change.")] = False,
) -> JSONResponse:
    """Make the campaign that a file (TOML or JSON) names be as the file says: created, changed if it is a draft, or
    left as it is. The file says which one by a `key` of its account, or by the `id` of one that there is."""
    file = applying.file_of(await document_of(request))
    spec = without_foreign_placeholders(file.spec())
    caller().check_account(spec.account)
    await shared.ready()
    change = applying.change_of(shared, file, spec)
    if dry_run or change.what == "same":
        return JSONResponse(applying.answer(change, dry_run=dry_run))
    if change.refused:
        raise ApiError(409, change.refused, more={"id": change.id})
    action: Action = "create" if change.before is None else "edit"
    seen = None if change.before is None else change.before.revision
    done = await carry_out(shared, change.id, Instruction(action, spec, expected=seen))
    waits = done.status_code == 202
    return JSONResponse({**applying.answer(change, dry_run=False), "carried_out": not waits})


@router.put("/{campaign}", openapi_extra=DRAFT_BODY)
async def edit(campaign: str, request: Request, shared: Shared) -> JSONResponse:
    """Replace the definition of a draft, complete or not. With `If-Match` only if it is still as that ETag says
    (412)."""
    spec, expected = without_foreign_placeholders(await draft_in(request)), seen_revision(request)
    await shared.document(campaign)
    return await carry_out(shared, campaign, Instruction("edit", spec, expected=expected))


@router.delete("/{campaign}")
async def delete(campaign: str, shared: Shared) -> JSONResponse:
    """Delete a draft, or a scheduled campaign before its send time."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, Instruction("delete"))


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
    return await carry_out(shared, campaign, Instruction("launch"))


def without_foreign_placeholders(spec: DraftSpec) -> DraftSpec:
    """The draft itself.

    Raises:
        ApiError: 422 a placeholder would be sent as written, or its typed numbers are what the API shows instead of
            numbers.
    """
    if any(MASK in number for number in spec.audience.numbers):
        what = (
            f"holds masked numbers ({MASK}), which a key without the scope `numbers` is shown: take a key with that "
            "scope, or write the numbers in full"
        )
        raise ApiError(
            422,
            f"audience.numbers: {what}. Nothing was changed",
            fields=[{"field": "audience.numbers", "error": what}],
        )
    problems = [problem for problem in check_texts(spec, PLAIN)[1] if problem.code == PLACEHOLDER]
    if problems:
        text = "; ".join(f"{problem.where}: {problem.what}" for problem in problems)
        raise ApiError(422, text, fields=[{"field": problem.where, "error": problem.what} for problem in problems])
    return spec


async def _check_review(shared: Services, document: CampaignDocument, allow_empty: bool) -> None:
    draft = draft_of(document)
    until_somebody = not shared.pays_beforehand(draft.account)  # else all that it can cost is counted
    review, _ = await reviewing.review_of(shared, draft, document.id, until_somebody=until_somebody)
    problems = [problem for problem in review.problems if not (allow_empty and problem.code == NOBODY_REACHED)]
    if problems:
        fields = [{"field": p.where, "error": p.what} for p in problems]
        text = "; ".join(f"{p.where}: {p.what}" for p in problems)
        raise ApiError(409, f"not launched: {text}", fields=fields, more={"id": document.id})


@router.post("/{campaign}/duplicate", status_code=201)
async def duplicate(
    campaign: str, shared: Shared, changes: Annotated[JsonObject | None, Body()] = None
) -> JSONResponse:
    """Create a draft with the same definition, but for its `key`; the body may replace top-level fields
    (`{"name": …}`)."""
    document = await shared.document(campaign)
    spec = _copied(document, {"name": f"{_name_of(document)} (copy)", **(changes or {})})
    return await carry_out(shared, _fresh_id(spec), Instruction("create", spec))


def _name_of(document: CampaignDocument) -> str:
    # A document that this version cannot read may have none.
    return str(document.spec.get("name") or document.id)[:190]


def _copied(document: CampaignDocument, changes: JsonObject) -> DraftSpec:
    return without_foreign_placeholders(checked({**document.spec, "key": None, **changes}, now_ms()))


class RetryBody(BaseModel):
    """Whom a retry goes to; without states and reasons to everybody who was rejected, not delivered to, or expired
    for another reason than the deadline."""

    model_config = ConfigDict(extra="forbid")

    states: Annotated[list[str], Field(max_length=MOST_NAMED)] = []
    reasons: Annotated[list[str], Field(max_length=MOST_NAMED)] = []
    """A reason without its detail stands for all details."""


@router.post("/{campaign}/retry-failed", status_code=201)
async def retry_failed(
    campaign: str, shared: Shared, body: Annotated[RetryBody | None, Body()] = None
) -> JSONResponse:
    """Create a draft to recipients who did not get the message, by state and reason. It goes to a list of its own, of
    any size, with the values that the text had; `retry.recipients` says how many, null while the list is being
    made."""
    document = await shared.document(campaign)
    if document.status not in SENT_OUT | {"canceled"}:
        raise ApiError(409, f"campaign {campaign} is {document.status}: wait until it is sent, then retry the failed")
    asked = body or RetryBody()
    selection = checked_selection(to_retry(asked.states, asked.reasons))
    if not await asyncio.to_thread(_count, shared, campaign, selection):
        chosen = "with this state and reason" if asked.states or asked.reasons else "rejected, undelivered or late"
        raise ApiError(409, f"campaign {campaign} has no messages {chosen}, so there is nothing to retry")
    made = _fresh_id()
    spec = _to(document, "retry", {"lists": [retry_list(campaign, made)]})
    return await carry_out(shared, made, Instruction("create", spec, retry=retry_of(document, selection)))


def _to(document: CampaignDocument, what: str, audience: JsonObject) -> DraftSpec:
    # The times of the original are past, or not meant for those that it missed.
    times = {"send_at": None, "deadline": None, "local_time": False}
    return _copied(document, {"name": f"{_name_of(document)} ({what})", "audience": audience, **times})


def _count(shared: Services, campaign: str, selection: Selection) -> int:
    return sum(count(selection, figures(sets).reasons) for sets in message_sets(shared.figures.store, campaign))


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
        spec = _to(document, "resend", {"numbers": [f"+{number}" for number in numbers]})
        draft = await carry_out(shared, _fresh_id(), Instruction("create", spec, by=body.by))
        extra["resend"] = orjson.loads(draft.body)["id"]
    answer = await carry_out(shared, campaign, Instruction("resolve", by=body.by, resolutions=resolutions))
    return JSONResponse({**orjson.loads(answer.body), "resolution": extra}, answer.status_code)


@router.post("/{campaign}/pause")
async def pause(campaign: str, shared: Shared) -> JSONResponse:
    """Pause a campaign: messages that were not submitted wait until it is resumed."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, Instruction("pause"))


@router.post("/{campaign}/resume")
async def resume(campaign: str, shared: Shared) -> JSONResponse:
    """Resume a paused or suspended campaign."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, Instruction("resume"))


@router.post("/{campaign}/cancel")
async def cancel(campaign: str, shared: Shared) -> JSONResponse:
    """Cancel a campaign: nothing more is submitted. A scheduled campaign becomes a draft again."""
    await shared.document(campaign)
    return await carry_out(shared, campaign, Instruction("cancel"))
