"""Where a lane leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.ports import AggregatorPort
from agents.lane.breaker import AggregatorBreaker
from pipeline.timing.quiet_hours import QuietHours


@dataclass(frozen=True, slots=True)
class Route:
    """Where a lane leads: the aggregator, the sender number, and the lane's share of the limits (segments/s)."""

    aggregator: AggregatorPort
    account: str
    sender: str
    rate: float
    batch: int
    carrier_daily: Mapping[str, int]
    """Segments per carrier and day, the lane's share."""
    quiet: QuietHours
    """Of the lane's account."""
    breaker: AggregatorBreaker
    """The worker's for this aggregator, shared by its lanes."""
