"""Campaigns as JSON: the document from Kafka, the figures from ClickHouse, and the allowed actions."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import ValidationError

from adapters.clock import now_ms
from api.services import Services
from api.terms import missing_of
from api.web.caller import caller
from api.web.numbers import masked
from pipeline.campaign.actions import ACTIONS
from pipeline.campaign.settlement import REACHED_NOBODY, nobody_why
from pipeline.campaign.suspension import reason_in_words
from schemas.campaign import CampaignDocument
from schemas.ids import retry_list
from schemas.json import JsonObject
from schemas.times import iso_or_none

_ALWAYS = ("duplicate",)


def row(services: Services, document: CampaignDocument) -> JsonObject:
    """What the list shows of a campaign; `figures` is None before the first reading. `outcome` says that it reached
    nobody, `outcome_why` why; both are "" otherwise. `reason` is of `schemas.reasons`, `reason_text` says it."""
    spec, problem = document.spec, _nobody(services, document)
    return {
        "id": document.id,
        "name": spec.get("name", ""),
        "tags": spec.get("tags", []),
        "account": document.account,
        "sender": spec.get("sender", ""),
        "status": document.status,
        "reason": document.reason,
        "reason_text": reason_in_words(document),
        "outcome": REACHED_NOBODY if problem else "",
        "outcome_why": problem,
        "revision": document.revision,
        "created": iso_or_none(document.created),
        "updated": iso_or_none(document.updated),
        "launched": iso_or_none(document.launched),
        "finished": iso_or_none(document.finished),
        "send_at": spec.get("send_at"),
        "retry": _retry(document),
        "recipients": document.recipients,
        "actions": _actions(services, document),
        "rate": round(services.figures.rate(document.id), 1),
        "figures": figures(services, document.id),
    }


def _retry(document: CampaignDocument) -> JsonObject | None:
    """Of what a campaign is a retry, where that chain of retries began, and who is on its list."""
    retry = document.retry
    if retry is None:
        return None
    return {
        "of": retry.of,
        "first": retry.first,
        "states": retry.states,
        "reasons": retry.reasons,
        "list": retry_list(retry.of, document.id),
        "recipients": retry.recipients,
    }


def _actions(services: Services, document: CampaignDocument) -> list[str]:
    """What is of use now: nobody is resolved while nobody is unknown."""
    snapshot = services.figures.latest(document.id)
    unknown = snapshot is not None and snapshot.figures["states"]["unknown"]
    return [*(action for action in ACTIONS[document.status] if action != "resolve" or unknown), *_ALWAYS]


def _nobody(services: Services, document: CampaignDocument) -> str:
    snapshot = services.figures.latest(document.id)
    # Figures that were read at an earlier status may not be complete.
    if snapshot is None or snapshot.revision != document.revision:
        return ""
    figures = snapshot.figures
    return nobody_why(document.status, figures["states"], figures["targeted"], figures["reasons"])


def figures(services: Services, campaign: str) -> JsonObject | None:
    """The newest figures of a campaign, with `as_of` and `age_seconds`."""
    snapshot = services.figures.latest(campaign)
    if snapshot is None:
        return None
    age = max(0, now_ms() - snapshot.as_of) / 1000
    return {**snapshot.figures, "as_of": iso_or_none(snapshot.as_of), "age_seconds": round(age, 1)}


def as_json(services: Services, document: CampaignDocument) -> JsonObject:
    """One campaign in full, as JSON."""
    return {
        **row(services, document),
        "spec": shown(document.spec),
        "missing": _missing(services, document),
        "lanes": document.lanes,
        "retries": [
            {"id": retry.id, "name": retry.spec.get("name", ""), "status": retry.status}
            for retry in services.campaigns.retries(document.id)
            if caller().sees(retry.account)
        ],
        "resolved": [
            {
                "as": resolution.verdict,
                "recipients": resolution.recipients,
                "by": resolution.by,
                "at": iso_or_none(resolution.at),
            }
            for resolution in document.resolved
        ],
        "history": services.figures.history(document.id),
    }


def _missing(services: Services, document: CampaignDocument) -> list[JsonObject]:
    """What a draft lacks. Of one that cannot be read its review says so."""
    if document.status != "draft":
        return []
    try:
        return [asdict(part) for part in missing_of(services.accounts, document.draft())]
    except ValidationError:
        return []


def shown(spec: JsonObject) -> JsonObject:
    """A definition as the caller may see it: typed numbers are masked for whoever may not see numbers."""
    audience = spec.get("audience")
    if caller().may("numbers") or not isinstance(audience, dict) or not audience.get("numbers"):
        return spec
    return {**spec, "audience": {**audience, "numbers": [masked(str(number)) for number in audience["numbers"]]}}


def sources(services: Services) -> JsonObject:
    """Whether Kafka and ClickHouse answer, and since when they do not."""
    return {
        "now": iso_or_none(now_ms()),
        "kafka": {
            "ok": not services.kafka.text,
            "problem": services.kafka.text,
            "since": iso_or_none(services.kafka.since),
        },
        "clickhouse": {
            "ok": not services.figures.problem,
            "problem": services.figures.problem,
            "since": iso_or_none(services.figures.down_since),
        },
    }
