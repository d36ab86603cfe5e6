"""Settlement: watches the accounting of campaigns under way and tells the coordinator how far they are.

Runs beside the writer, at whose pace the accounting moves. That a campaign is sent or finished is decided by the
coordinator, and saying it twice changes nothing. What was measured is kept for the views (`message_figures`); after
its end a campaign is measured again where something came late.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, get_args

from adapters.clickhouse import Store
from adapters.clickhouse.figures import message_sets, versions
from adapters.clickhouse.measured import campaigns_behind, insert_figures
from adapters.clock import now_ms
from agents.context import Context
from agents.outbox import Outbox
from agents.rounds import in_rounds
from agents.runner import output
from agents.spending import Spending, export
from pipeline.campaign.settlement import reached
from pipeline.insight.accounting import figures
from schemas import metrics, topics
from schemas.campaign import IN_LANES, CampaignDocument, Progress, Status
from schemas.figures import Figures

log = logging.getLogger(__name__)

SECONDS = 1.0
SENT_ROUNDS = 5
"""A campaign that only waits for receipts is looked at in one round of this many; it may wait for days."""
LATE_ROUNDS = 30
"""Rounds between two looks for ended campaigns of which something came late."""
LATE_AT_ONCE = 10
"""Of these at most so many are measured in a round, which those under way wait for."""


CurrentUntil = Callable[[], int | None]


class Settlement:
    """One round a second over the campaigns that are not at their end. Those of which nothing was recorded since the
    last round are not measured again."""

    def __init__(self, context: Context, store: Store, current_until: CurrentUntil = lambda: None) -> None:
        """`current_until`: until when (ms) ClickHouse has every status that was written; None: not known."""
        self._context = context
        self._store = store
        self._current_until = current_until
        self._figures = FigureAges()
        self._outbox = Outbox(context.producer)
        self._told: dict[str, str] = {}
        self._rounds = 0
        self._watched: set[str] = set()
        """Campaigns of which the residual is exported."""
        self._kept: dict[str, list[Figures]] = {}
        """What `message_figures` has of the campaigns under way."""
        self._measured: dict[str, tuple[int, int]] = {}
        """Of which revision and version of a campaign `_kept` is; see `versions`."""
        self._late: list[str] = []
        """Ended campaigns to measure again."""
        self._unknown: dict[str, int] = {}
        """Unknown recipients by campaign."""
        self._spending = Spending(context, self._outbox, store)

    async def run(self) -> None:
        await in_rounds("settlement", SECONDS, self._round)

    async def _round(self) -> None:
        self._rounds += 1
        everybody = self._rounds % SENT_ROUNDS == 0
        count(self._context.campaigns.all())
        self._wake_scheduled()
        under_way = {
            document.id: document
            for document in self._context.campaigns.all()
            if _under_way(document) and (everybody or document.status in IN_LANES)
        }
        self._forget_ended()
        asked = now_ms()
        # Asked before the figures: what is recorded in between is measured in the next round, never overlooked.
        now = await asyncio.to_thread(versions, self._store, [*under_way]) if under_way else {}
        for campaign, document in under_way.items():
            state = (document.revision, now.get(campaign, 0))
            is_same = state == self._measured.get(campaign)
            looked_at = asked if is_same else now_ms()
            measured = self._kept[campaign] if is_same else await asyncio.to_thread(self._measure, campaign)
            self._figures.read(campaign, min(looked_at, self._current_until() or looked_at))
            if measured != self._kept.get(campaign):
                await asyncio.to_thread(insert_figures, self._store, measured)
                self._kept[campaign] = measured
            # Of whom nothing is recorded yet there is no version.
            if measured and campaign in now:
                self._measured[campaign] = state
            if measured:
                self._tell(document, measured)
        metrics.UNKNOWN.set(self.unknown())
        await self._measure_late()
        export(self._context.ledger, now_ms())

    def unknown(self) -> int:
        """Unknown recipients of all campaigns under way, as of their last look."""
        return sum(self._unknown.values())

    def _measure(self, campaign: str) -> list[Figures]:
        """The figures of a campaign's messages now. Blocks."""
        return [figures(sets) for sets in message_sets(self._store, campaign)]

    async def _measure_late(self) -> None:
        """Measure some of the campaigns that are over and whose measured figures are behind."""
        if self._rounds % LATE_ROUNDS == 1 and not self._late:
            self._late = await asyncio.to_thread(campaigns_behind, self._store)
            self._late += [campaign for campaign in await self._spending.unreported() if campaign not in self._late]
        await self._spending.report_replies()
        behind, self._late = self._late[:LATE_AT_ONCE], self._late[LATE_AT_ONCE:]
        current = self._current()
        for campaign in behind:
            if campaign not in current:
                measured = await asyncio.to_thread(self._measure, campaign)
                await asyncio.to_thread(insert_figures, self._store, measured)
                document = self._context.campaigns.get(campaign)
                if document is not None and measured:
                    self._spending.report(document, measured, self._stage(document, measured), now_ms())

    def _stage(
        self, document: CampaignDocument, figures_of_messages: Sequence[Figures]
    ) -> Literal["sent", "finished"] | None:
        window = int(self._context.settings.receipt_window_hours * 3_600_000)
        return reached(document, figures_of_messages, now_ms(), window)

    def _current(self) -> dict[str, str]:
        """The campaigns under way, each with its status."""
        return {document.id: document.status for document in self._context.campaigns.all() if _under_way(document)}

    def _forget_ended(self) -> None:
        """A campaign at its end, or deleted, has no series anymore; the page still shows its residual."""
        under_way = self._current()
        self._figures.follow(under_way, now_ms())
        current = set(under_way)
        self._unknown = {campaign: count for campaign, count in self._unknown.items() if campaign in current}
        for campaign in self._watched - current:
            metrics.CAMPAIGN_RESIDUAL.remove(campaign)
        self._watched &= current
        self._told = {campaign: stage for campaign, stage in self._told.items() if campaign in current}
        self._kept = {campaign: measured for campaign, measured in self._kept.items() if campaign in current}
        self._measured = {campaign: state for campaign, state in self._measured.items() if campaign in current}

    def _wake_scheduled(self) -> None:
        """Tell the coordinator of each scheduled campaign whose time has come, again until it has begun."""
        now = now_ms()
        for document in self._context.campaigns.all():
            if document.status == "scheduled" and now >= document.begins:
                progress = Progress(campaign=document.id, reached="due", at=now)
                self._outbox.send(output(topics.COMMANDS, progress, document.id))

    def _tell(self, document: CampaignDocument, figures_of_messages: Sequence[Figures]) -> None:
        metrics.CAMPAIGN_RESIDUAL.labels(document.id).set(
            sum(abs(message_figures.residual) for message_figures in figures_of_messages)
        )
        self._watched.add(document.id)
        self._unknown[document.id] = sum(message_figures.states["unknown"] for message_figures in figures_of_messages)
        stage = self._stage(document, figures_of_messages)
        self._spending.report(document, figures_of_messages, stage, now_ms())
        if stage is None or self._told.get(document.id) == stage:
            return
        self._told[document.id] = stage
        progress = Progress(campaign=document.id, reached=stage, at=now_ms())
        self._outbox.send(output(topics.COMMANDS, progress, document.id))


class FigureAges:
    """How old the figures of the campaigns under way are, by status, as the metrics page asks: they age also while a
    look at ClickHouse hangs."""

    def __init__(self) -> None:
        self._as_of: dict[str, int] = {}
        """Until when (ms) the figures of a campaign hold; of one that was never looked at, since when it is known."""
        self._by_status: dict[str, list[str]] = {}

    def follow(self, under_way: Mapping[str, str], now: int) -> None:
        """The campaigns under way at `now` (ms), each with its status."""
        self._as_of = {campaign: self._as_of.get(campaign, now) for campaign in under_way}
        before, self._by_status = set(self._by_status), {}
        for campaign, status in under_way.items():
            self._by_status.setdefault(status, []).append(campaign)
        for status in before - set(self._by_status):
            metrics.CAMPAIGN_FRESHNESS.remove(status)
        for status in set(self._by_status) - before:
            metrics.CAMPAIGN_FRESHNESS.labels(status).set_function(partial(self.oldest, status))

    def read(self, campaign: str, as_of: int) -> None:
        """The figures of a campaign were read and hold until `as_of` (ms)."""
        if campaign in self._as_of:
            self._as_of[campaign] = as_of

    def oldest(self, status: str) -> float:
        """Age in seconds of the oldest figures of a status."""
        times = [self._as_of.get(campaign, 0) for campaign in self._by_status.get(status, ())]
        return max(0, now_ms() - min(times)) / 1000 if times else 0.0


def count(documents: Iterable[CampaignDocument]) -> None:
    """Set the gauge of campaigns by status, 0 where there is none."""
    counts = Counter(document.status for document in documents)
    for status in get_args(Status):
        metrics.CAMPAIGNS.labels(status).set(counts[status])


def _under_way(document: CampaignDocument) -> bool:
    if document.status in IN_LANES | {"sent"}:
        return document.recipients > 0
    return document.status == "canceled" and document.recipients > 0 and not document.finished
