"""The report of a simulation as plain values: the same for the same campaign, audience, settings, start and seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.accounts import MICRO
from schemas.campaign import CampaignSpec
from schemas.reasons import Reason
from schemas.succession import UNSENT
from schemas.times import iso
from simulation.run import Outcome
from simulation.tally import Tally
from simulation.timeline import Timeline


def report(outcome: Outcome, specs: list[CampaignSpec], sources: list[str], seed: int, script: str) -> dict[str, Any]:
    """The first campaign at the top level, the others it shares lanes with in `others`; without wall-clock times."""
    several = zip(outcome.tallies, outcome.timelines, outcome.texts, specs, sources, strict=True)
    first, *others = (_campaign(outcome.start, *campaign_result) for campaign_result in several)
    return {
        "seed": seed,
        "script": script,
        "start": iso(outcome.start),
        "ended": iso(outcome.ended),
        "outages": outcome.outages,
        "slices": "coarse" if outcome.coarse else "as production's",
        **first,
        "others": [{key: value for key, value in other.items() if key != "timeline"} for other in others],
    }


def _campaign(
    start: int, tally: Tally, timeline: Timeline, texts: Counter[str], spec: CampaignSpec, source: str
) -> dict[str, Any]:
    figures = tally.figures()
    clicks = figures.events.get("clicked", {})
    unsent = sum(figures.states[state] for state in UNSENT)
    finish = None if unsent else tally.last_handed
    return {
        "name": spec.name,
        "audience": source,
        "targeted": figures.targeted,
        "states": dict(figures.states),
        "skips": dict(sorted(figures.reasons.get("skipped", {}).items())),
        "reasons": {state: dict(sorted(counts.items())) for state, counts in sorted(figures.reasons.items())},
        "submitted": figures.accepted_ever + figures.states["rejected"] + figures.states["unknown"],
        "segments": figures.segments,
        "spend": figures.spend / MICRO,
        "clicked": {
            "people": clicks.get(Reason.PERSON, 0),
            "bots": sum(clicks.values()) - clicks.get(Reason.PERSON, 0),
        },
        "texts": dict(sorted(texts.items())),
        "residual": figures.residual,
        "worst_residual": max((abs(sample.residual) for sample in timeline.samples), default=0),
        "finish": None if finish is None else iso(finish),
        "seconds": None if finish is None else (finish - start) / 1000,
        "unfinished": unsent,
        "expired": figures.states["expired"],
        "timeline": [
            {
                "at": iso(sample.at),
                "seconds": (sample.at - start) / 1000,
                "states": sample.states,
                "zones": sample.zones,
                "residual": sample.residual,
            }
            for sample in timeline.samples
        ],
    }
