"""Receipts: what the carrier says later becomes the recipients' final states. Holds no state."""

from __future__ import annotations

from agents.faust_port import Event
from agents.runner import Emissions, output
from pipeline.feedback.receipts import statuses
from schemas import topics
from schemas.feedback import ReceiptBatch


def handle(batch: ReceiptBatch, event: Event) -> Emissions:
    status = statuses(batch)
    if status is None:
        return Emissions()
    return Emissions([output(topics.STATUSES, status, status.campaign)], recipients=len(batch.ordinals))
