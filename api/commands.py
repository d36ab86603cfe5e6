"""Sends commands to the coordinator and answers with their outcome."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.responses import JSONResponse

from adapters.clock import now_ms
from api.documents import as_json
from api.services import Services
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.etag import tagged
from api.web.idempotency import ANOTHER_REQUEST, keyed
from api.web.pending import ANSWER_SECONDS, pending
from schemas import topics
from schemas.campaign import Action, CampaignDocument, Command, DraftSpec, Resolution, Retry, stored
from schemas.ids import retried_campaign
from schemas.wire import encode

LIST_SECONDS: Final = 5.0
"""Seconds that a request waits for the list of a retry."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a request asks to be done to a campaign."""

    action: Action
    spec: DraftSpec | None = None
    """Of `create` and `edit`."""
    by: str = ""
    """Who asks; "": the caller."""
    expected: int | None = None
    """Of `edit`: the revision that was seen."""
    resolutions: Sequence[Resolution] = ()
    """Of `resolve`."""
    retry: Retry | None = None
    """Of `create`: what is tried again."""


async def carry_out(services: Services, campaign: str, asked: Instruction) -> JSONResponse:
    """Emit the command and wait for its outcome: 200 (201 for create) with the document, 202 when the
    coordinator is silent.

    Raises:
        ApiError: 403 the caller's key is not for the account, 409 the coordinator refused, 412 the definition was
            changed after revision `asked.expected`, 422 the Idempotency-Key came with another campaign, 503 Kafka
            does not answer.
        EmitError: Kafka did not acknowledge the command (503).
    """
    if asked.spec is not None:
        caller().check_account(asked.spec.account)
        _check_lists(services, asked.spec)
    services.check_kafka()
    key = keyed()
    command = Command(
        id=uuid.uuid4().hex if key is None else key.command(),
        campaign=campaign,
        action=asked.action,
        at=now_ms(),
        by=asked.by or str(caller()),
        spec=None if asked.spec is None else stored(asked.spec),
        expected=asked.expected,
        resolutions=list(asked.resolutions),
        retry=asked.retry,
    )
    await services.producer.emit(topics.COMMANDS.name, encode(command), key=campaign.encode("ascii"))
    try:
        document = await services.campaigns.wait_for(campaign, lambda d: _answered(d, command), ANSWER_SECONDS)
    except TimeoutError:
        where = f"{services.settings.api.url}/v1/campaigns/{campaign} for the campaign"
        return pending(campaign, command.id, "the coordinator did not answer", where)
    if document is None:
        return JSONResponse({"id": campaign, "deleted": True})
    # A request that comes again may find a campaign that was given to another account meanwhile.
    caller().check_account(document.account)
    if _is_another_request(document, command):
        raise ApiError(422, ANOTHER_REQUEST, more={"id": document.id})
    _check_refused(document, command)
    if asked.action == "launch":
        document = await _reserved(services, document, command)
    if command.retry is not None:
        document = await _listed(services, document)
    created = asked.action == "create"
    headers = {"Location": f"/v1/campaigns/{campaign}"} if created else None
    return tagged(as_json(services, document), document.revision, 201 if created else 200, headers)


def _check_lists(services: Services, spec: DraftSpec) -> None:
    """The list of a retry has recipients of an account: no other one sends to it."""
    for name in spec.audience.lists:
        original = retried_campaign(name)
        document = services.campaigns.get(original) if original else None
        if original and (document is None or document.account != spec.account):
            error = f"{name!r} is of a campaign of another account than {spec.account}; take another list"
            raise ApiError(422, f"audience.lists: {error}", fields=[{"field": "audience.lists", "error": error}])


async def _listed(services: Services, document: CampaignDocument) -> CampaignDocument:
    """The document of a retry with its list, if that is made in time: a large one takes a minute."""
    try:
        made = await services.campaigns.wait_for(document.id, _is_listed, LIST_SECONDS)
    except TimeoutError:
        return document
    return made or document


def _is_listed(document: CampaignDocument | None) -> bool:
    return document is None or document.retry is None or document.retry.recipients is not None


async def _reserved(services: Services, document: CampaignDocument, command: Command) -> CampaignDocument:
    """The document of a launch once the ledger has answered, where its cost must be reserved; for as long as a
    command may take.

    Raises:
        ApiError: 409, the balance is short.
    """
    if document.status != "processing" or not services.pays_beforehand(document.account):
        return document
    try:
        after = await services.campaigns.wait_for(
            document.id, lambda known: known is None or known.status != "processing", ANSWER_SECONDS
        )
    except TimeoutError:
        return services.campaigns.get(document.id) or document
    if after is not None:
        _check_refused(after, command)
    return after or document


def _answered(document: CampaignDocument | None, command: Command) -> bool:
    if document is None:
        return command.action == "delete"
    if command.action == "create" and document.create_command == command.id:
        return True
    return any(outcome.command == command.id for outcome in document.outcomes)


def _is_another_request(document: CampaignDocument, command: Command) -> bool:
    """Whether the Idempotency-Key, which the campaign's id follows from, created it with another body before."""
    if command.action != "create" or keyed() is None or document.spec.get("key"):
        return False
    return document.create_command != command.id


def _check_refused(document: CampaignDocument, command: Command) -> None:
    refused = next((o for o in document.outcomes if o.command == command.id and o.error), None)
    if refused is not None:
        status = 412 if refused.is_stale else 409
        raise ApiError(status, refused.error, more={"id": document.id, "status": document.status})
