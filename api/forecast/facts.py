"""Reads from ClickHouse which other campaigns wait on the same lanes."""

from __future__ import annotations

import json
from typing import Final

from adapters.clickhouse import Store
from adapters.clickhouse.figures import message_sets
from api.forecast.forecasting import draft_plan
from api.terms import Installed
from pipeline.insight.accounting import figures
from pipeline.insight.forecast import CompetingCampaign, Precedence
from pipeline.lane.scheduler import rank_of
from schemas.campaign import CampaignSpec
from schemas.succession import UNSENT

_UNDER_WAY: Final = """
SELECT toString(id), name, spec FROM campaigns FINAL
WHERE account = {account:String} AND hasAny(arrayPushBack(JSONExtract(spec, 'pool', 'Array(String)'), sender),
    {senders:Array(String)}) AND status IN ('sending', 'processing', 'suspended')
ORDER BY id
"""


def competing_campaigns(
    store: Store, installed: Installed, spec: CampaignSpec, but: str = ""
) -> list[CompetingCampaign]:
    """What other campaigns have waiting on the lanes of a spec's sender; `but` is the campaign itself.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    campaigns = []
    for campaign, name, written in store.rows(_UNDER_WAY, {"account": spec.account, "senders": [*spec.senders]}):
        if campaign == but:
            continue
        other = CampaignSpec.model_validate(json.loads(written))
        deadline = draft_plan(installed, other, 0).deadline
        for sets in message_sets(store, campaign):
            counted = figures(sets)
            waiting = sum(counted.states[state] for state in UNSENT)
            mean = counted.segments / counted.accepted_ever if counted.accepted_ever else 1.0
            if waiting:
                campaigns.append(
                    CompetingCampaign(
                        name, waiting * mean, Precedence(rank_of(other.priority, deadline), other.weight)
                    )
                )
    return campaigns
