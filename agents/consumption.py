"""How far a process is with the topics that it reads: its lag, and the age of what it has committed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Final, NoReturn, Protocol

from aiokafka.errors import IllegalStateError, KafkaError
from faust.types import TP

from adapters.clock import now_ms
from agents.guards.durable import Standing
from pipeline.insight.freshness import Freshness, ReadPosition
from schemas import metrics, topics

SECONDS: Final = 5.0
"""Between two looks."""
ANSWER_SECONDS: Final = 2.0
"""How long Kafka may take for one."""


class Reading(Protocol):
    """The consumer, as far as this needs it (`agents.guards.durable.GuardedConsumer`)."""

    async def standing(self) -> Mapping[TP, Standing]: ...


class Consumption:
    """Looks every few seconds, so that nothing of it is on the way of a record."""

    def __init__(self, consumer: Reading) -> None:
        self._consumer = consumer
        self._ages: dict[str, Freshness] = {}
        self._lags: set[str] = set()
        """Topics of which the lag is exported."""

    async def run(self) -> NoReturn:
        """Look for as long as this task runs."""
        while True:
            await self.look(now_ms())
            await asyncio.sleep(SECONDS)

    async def look(self, now: int) -> None:
        """Measure at `now` (ms). Without an answer of Kafka the lag is not known, and what is committed ages."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                standing = await self._consumer.standing()
        except IllegalStateError:
            return  # a rebalance took a partition just now
        except (TimeoutError, KafkaError):
            self._show_lags({})
            for topic, age in self._ages.items():
                _show_age(topic, age.wait(now))
            return
        if not standing:
            return  # a rebalance is under way
        by_topic: defaultdict[str, dict[int, Standing]] = defaultdict(dict)
        for tp, place in standing.items():
            by_topic[tp.topic][tp.partition] = place
        self._show_lags({topic: sum(place.lag for place in ours.values()) for topic, ours in by_topic.items()})
        self._look_at_ages(now, by_topic)

    def _look_at_ages(self, now: int, by_topic: Mapping[str, Mapping[int, Standing]]) -> None:
        by_time = {topic: ours for topic, ours in by_topic.items() if topic != topics.LANES.name}
        for topic in set(self._ages) - set(by_time):
            del self._ages[topic]
            metrics.COMMIT_AGE.remove(topic)
        for topic, ours in by_time.items():
            age = self._ages.setdefault(topic, Freshness())
            positions = {at: ReadPosition(place.committed, place.end, place.since) for at, place in ours.items()}
            _show_age(topic, age.look(now, positions))

    def _show_lags(self, lags: Mapping[str, int]) -> None:
        for topic in self._lags - set(lags):
            metrics.CONSUMER_LAG.remove(topic)
        self._lags = set(lags)
        for topic, lag in lags.items():
            metrics.CONSUMER_LAG.labels(topic).set(lag)


def _show_age(topic: str, seconds: float | None) -> None:
    if seconds is None:
        metrics.COMMIT_AGE.remove(topic)
    else:
        metrics.COMMIT_AGE.labels(topic).set(seconds)
