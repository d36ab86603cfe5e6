"""Gathers the facts for `pipeline.insight.review`: contacts from ClickHouse, account and sender from the book,
what would become of each recipient from a rehearsal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from adapters.clickhouse import Store
from adapters.clickhouse.review import survey
from adapters.clock import now_ms
from api.forecast.facts import competing_campaigns
from api.forecast.forecasting import forecast_of
from api.forecast.rehearsing import rehearsed
from api.services import Services
from api.terms import missing_of, terms_in, unconfigured
from pipeline.audience.typed_numbers import typed_numbers
from pipeline.campaign.completeness import complete, missing_senders
from pipeline.campaign.plan import PlanError
from pipeline.campaign.when import is_for_later
from pipeline.content.render import compile_template
from pipeline.content.template import TemplateError
from pipeline.content.texts import MISSING, Finding
from pipeline.insight.forecast_words import Forecast
from pipeline.insight.review import AudienceFacts, Rehearsed, Review, review, with_balance
from schemas.campaign import CampaignSpec, DraftSpec


async def review_of(
    services: Services, draft: DraftSpec, but: str, *, until_somebody: bool = False
) -> tuple[Review, Rehearsed | None]:
    """The review of a draft as of now, and the rehearsal behind it, if it is complete; `but` is the campaign itself.
    `until_somebody`: its figures are those of a part that has somebody who would get it, if there is one.

    Raises:
        StoreUnavailable: ClickHouse does not answer, so nobody can say who would get it.
        ApiError: 503, Kafka does not answer.
    """
    unready, unfit = missing_findings(services, draft), unconfigured(services.accounts, draft)
    terms = None if unfit else terms_in(services.installed, draft)
    if unfit and not any(missing_senders(services.accounts, draft)):
        unready.append(Finding("sender", unfit))
    audience = await asyncio.to_thread(audience_facts, services.figures.store, draft)
    now = now_ms()
    acted, spec = None, complete(draft)
    if terms is not None and audience.recipients and isinstance(spec, CampaignSpec):
        try:
            acted = await rehearsed(services, spec, audience.recipients, now, but=but, until_somebody=until_somebody)
        except PlanError:
            acted = None  # the review reports the problem
    reviewed = review(draft, terms, unready, audience, acted, now)
    if terms is not None and services.pays_beforehand(draft.account):
        free = services.ledger.book(draft.account).free
        reviewed = with_balance(reviewed, free, is_for_later=is_for_later(draft, terms.store_zone, now))
    return reviewed, acted


def missing_findings(services: Services, draft: DraftSpec) -> list[Finding]:
    """What a draft lacks, as problems of its review."""
    missing = missing_of(services.accounts, draft)
    return [Finding(part.where, f"{part.what}: {part.fix}", MISSING) for part in missing]


def audience_facts(store: Store, spec: DraftSpec) -> AudienceFacts:
    """The facts about a spec's audience, read from ClickHouse; a draft that names nobody has none.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not spec.audience.lists and not spec.audience.numbers:
        return AudienceFacts(recipients=0)
    typed, refused = typed_numbers(spec.audience.numbers)
    surveyed = survey(store, spec.audience.lists, typed.numbers, _fields(spec))
    return AudienceFacts(
        unknown_lists=surveyed.unknown_lists,
        refused_numbers=refused,
        recipients=surveyed.recipients,
        with_value=surveyed.with_value,
        attributes=surveyed.attributes,
    )


async def forecast_review(services: Services, draft: DraftSpec, acted: Rehearsed | None, but: str) -> Forecast | None:
    """The forecast that goes with a review, for a launch now; None where nobody would get it, or the draft is
    incomplete. `but`: the campaign itself.

    Raises:
        StoreUnavailable: ClickHouse does not answer.
    """
    spec = complete(draft)
    if acted is None or not acted.outcome.crowds or not isinstance(spec, CampaignSpec):
        return None
    crowds = acted.outcome.crowds.values()
    competitors = await asyncio.to_thread(competing_campaigns, services.figures.store, services.installed, spec, but)
    return await asyncio.to_thread(forecast_of, services.installed, spec, crowds, now_ms(), competitors)


def _fields(spec: DraftSpec) -> Sequence[str]:
    fields: dict[str, None] = {}
    for text in (*(message.text for message in spec.messages), spec.opt_out_language):
        try:
            fields.update(dict.fromkeys(compile_template(text).fields))
        except TemplateError:
            continue  # the review reports the problem
    return list(fields)
