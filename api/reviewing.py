"""Gathers the facts for `pipeline.review`: contacts from ClickHouse, account and sender from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from adapters.clickhouse import Store
from adapters.clickhouse.review import drawn, survey
from adapters.clock import now_ms
from adapters.settings import Settings
from api.account_facts import account_facts
from api.forecast_facts import people_of, rivals_of
from api.forecasting import forecast_of
from api.services import Services
from pipeline.audience import typed_numbers
from pipeline.forecast_words import Forecast
from pipeline.plan import PlanError
from pipeline.render import compile_template
from pipeline.review import AudienceFacts, Review, review
from pipeline.template import TemplateError
from schemas.campaign import CampaignSpec


async def review_of(services: Services, spec: CampaignSpec) -> Review:
    """The review of a spec as of now.

    Raises:
        StoreUnavailable: ClickHouse does not answer, so nobody can say who would get it.
    """
    account, unconfigured = account_facts(services.settings, spec)
    audience = await asyncio.to_thread(_audience, services.figures.store, spec)
    return review(spec, account, unconfigured, audience, now_ms())


def _audience(store: Store, spec: CampaignSpec) -> AudienceFacts:
    numbers, refused = typed_numbers(spec.audience.numbers)
    surveyed = survey(store, spec.audience.lists, numbers, _fields(spec))
    return AudienceFacts(
        unknown_lists=surveyed.unknown_lists,
        refused_numbers=refused,
        recipients=surveyed.recipients,
        countries=surveyed.countries,
        with_value=surveyed.with_value,
        sample=surveyed.sample,
    )


async def forecast_review(services: Services, spec: CampaignSpec, found: Review, but: str) -> Forecast | None:
    """The forecast that goes with a review, for a launch now; None where the review has nobody to send to, or no
    text, account or sender that could be sent. `but`: the campaign itself.

    Raises:
        StoreUnavailable: ClickHouse does not answer.
    """
    if not found.recipients or not found.segments or account_facts(services.settings, spec)[0] is None:
        return None
    return await asyncio.to_thread(_forecast, services, spec, found, but)


def _forecast(services: Services, spec: CampaignSpec, found: Review, but: str) -> Forecast | None:
    store, settings = services.figures.store, services.settings
    mean = sum(text.mean_parts for text in found.texts)
    try:
        rivals = rivals_of(store, settings, spec, but)
        return forecast_of(settings, spec, people_of(store, spec), mean, now_ms(), rivals)
    except PlanError:
        return None  # the review says what is wrong with it


def mean_parts_of(store: Store, settings: Settings, spec: CampaignSpec) -> float:
    """Segments that the messages of a spec take on average, counted over a sample of its contacts.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    account, unconfigured = account_facts(settings, spec)
    sample = drawn(store, spec.audience.lists, typed_numbers(spec.audience.numbers)[0])
    texts = review(spec, account, unconfigured, AudienceFacts(recipients=len(sample), sample=sample), now_ms()).texts
    return sum(text.mean_parts for text in texts)


def _fields(spec: CampaignSpec) -> Sequence[str]:
    fields: dict[str, None] = {}
    for text in (*(message.text for message in spec.messages), spec.opt_out_language):
        try:
            fields.update(dict.fromkeys(compile_template(text).fields))
        except TemplateError:
            continue  # the review says what is wrong with it
    return list(fields)
