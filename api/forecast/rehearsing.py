"""Runs production's eligibility over the audience of a campaign that is not launched yet; nothing is reserved."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters.clickhouse.audience import preview
from adapters.clickhouse.review import survey
from api.forecast.forecasting import draft_plan
from api.services import Services
from api.terms import terms_in
from pipeline.audience.typed_numbers import typed_numbers
from pipeline.campaign.plan import CampaignPlan, PlanError, compile_plan
from pipeline.campaign.when import begins
from pipeline.content.text_estimate import TextSurvey
from pipeline.eligibility.decide import History
from pipeline.eligibility.rehearsal import PAGE, ReadOnlyTable, Rehearsal, rehearse
from pipeline.insight.review import Rehearsed
from pipeline.limits.smart_sending import Table
from schemas.audience import AudiencePage, Indices
from schemas.campaign import IN_LANES, CampaignDocument, CampaignSpec
from schemas.ids import BUCKETS

PENDING_LIMIT: Final = 500_000
"""Most recipients of earlier campaigns that are rehearsed too because they have not reserved yet."""
_BEFORE_LANES: Final = frozenset({"scheduled", "processing"})


@dataclass(frozen=True, slots=True)
class _Answered:
    """What consents and unreachable numbers said of one page: they change in the event loop while a page is judged in
    a thread."""

    codes: NDArray[np.uint8]
    unreachable: NDArray[np.bool_]

    def codes_of(self, account: str, numbers: Indices) -> NDArray[np.uint8]:
        return self.codes

    def mask(self, numbers: Indices, now: int, retry_days: int) -> NDArray[np.bool_]:
        return self.unreachable


async def rehearsed(
    services: Services,
    spec: CampaignSpec,
    recipients: int,
    now: int,
    *,
    but: str = "",
    until_somebody: bool = False,
) -> Rehearsed:
    """What eligibility would decide if `spec` were launched at `now` (ms). `recipients`: about how many there are;
    `but`: the campaign itself. `until_somebody`: stop at the first page with somebody who would get it.

    Raises:
        PlanError: it cannot be sent as it is written.
        StoreUnavailable: ClickHouse does not answer.
        ApiError: 503, Kafka does not answer.
    """
    plan = draft_plan(services.installed, spec, now)
    at = max(now, begins(plan))
    pending = [] if until_somebody or plan.transactional else _pending(services, at, but)
    table, uncounted = await _reservations(services, plan, pending)
    outcome = Rehearsal()
    surveys = []
    for index, message in enumerate(plan.messages):
        counted = TextSurvey(message.renderer, plan.links)
        surveys.append(counted)
        async for page, answered in _pages(services, plan, recipients, at):
            history = History(table, answered, answered)
            judgment, goes = await asyncio.to_thread(rehearse, outcome, page, plan, index, history, at)
            await asyncio.to_thread(counted.add, page.fields, judgment.segments, goes)
            if until_somebody and outcome.going:
                break
    texts = await asyncio.to_thread(lambda: tuple(survey.estimate() for survey in surveys))
    return Rehearsed(outcome=outcome, texts=texts, uncounted=tuple(uncounted))


async def _pages(
    services: Services, plan: CampaignPlan, recipients: int, at: int
) -> AsyncIterator[tuple[AudiencePage, _Answered]]:
    """The audience as it would be frozen, in pages of about `PAGE` recipients, each with who is blocked."""
    audience = plan.spec.audience
    typed = typed_numbers(audience.numbers)[0]
    pages = max(1, -(-recipients // PAGE))
    edges = [BUCKETS * page // pages for page in range(pages + 1)]
    await services.eligibility.ready()
    for first, last in pairwise(edges):
        page = await asyncio.to_thread(
            preview, services.figures.store, audience.lists, typed, plan.fields, (first, last)
        )
        if len(page):
            eligibility = services.eligibility
            blocked = eligibility.optouts.codes_of(plan.spec.account, page.numbers)
            yield (
                page,
                _Answered(blocked, eligibility.unreachable.mask(page.numbers, at, plan.unreachable_retry_days)),
            )


async def _reservations(
    services: Services, plan: CampaignPlan, pending: Sequence[CampaignDocument]
) -> tuple[Table, list[str]]:
    """The reservations as they will be once the `pending` have reserved, and what is not counted, in words."""
    if plan.transactional:
        return ReadOnlyTable({}), []
    kept: dict[int, bytes] = {}
    held = await services.eligibility.reservations()
    table: ChainMap[int, bytes] = ChainMap(kept, held)  # type: ignore[arg-type]  # only the first is written to
    uncounted = []
    left = PENDING_LIMIT
    for document in pending:
        other = _plan(services, document)
        if other is None or other.transactional:
            continue
        numbers = typed_numbers(other.spec.audience.numbers)[0].numbers
        size = (
            await asyncio.to_thread(survey, services.figures.store, other.spec.audience.lists, numbers, ())
        ).recipients
        if size > left:
            uncounted.append(
                f"campaign {other.spec.name!r} is sent first, and its {size:,} recipients do not count as messaged "
                "yet: review again when it is sending"
            )
            continue
        left -= size
        begin = max(document.begins, document.launched)
        async for page, answered in _pages(services, other, size, begin):
            history = History(table, answered, answered)
            await asyncio.to_thread(rehearse, Rehearsal(), page, other, 0, history, begin)
    return ReadOnlyTable(table), uncounted


def _pending(services: Services, at: int, but: str) -> list[CampaignDocument]:
    """Campaigns that are launched and reserve before `at` (ms) what they have not reserved yet, in their order."""
    judgment = [
        document
        for document in services.campaigns.all()
        if document.id != but
        and (
            (document.status in _BEFORE_LANES and document.begins <= at)
            or (document.status in IN_LANES and _has_pending(services, document))
        )
    ]
    return sorted(judgment, key=lambda document: max(document.begins, document.launched))


def _has_pending(services: Services, document: CampaignDocument) -> bool:
    snapshot = services.figures.latest(document.id)
    return snapshot is None or bool(snapshot.figures["states"]["pending"])


def _plan(services: Services, document: CampaignDocument) -> CampaignPlan | None:
    try:
        spec = document.parsed()
        return compile_plan(document, terms_in(services.installed, spec))
    except (PlanError, ValueError, KeyError):
        return None  # a campaign that cannot be sent reserves nothing
