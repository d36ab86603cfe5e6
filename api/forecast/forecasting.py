"""The forecast of a campaign from its recipients, the competing campaigns, its sender and the settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from api.terms import Installed, terms_in
from pipeline.accounts.placing import lanes_of
from pipeline.campaign.plan import CampaignPlan, compile_plan
from pipeline.eligibility.rehearsal import Crowd
from pipeline.insight.forecast import CompetingCampaign, Precedence
from pipeline.insight.forecast_groups import groups_of, last_due
from pipeline.insight.forecast_words import Forecast, Question, forecast
from pipeline.lane.scheduler import rank_of
from pipeline.limits.rate import most_under_way, sustained
from schemas.campaign import CampaignDocument, CampaignSpec
from schemas.json import JsonObject
from schemas.times import iso_or_none
from schemas.wire import CHUNK_LIMIT

DECIDED_PER_SECOND: Final = 30_000
"""Recipients that the steps before the lanes pass in a second (`longwave bench whole`)."""
TYPICAL_LATENCY: Final = 0.05
"""Seconds until an aggregator answers, if it was not measured."""
HORIZON_DAYS: Final = 30
"""Days that a forecast looks beyond the time at which the last recipient may be sent to."""
_DRAFT: Final = "00000000"


def forecast_of(
    installed: Installed,
    spec: CampaignSpec,
    crowds: Collection[Crowd],
    now: int,
    competitors: Sequence[CompetingCampaign] = (),
    latency: float = TYPICAL_LATENCY,
) -> Forecast:
    """The forecast of a spec launched at `now` (ms) to `crowds`; its account and sender must be there.

    Raises:
        pipeline.campaign.plan.PlanError: it cannot be sent as it is written.
    """
    settings, accounts = installed.settings, installed.accounts
    sender = accounts.sender(spec.account, spec.sender)
    assert sender is not None, "its caller has looked"
    plan = draft_plan(installed, spec, now)
    lanes = len(lanes_of(sender, settings.kafka.lanes))
    share = accounts.share(sender) / lanes
    recipients = sum(crowd.recipients for crowd in crowds)
    mean_parts = sum(crowd.segments for crowd in crowds) / max(1, recipients)
    batch = settings.aggregators[sender.aggregator].capabilities.batch
    kept_up = sustained(share, latency, most_under_way(share, batch, settings.worker.in_flight))
    horizon = last_due(crowds, plan, now) + HORIZON_DAYS * 86_400_000
    return forecast(
        Question(
            sender=spec.sender,
            limit=share * lanes,
            rate=min(kept_up / _busiest(recipients, lanes), DECIDED_PER_SECOND * max(mean_parts, 1.0)),
            begin=now,
            deadline=plan.deadline,
            horizon=horizon,
            days=HORIZON_DAYS,
            precedence=Precedence(rank_of(spec.priority, plan.deadline), spec.weight),
            groups=groups_of(crowds, plan, now, horizon),
            competitors=competitors,
        )
    )


def _busiest(recipients: int, lanes: int) -> float:
    """The share of the recipients in the lane that has the most: whole chunks go to the lanes in turn."""
    chunks = max(1, -(-recipients // CHUNK_LIMIT))
    return -(-chunks // lanes) / chunks


def draft_plan(installed: Installed, spec: CampaignSpec, now: int) -> CampaignPlan:
    """The plan of a spec as if it were launched at `now`."""
    draft = CampaignDocument(
        id=_DRAFT,
        spec=spec.model_dump(mode="json"),
        status="draft",
        revision=1,
        created=now,
        updated=now,
        launched=now,
    )
    return compile_plan(draft, terms_in(installed, spec))


def forecast_json(name: str, audience: str, forecast: Forecast, skipped: Mapping[str, int]) -> JsonObject:
    """The forecast of the campaign `name`, times as ISO 8601 in UTC; `audience` says in words whom it is about,
    `skipped` (reason -> recipients) who of them would get nothing."""
    value = asdict(forecast)
    times = {key: value[key] and iso_or_none(value[key]) for key in ("begin", "finish", "horizon")}
    zones = [{**zone, "finish": zone["finish"] and iso_or_none(zone["finish"])} for zone in value["zones"]]
    return {"name": name, "audience": audience, **value, **times, "zones": zones, "skipped": dict(skipped)}
