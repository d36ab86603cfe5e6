"""Polls Kafka every few seconds, so that requests know at once whether it answers."""

from __future__ import annotations

import asyncio
import contextlib

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from adapters.clock import now_ms
from adapters.settings import Kafka
from schemas import topics

EVERY = 3.0
ANSWER = 2.0


class KafkaHealth:
    """`down_since` is 0 while Kafka answers, else when it was first found silent (ms); `problem` says what."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._task: asyncio.Task[None] | None = None
        self.down_since = 0
        self.problem = ""

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="kafka-health")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def waiting_for(self) -> str:
        """A sentence that says why the campaigns are not known yet."""
        if self.problem:
            return f"{self.problem}; is the stack up? `longwave up`, `longwave status`"
        return "the campaigns are still being read from Kafka; try again in a moment"

    async def _watch(self) -> None:
        client = AdminClient(
            {"bootstrap.servers": self._kafka.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 1000}
        )
        while True:
            self.problem = await asyncio.to_thread(self._ask, client)
            self.down_since = (self.down_since or now_ms()) if self.problem else 0
            await asyncio.sleep(EVERY)

    def _ask(self, client: AdminClient) -> str:
        try:
            # A named topic would be asked for again and again by librdkafka; all of them are a few dozen.
            found = client.list_topics(timeout=ANSWER).topics
        except KafkaException:
            return "Kafka does not answer"
        missing = [t.name for t in (topics.COMMANDS, topics.CAMPAIGNS) if t.name not in found]
        return f"Kafka lacks the topic {missing[0]!r}" if missing else ""
