"""What the adapters of all kinds share: the account's connections, and figures of its submissions."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager

from adapters.ports import OUTCOMES, Capabilities, Submission, SubmitOutcome, Trip, count_outcomes
from schemas.metrics import (
    AGGREGATOR_CONNECTIONS,
    AGGREGATOR_CONNECTIONS_USED,
    AGGREGATOR_OUTCOMES,
    AGGREGATOR_SECONDS,
)


class Account(ABC):
    """The part of a `ports.AggregatorPort` that does not depend on the protocol. Made and used in one event loop."""

    def __init__(self, name: str, capabilities: Capabilities, connections: int) -> None:
        """`name` labels the metrics; `connections`: how many submissions there may be at once."""
        self.capabilities: Capabilities = capabilities
        self._name = name
        self._connections = asyncio.Semaphore(connections)
        for outcome in OUTCOMES:
            AGGREGATOR_OUTCOMES.labels(name, outcome)
        AGGREGATOR_CONNECTIONS.labels(name).set(connections)
        AGGREGATOR_CONNECTIONS_USED.labels(name).set_function(lambda: connections - self._connections._value)

    def connection(self) -> AbstractAsyncContextManager[None]:
        """Hold one of the connections (see `ports.AggregatorPort.connection`)."""
        return self._connections

    @property
    def is_busy(self) -> bool:
        """Whether every connection is held."""
        return self._connections.locked()

    async def submit(self, batch: list[Submission], trip: Trip | None = None) -> list[SubmitOutcome]:
        """Hand over a batch, measured and counted (see `ports.AggregatorPort.submit`)."""
        started = time.perf_counter()
        outcomes = await self._submit(batch, trip or Trip())
        AGGREGATOR_SECONDS.labels(self._name).observe(time.perf_counter() - started)
        for outcome, count in count_outcomes(outcomes).items():
            AGGREGATOR_OUTCOMES.labels(self._name, outcome).inc(count)
        return outcomes

    @abstractmethod
    async def _submit(self, batch: list[Submission], trip: Trip) -> list[SubmitOutcome]:
        """`ports.AggregatorPort.submit` in the protocol of the kind."""
