"""What a lane may ask of an aggregator that its senders use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipeline.sending.outage.breaker import Breaker


class SharedBreaker(Protocol):
    """The breaker of an aggregator, shared by the lanes of a worker."""

    name: str
    """The aggregator's name in the settings."""
    rule: Breaker
    held_until_ms: int
    """Until when the aggregator takes nothing from this account (ms), as it last said."""


@dataclass(frozen=True, slots=True)
class LaneAggregator:
    """An aggregator as a lane's driver sees it. Each call returns at once."""

    breaker: SharedBreaker
    batch: int
    """Messages in a request at most."""
    in_flight: int
    """Such requests that a channel may have under way, or smaller ones with no more messages together."""
    settled_after: float
    """Seconds after which nothing of a submission can arrive anymore."""
    has_connection: Callable[[], bool]
    """Whether a connection is free."""

    @property
    def name(self) -> str:
        return self.breaker.name
