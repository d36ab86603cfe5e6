"""POST /v1/forecast: forecast a campaign that has not been created."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from adapters.clock import now_ms
from api.forecast.facts import competing_campaigns
from api.forecast.forecasting import forecast_json, forecast_of
from api.forecast.rehearsing import rehearsed
from api.reviewing import audience_facts
from api.services import Services, services
from api.terms import unconfigured
from api.web.body import SPEC_BODY, spec_of
from api.web.caller import caller
from api.web.refusal import ApiError
from pipeline.campaign.plan import PlanError
from pipeline.insight.review import written_instant
from schemas.campaign import CampaignSpec
from schemas.json import JsonObject

router = APIRouter(prefix="/v1", tags=["campaigns"])
Shared = Annotated[Services, Depends(services)]


@router.post("/forecast", openapi_extra=SPEC_BODY)
async def forecast(
    request: Request,
    shared: Shared,
    start: Annotated[str, Query(max_length=40, description="Launch time: ISO 8601, in store time.")] = "",
) -> JsonObject:
    """Forecast whether and when a campaign (JSON or TOML) can be sent to its current contacts. Nothing is stored."""
    spec = await spec_of(request)
    caller().check_account(spec.account)
    missing = unconfigured(shared.accounts, spec)
    if missing:
        raise ApiError(422, missing)
    account = shared.accounts.account(spec.account)
    begin = _instant(start, account.spec.store_zone) if start and account else now_ms()
    store = shared.figures.store
    try:
        audience, competitors = await asyncio.gather(
            asyncio.to_thread(audience_facts, store, spec),
            asyncio.to_thread(competing_campaigns, store, shared.installed, spec),
        )
        acted = await rehearsed(shared, spec, audience.recipients, begin)
        if not audience.recipients:
            raise ApiError(422, _nobody(spec))
        crowds = acted.outcome.crowds.values()
        result = await asyncio.to_thread(forecast_of, shared.installed, spec, crowds, begin, competitors)
    except PlanError as error:
        raise ApiError(422, str(error)) from error
    return forecast_json(spec.name, f"{acted.outcome.recipients:,} contacts", result, acted.outcome.skipped)


def _instant(start: str, store_zone: str) -> int:
    try:
        return written_instant(start, store_zone)
    except ValueError as error:
        raise ApiError(422, f"start: {error}", fields=[{"field": "start", "error": "not a time"}]) from error


def _nobody(spec: CampaignSpec) -> str:
    names = ", ".join(spec.audience.lists) or "the typed numbers"
    return (
        f"audience: no recipients on {names}; import contacts (`longwave contacts import`), or use sample "
        "recipients (`longwave forecast FILE --recipients N`)"
    )
