"""What a forecast asks of an audience that a simulation has in memory."""

from __future__ import annotations

import numpy as np

from loadtest.simulation.audience import Audience
from pipeline.eligibility import SHORTEST_NUMBER
from pipeline.forecast_groups import Living
from pipeline.plan import CampaignPlan

COUNTED = 10_000
"""Recipients whose texts are counted."""


def people_of(audience: Audience) -> list[Living]:
    """Where those are who may be sent to: neither opted out nor held, with a number that can be one."""
    page = audience.page
    numbers = np.asarray(page.numbers, np.uint64)
    may = (numbers >= SHORTEST_NUMBER) & ~np.isin(numbers, np.concatenate([audience.opted_out, audience.held]))
    numbers = numbers[may]
    if not len(numbers):
        return []
    # Numbers that begin alike may be in the same zones; four digits are an area code of North America.
    digits = np.floor(np.log10(numbers.astype(np.float64))).astype(np.int64) + 1
    prefix = numbers.astype(np.int64) // 10 ** np.maximum(digits - 4, 0)
    places = [np.asarray(column, np.int64)[may] for column in (page.zone, page.country, page.region)]
    keys = np.stack([*places, prefix], axis=1)
    _, first, count = np.unique(keys, axis=0, return_index=True, return_counts=True)
    return [
        Living(
            country=page.countries[places[1][at]],
            region=page.regions[places[2][at]],
            zone=page.zones[places[0][at]],
            number=int(numbers[at]),
            recipients=int(size),
        )
        for at, size in zip(first.tolist(), count.tolist(), strict=True)
    ]


def mean_parts(audience: Audience, plan: CampaignPlan) -> float:
    """Segments of a message on average, counted over recipients spread over the audience."""
    page = audience.page
    step = max(1, len(page) // COUNTED)
    columns = {name: column[::step] for name, column in page.fields.items()}
    n = len(range(0, len(page), step))
    return float(sum(one.renderer.segments(columns, n, plan.link_base).mean() for one in plan.messages))
