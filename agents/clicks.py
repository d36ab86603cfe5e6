"""Clicks: requests of short links become events of recipients, people and machines apart.

A scanner follows a link within moments of the text's arrival, so while a campaign sends, a click is judged once the
statuses from before it are in ClickHouse (`SETTLED_MS`), by when its recipient was sent to. Where that is not there
by then, the click counts as a person's. Holds no state.
"""

from __future__ import annotations

import asyncio
from typing import Final

from adapters.clickhouse import Store
from adapters.clickhouse.attribution import sent_between
from adapters.clock import now_ms
from agents.context import Context
from agents.faust_port import Event
from agents.runner import Emissions, output
from pipeline.feedback.clicks import TOO_FAST_MS, statuses
from schemas import topics
from schemas.campaign import IN_LANES
from schemas.feedback import ClickBatch

SETTLED_MS: Final = 2_500
"""How long after a click the statuses from before it are in ClickHouse, usually."""
SENT_LATELY_MS: Final = 10_000
"""How long after its last change a campaign that sends no more may still have been sending when a click came."""


class Clicks:
    """The step."""

    def __init__(self, context: Context, store: Store) -> None:
        self._context = context
        self._store = store

    async def handle(self, batch: ClickBatch, event: Event) -> Emissions:
        status = statuses(batch, await self._sent(batch))
        if status is None:
            return Emissions()
        return Emissions([output(topics.STATUSES, status, status.campaign)], recipients=len(batch.clicks))

    async def _sent(self, batch: ClickBatch) -> dict[int, int]:
        """Ordinal → ms of who was sent to shortly before their click."""
        times = [click.at for click in batch.clicks]
        if not times or not self._sends(batch.campaign, min(times)):
            return {}
        await asyncio.sleep(max(0, max(times) + SETTLED_MS - now_ms()) / 1000)
        return await asyncio.to_thread(
            sent_between,
            self._store,
            (batch.campaign, batch.message),
            sorted({click.ordinal for click in batch.clicks}),
            (min(times) - TOO_FAST_MS, max(times)),
        )

    def _sends(self, campaign: str, at: int) -> bool:
        document = self._context.campaigns.get(campaign)
        if document is None:
            return False
        return document.status in IN_LANES or at - document.updated < SENT_LATELY_MS
