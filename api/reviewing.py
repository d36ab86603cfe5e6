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
from api.terms import terms_in, unconfigured
from pipeline.audience.typed_numbers import typed_numbers
from pipeline.campaign.plan import PlanError
from pipeline.campaign.when import is_for_later
from pipeline.content.render import compile_template
from pipeline.content.template import TemplateError
from pipeline.insight.forecast_words import Forecast
from pipeline.insight.review import AudienceFacts, Rehearsed, Review, review, with_balance
from schemas.campaign import CampaignSpec


async def review_of(
    services: Services, spec: CampaignSpec, but: str, *, until_somebody: bool = False
) -> tuple[Review, Rehearsed | None]:
    """The review of a spec as of now, and the rehearsal behind it; `but` is the campaign itself. `until_somebody`:
    its figures are those of a part that has somebody who would get it, if there is one.

    Raises:
        StoreUnavailable: ClickHouse does not answer, so nobody can say who would get it.
        ApiError: 503, Kafka does not answer.
    """
    missing = unconfigured(services.accounts, spec)
    terms = None if missing else terms_in(services.installed, spec)
    audience = await asyncio.to_thread(audience_facts, services.figures.store, spec)
    now = now_ms()
    acted = None
    if terms is not None and audience.recipients:
        try:
            acted = await rehearsed(services, spec, audience.recipients, now, but=but, until_somebody=until_somebody)
        except PlanError:
            acted = None  # the review reports the problem
    reviewed = review(spec, terms, missing, audience, acted, now)
    if terms is not None and services.pays_beforehand(spec.account):
        free = services.ledger.book(spec.account).free
        reviewed = with_balance(reviewed, free, is_for_later=is_for_later(spec, terms.store_zone, now))
    return reviewed, acted


def audience_facts(store: Store, spec: CampaignSpec) -> AudienceFacts:
    """The facts about a spec's audience, read from ClickHouse.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    typed, refused = typed_numbers(spec.audience.numbers)
    surveyed = survey(store, spec.audience.lists, typed.numbers, _fields(spec))
    return AudienceFacts(
        unknown_lists=surveyed.unknown_lists,
        refused_numbers=refused,
        recipients=surveyed.recipients,
        with_value=surveyed.with_value,
        attributes=surveyed.attributes,
    )


async def forecast_review(
    services: Services, spec: CampaignSpec, acted: Rehearsed | None, but: str
) -> Forecast | None:
    """The forecast that goes with a review, for a launch now; None where nobody would get it. `but`: the campaign
    itself.

    Raises:
        StoreUnavailable: ClickHouse does not answer.
    """
    if acted is None or not acted.outcome.crowds:
        return None
    crowds = acted.outcome.crowds.values()
    competitors = await asyncio.to_thread(competing_campaigns, services.figures.store, services.installed, spec, but)
    return await asyncio.to_thread(forecast_of, services.installed, spec, crowds, now_ms(), competitors)


def _fields(spec: CampaignSpec) -> Sequence[str]:
    fields: dict[str, None] = {}
    for text in (*(message.text for message in spec.messages), spec.opt_out_language):
        try:
            fields.update(dict.fromkeys(compile_template(text).fields))
        except TemplateError:
            continue  # the review reports the problem
    return list(fields)
