"""Receipts: what the carrier says later becomes the recipients' final states. Holds no state."""

from __future__ import annotations

from agents.context import Context
from agents.faust_port import Event
from agents.runner import Emissions, output
from pipeline.feedback.receipts import statuses
from schemas import topics
from schemas.feedback import ReceiptBatch


class Receipts:
    """The step."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def handle(self, batch: ReceiptBatch, event: Event) -> Emissions:
        status = statuses(batch)
        if status is None:
            return Emissions()
        emissions = Emissions([output(topics.STATUSES, status, status.campaign)], recipients=len(batch.ordinals))
        if self._context.traces is not None:
            emissions.traced = self._context.traces.received(batch, event)
        return emissions
