"""What a forecast asks of an audience that a simulation has in memory."""

from __future__ import annotations

import numpy as np

from loadtest.simulation.audience import Audience
from pipeline.optouts import OptOuts
from pipeline.plan import CampaignPlan
from pipeline.rehearsal import PAGE, Rehearsal, rehearse
from schemas.audience import AudiencePage


def rehearsed(audience: Audience, plan: CampaignPlan, now: int) -> Rehearsal:
    """What eligibility would decide for the audience at `now` (ms), if nobody had been sent anything before."""
    found = Rehearsal()
    consent = OptOuts(np.concatenate([audience.opted_out, audience.held]))
    for first in range(0, len(audience.page), PAGE):
        rehearse(found, _slice(audience.page, first, first + PAGE), plan, 0, {}, consent, now)
    return found


def _slice(page: AudiencePage, first: int, last: int) -> AudiencePage:
    return AudiencePage(
        first=first,
        numbers=page.numbers[first:last],
        zones=page.zones,
        zone=page.zone[first:last],
        countries=page.countries,
        country=page.country[first:last],
        regions=page.regions,
        region=page.region[first:last],
        fields={name: column[first:last] for name, column in page.fields.items()},
    )
