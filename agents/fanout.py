"""Fan-out: freezes an audience into ordinals, then expands ordinal ranges into recipient chunks."""

from __future__ import annotations

import asyncio
from typing import Any

from adapters.clickhouse.audience import AudienceStore
from adapters.clock import now_ms
from adapters.errors import StoreUnavailable
from agents.context import Context
from agents.outbox import Outbox
from agents.runner import Emissions, output
from pipeline.audience import typed_numbers
from pipeline.fanout import chunks
from pipeline.plan import CampaignPlan
from schemas import topics
from schemas.campaign import Frozen, Note
from schemas.chunk import FanoutRange, Freeze


class Fanout:
    """The step. Repeating a task repeats the same chunks: the frozen audience does not change."""

    def __init__(self, context: Context, store: AudienceStore) -> None:
        self._context = context
        self._store = store
        self._outbox: Outbox | None = None

    async def handle(self, record: Freeze | FanoutRange, event: Any) -> Emissions:
        plan = self._context.plan(record.campaign, record.revision)
        if plan is None or plan.canceled:
            return Emissions()
        try:
            if isinstance(record, Freeze):
                return await self._freeze(record, plan)
            return await self._expand(record)
        except StoreUnavailable as error:
            self._note(record.campaign, f"waiting for ClickHouse: {error}")
            raise

    async def _freeze(self, record: Freeze, plan: CampaignPlan) -> Emissions:
        audience = plan.spec.audience
        recipients = await asyncio.to_thread(
            self._store.freeze,
            record.campaign,
            record.revision,
            audience.lists,
            typed_numbers(audience.numbers)[0],
            plan.fields,
        )
        frozen = Frozen(campaign=record.campaign, revision=record.revision, recipients=recipients, at=now_ms())
        return Emissions([output(topics.COMMANDS, frozen, record.campaign)], recipients=recipients)

    async def _expand(self, record: FanoutRange) -> Emissions:
        page = await asyncio.to_thread(self._store.page, record.campaign, record.revision, record.first, record.last)
        partitions = self._context.settings.kafka.partitions
        outputs = [
            output(topics.RECIPIENTS, chunk, partition=partition)
            for partition, chunk in chunks(record, page, partitions)
        ]
        return Emissions(outputs, recipients=len(page))

    def _note(self, campaign: str, reason: str) -> None:
        if self._outbox is None:
            self._outbox = Outbox(self._context.producer)
        note = Note(campaign=campaign, reason=reason, at=now_ms())
        self._outbox.send(output(topics.COMMANDS, note, campaign))
