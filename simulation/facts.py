"""The facts that a forecast needs, from an audience that a simulation has in memory."""

from __future__ import annotations

import numpy as np

from pipeline.campaign.plan import CampaignPlan
from pipeline.eligibility.decide import History
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.rehearsal import PAGE, Rehearsal, rehearse
from simulation.audience import Audience


def rehearsed(audience: Audience, plan: CampaignPlan, now: int) -> Rehearsal:
    """What eligibility would decide for the audience at `now` (ms), if no one had got a message before."""
    rehearsal = Rehearsal()
    consent = OptOuts(np.concatenate([audience.opted_out, audience.held]))
    for first in range(0, len(audience.page), PAGE):
        rehearse(rehearsal, audience.page.part(first, first + PAGE), plan, 0, History({}, consent), now)
    return rehearsal
