"""What `longwave forecast` rests on: contacts and queues in ClickHouse, or sample people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.settings import Settings
from cli.console import UserError
from pipeline.forecast import Rival
from pipeline.forecast_groups import Living
from schemas.campaign import CampaignSpec


@dataclass(frozen=True, slots=True)
class Facts:
    """`mean_parts`: segments of a message on average. `source` in words."""

    people: Sequence[Living]
    mean_parts: float
    rivals: Sequence[Rival]
    source: str


def contacts(settings: Settings, spec: CampaignSpec) -> Facts:
    """The contacts of the campaign and the other campaigns' queues.

    Raises:
        UserError: a list does not exist, or nobody is on it.
        StoreUnavailable, StoreRefused.
    """
    from adapters.clickhouse import Store
    from api.forecasting import people_of, rivals_of
    from api.reviewing import mean_parts_of

    store = Store(settings.clickhouse, timeout=30.0)
    try:
        people = people_of(store, spec)
        if not people:
            names = ", ".join(spec.audience.lists) or "the typed numbers"
            raise UserError(
                f"nobody to send to on {names}; import contacts, or give --recipients N for sample people"
            )
        source = f"{sum(one.recipients for one in people):,} contacts"
        return Facts(people, mean_parts_of(store, settings, spec), rivals_of(store, settings, spec), source)
    finally:
        store.close()


def sampled(settings: Settings, spec: CampaignSpec, recipients: int, seed: int) -> Facts:
    """Sample people, the same as `longwave simulate` takes; nobody else queues.

    Raises:
        UserError: its account or sender is not configured, or its text is no template.
    """
    from adapters.clock import now_ms
    from api.forecasting import draft_plan
    from loadtest.simulation.audience import sample
    from loadtest.simulation.facts import mean_parts, people_of
    from pipeline.plan import PlanError

    try:
        plan = draft_plan(settings, spec, now_ms())
    except PlanError as error:
        raise UserError(str(error)) from error
    audience = sample(recipients, seed, plan.fields)
    return Facts(people_of(audience), mean_parts(audience, plan), (), audience.source)
