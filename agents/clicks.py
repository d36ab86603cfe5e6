"""Clicks: requests of short links become events of recipients, people and robots apart. Holds no state."""

from __future__ import annotations

from typing import Any

from agents.runner import Emissions, output
from pipeline.clicks import statuses
from schemas import topics
from schemas.feedback import ClickBatch


def handle(batch: ClickBatch, event: Any) -> Emissions:
    status = statuses(batch)
    if status is None:
        return Emissions()
    return Emissions([output(topics.STATUSES, status, status.campaign)], recipients=len(batch.clicks))
