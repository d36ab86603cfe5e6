"""Routes that change campaigns: each becomes one command."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Annotated

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import JSONResponse

from adapters.clock import now_ms
from api import applying, exporting, resolving, reviewing
from api.commands import Instruction, carry_out
from api.services import Services, draft_of, services
from api.web.body import DRAFT_BODY, FILE_BODY, checked, document_of
from api.web.body import draft_of as draft_in
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.etag import seen_revision
from api.web.idempotency import keyed
from api.web.numbers import MASK
from pipeline.content.texts import NOBODY_REACHED, PLACEHOLDER, check_texts
from pipeline.identity.tokens import campaign_id_of, new_campaign_id
from schemas.campaign import SENT_OUT, Action, CampaignDocument, DraftSpec
from schemas.json import JsonObject
from schemas.reasons import Reason

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
Shared = Annotated[Services, Depends(services)]
RETRY_LIMIT = 50_000
"""Typed numbers travel in the document through Kafka; more belong in a list."""


def _fresh_id(spec: DraftSpec) -> str:
    if spec.key is not None:
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
    problems = [problem for problem in check_texts(spec, "")[1] if problem.code == PLACEHOLDER]
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
    spec = _to_numbers(document, "retry", numbers)
    return await carry_out(shared, _fresh_id(spec), Instruction("create", spec))


def _to_numbers(document: CampaignDocument, what: str, numbers: Sequence[int]) -> DraftSpec:
    # The times of the original are past, or not meant for those that it missed.
    times = {"send_at": None, "deadline": None, "local_time": False}
    audience = {"numbers": [f"+{number}" for number in numbers]}
    return _copied(document, {"name": f"{_name_of(document)} ({what})", "audience": audience, **times})


def _failed_numbers(shared: Services, campaign: str) -> list[int]:
    numbers: list[int] = []
    for table in exporting.tables(shared.figures.store, campaign, ["rejected", "undelivered", "expired"]):
        expired = pc.equal(table["state"], pa.scalar("expired"))
        of_deadline = pc.and_(expired, pc.not_equal(table["reason"], pa.scalar(Reason.TOO_LATE)))
        numbers += table.filter(pc.invert(of_deadline))["number"].to_numpy().tolist()
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
        spec = _to_numbers(document, "resend", numbers)
        draft = await carry_out(shared, _fresh_id(spec), Instruction("create", spec, by=body.by))
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
