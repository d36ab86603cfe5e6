"""What eligibility would decide for the audience of a campaign: production's `judge`, page by page, and no record.

The review, the forecast and the launch's last look share it, so that they and the run agree: the same opt-outs,
holds, reservations, caps, zones, quiet hours and texts. Nothing is reserved: recipients of one message do not
influence each other, so what `judge` writes may be thrown away (`ReadOnlyTable`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.campaign.plan import CampaignPlan
from pipeline.eligibility.decide import History, Judgment, judge, reason_of
from pipeline.ledger.tariff import MostCost
from pipeline.timing.location_key import Place
from pipeline.timing.zones import UNKNOWN, ZoneSet, zone_sets
from schemas.audience import AudiencePage

PAGE: Final = 50_000
"""Recipients that are judged at once; about 30 MB."""


class ReadOnlyTable(MutableMapping[int, bytes]):
    """A read-only view of reservations: assignments are discarded."""

    def __init__(self, reservations: Mapping[int, bytes]) -> None:
        self._reservations = reservations

    def __getitem__(self, bucket: int) -> bytes:
        return self._reservations[bucket]

    def __setitem__(self, bucket: int, packed: bytes) -> None:
        """Forget it."""

    def __delitem__(self, bucket: int) -> None:
        """Forget it."""

    def __iter__(self) -> Iterator[int]:
        return iter(self._reservations)

    def __len__(self) -> int:
        return len(self._reservations)


@dataclass(slots=True)
class Crowd:
    """Recipients of the message in the same time zones and place."""

    zones: ZoneSet
    place: Place
    recipients: int = 0
    segments: int = 0


@dataclass(slots=True)
class Rehearsal:
    """What would become of the recipients seen so far; `cost` in millionths of a credit."""

    recipients: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason -> recipients."""
    expiring: int = 0
    """Recipients whose first allowed moment is not before the deadline."""
    going: int = 0
    """Recipients whose message would be submitted."""
    segments: int = 0
    cost: int = 0
    most: int = 0
    """The most that they can cost, whoever is skipped (`pipeline.ledger.tariff`)."""
    crowds: dict[tuple[int, int], Crowd] = field(default_factory=dict)
    """By zones and place; of the expiring too, since a forecast says when windows open."""


def rehearse(
    into: Rehearsal, page: AudiencePage, plan: CampaignPlan, message: int, history: History, now: int
) -> tuple[Judgment, NDArray[np.bool_]]:
    """Judge a page as of `now` (ms) and add it up; returns the judgment, and who would be handed over."""
    judgment = judge(page, message, plan, history, now)
    into.recipients += len(page)
    for code, count in enumerate(np.bincount(judgment.reasons).tolist()):
        if code and count:
            into.skipped[reason_of(code).value] += count
    passed = judgment.reasons == 0
    goes = passed if plan.deadline is None else passed & (judgment.when.due < plan.deadline)
    into.expiring += int(passed.sum() - goes.sum())
    segments = judgment.segments[goes].astype(np.int64)
    prices = judgment.prices[goes]
    into.going += len(segments)
    into.segments += int(segments.sum())
    into.cost += int((segments * prices).sum())
    most = MostCost(plan.prices, plan.max_segments, now, plan.deadline)
    most.add(page.countries, page.country, page.fields, judgment.segments)
    into.most += most.amount
    _gather(into.crowds, judgment, passed, plan)
    return judgment, goes


def _gather(
    crowds: dict[tuple[int, int], Crowd], judgment: Judgment, passed: NDArray[np.bool_], plan: CampaignPlan
) -> None:
    zones, places = judgment.where.zone_ids[passed].astype(np.int64), judgment.where.rule_ids[passed]
    if not len(zones):
        return
    keys, back = np.unique(places * len(zone_sets()) + zones, return_inverse=True)
    counts = np.bincount(back).tolist()
    segments = np.bincount(back, judgment.segments[passed]).tolist()
    for key, count, parts in zip(keys.tolist(), counts, segments, strict=True):
        place, zone = divmod(key, len(zone_sets()))
        crowd = crowds.get((zone, place))
        if crowd is None:
            names = zone_sets()[zone] if zone != UNKNOWN else (plan.store_zone,)
            crowd = crowds[zone, place] = Crowd(names, plan.quiet.place(place))
        crowd.recipients += count
        crowd.segments += round(parts)
