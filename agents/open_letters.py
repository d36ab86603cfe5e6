"""Counts the dead letters that nobody has dealt with, for the metrics."""

from __future__ import annotations

from adapters.kafka.dead_letters import OpenLetters
from adapters.kafka.views import View
from adapters.settings import Kafka
from schemas import metrics, topics


class LetterWatch:
    """Follows topic `dead-letters` from its beginning for as long as it is started."""

    def __init__(self, kafka: Kafka) -> None:
        self._open = OpenLetters()
        self._view = View(kafka, topics.DEAD_LETTERS.name, self._apply)

    async def start(self) -> None:
        metrics.DEAD_LETTERS_WAITING.clear()
        await self._view.start()

    async def stop(self) -> None:
        await self._view.stop()

    def _apply(self, key: bytes, value: bytes | None) -> None:
        step = self._open.take(value)
        if step:
            metrics.DEAD_LETTERS_WAITING.labels(step).set(self._open.count(step))
