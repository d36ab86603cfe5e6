"""Gathers what a forecast must know: where the audience is and who queues, from ClickHouse; limits from settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from adapters.clickhouse import Store
from adapters.clickhouse.figures import message_sets
from adapters.clickhouse.review import whereabouts
from adapters.settings import Settings
from pipeline.accounting import figures
from pipeline.audience import typed_numbers
from pipeline.forecast import Rival
from pipeline.forecast_groups import Living, groups_of
from pipeline.forecast_words import Forecast, Question, forecast
from pipeline.money import PriceList
from pipeline.plan import CampaignPlan, Terms, compile_plan
from pipeline.quiet_hours import quiet_of
from pipeline.rate import lane_share, sustained
from pipeline.scheduler import rank_of
from pipeline.settlement import UNSENT
from schemas.campaign import CampaignDocument, CampaignSpec
from schemas.wire import CHUNK_LIMIT

DECIDED_PER_SECOND: Final = 30_000
"""Recipients that the steps before the lanes pass in a second (`longwave bench whole`)."""
TYPICAL_LATENCY: Final = 0.05
"""Seconds until an aggregator answers, where nobody has measured it."""
LOOKED_AT_MS: Final = 30 * 86_400_000
"""How far a forecast looks ahead."""
_DRAFT: Final = "00000000"


def forecast_of(
    settings: Settings,
    spec: CampaignSpec,
    people: Sequence[Living],
    mean_parts: float,
    now: int,
    rivals: Sequence[Rival] = (),
    latency: float = TYPICAL_LATENCY,
) -> Forecast:
    """The forecast of a spec launched at `now` (ms) to `people`; its account and sender must be configured.

    Raises:
        pipeline.plan.PlanError: it cannot be sent as it is written.
    """
    account = settings.accounts[spec.account]
    sender = account.senders[spec.sender]
    lanes = len(sender.lanes)
    senders = sum(one.segments_per_second for one in account.senders.values())
    share = lane_share(sender.segments_per_second, account.segments_per_second, senders, lanes)
    plan = draft_plan(settings, spec, now)
    recipients = sum(one.recipients for one in people)
    batch = settings.aggregators[sender.aggregator].batch
    kept_up = sustained(share, latency, settings.worker.in_flight, batch)
    return forecast(
        Question(
            sender=spec.sender,
            limit=share * lanes,
            rate=min(kept_up / _busiest(recipients, lanes), DECIDED_PER_SECOND * max(mean_parts, 1.0)),
            begin=now,
            deadline=plan.deadline,
            rank=rank_of(spec.priority, plan.deadline),
            weight=spec.weight,
            groups=groups_of(people, mean_parts, plan, now, now + LOOKED_AT_MS),
            rivals=rivals,
        )
    )


def _busiest(recipients: int, lanes: int) -> float:
    """The share of the recipients in the lane that has the most: whole chunks go to the lanes in turn."""
    chunks = max(1, -(-recipients // CHUNK_LIMIT))
    return -(-chunks // lanes) / chunks


def people_of(store: Store, spec: CampaignSpec) -> list[Living]:
    """Where the audience is now, without who is opted out.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    found = whereabouts(store, spec.audience.lists, typed_numbers(spec.audience.numbers)[0])
    return [
        Living(one.country, one.region, one.zone, one.number, one.recipients - one.opted_out)
        for one in found
        if one.recipients > one.opted_out
    ]


_UNDER_WAY: Final = """
SELECT toString(id), name, spec FROM campaigns FINAL
WHERE account = {account:String} AND sender = {sender:String} AND status IN ('sending', 'processing', 'suspended')
ORDER BY id
"""


def rivals_of(store: Store, settings: Settings, spec: CampaignSpec, but: str = "") -> list[Rival]:
    """What other campaigns have waiting on the lanes of a spec's sender; `but` is the campaign itself.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    found = []
    for campaign, name, written in store.rows(_UNDER_WAY, {"account": spec.account, "sender": spec.sender}):
        if campaign == but:
            continue
        other = CampaignSpec.model_validate(json.loads(written))
        deadline = draft_plan(settings, other, 0).deadline
        for sets in message_sets(store, campaign):
            counted = figures(sets)
            waiting = sum(counted.states[state] for state in UNSENT)
            mean = counted.segments / counted.accepted_ever if counted.accepted_ever else 1.0
            if waiting:
                found.append(Rival(name, waiting * mean, rank_of(other.priority, deadline), other.weight))
    return found


def draft_plan(settings: Settings, spec: CampaignSpec, now: int) -> CampaignPlan:
    """The plan of a spec as if it were launched at `now`."""
    account = settings.accounts[spec.account]
    sender = account.senders[spec.sender]
    terms = Terms(
        site_name=account.site_name,
        store_zone=account.store_zone,
        lanes=sender.lanes,
        prices=PriceList(default=settings.prices.default, countries=settings.prices.countries),
        link_base=settings.ingress.url,
        carriers=bool(sender.carrier_daily),
        unknown_zone=account.unknown_zone,
        quiet=quiet_of(settings.quiet_reading(spec.account), account.quiet_hours, now),
        day_cap=account.caps.day,
        week_cap=account.caps.week,
    )
    draft = CampaignDocument(
        id=_DRAFT,
        spec=spec.model_dump(mode="json"),
        status="draft",
        revision=1,
        created=now,
        updated=now,
        launched=now,
    )
    return compile_plan(draft, terms)
