"""Where messages of a lane lead: the aggregators of this worker, shared by its lanes."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.aggregators.factory import make_adapter
from adapters.ports import AggregatorPort
from adapters.settings import Settings
from agents.lane.breaker import AggregatorBreaker
from pipeline.sending.outage.aggregator import LaneAggregator


@dataclass(frozen=True, slots=True)
class Route:
    """An aggregator of this worker: its adapter, its breaker, and what a lane's driver sees of both."""

    aggregator: AggregatorPort
    breaker: AggregatorBreaker
    seen: LaneAggregator


class Routes:
    """Every aggregator of the settings that was asked for, by name. Made and used in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._routes: dict[str, Route] = {}

    def get(self, name: str) -> Route | None:
        """The route of a name; None if the settings have none."""
        if name not in self._routes and name in self._settings.aggregators:
            self._routes[name] = self._made(name)
        return self._routes.get(name)

    def all(self) -> list[Route]:
        """Those that were asked for. May be called in any thread."""
        return list(self._routes.values())

    async def close(self) -> None:
        """End the health checks and close the connections."""
        for route in self.all():
            await route.breaker.close()
            await route.aggregator.close()

    def _made(self, name: str) -> Route:
        worker = self._settings.worker
        aggregator = make_adapter(name, self._settings.aggregators[name])
        breaker = AggregatorBreaker(name, aggregator, worker.breaker_failures)
        seen = LaneAggregator(
            breaker=breaker,
            batch=aggregator.capabilities.batch,
            in_flight=worker.in_flight,
            settled_after=aggregator.settled_after,
            has_connection=lambda: not aggregator.is_busy,
        )
        return Route(aggregator, breaker, seen)
