"""The state that eligibility decides by, for the review, the forecast and the launch.

Consents and unreachable numbers are followed as workers follow them, the smart-sending reservations are read when
they are asked for.
"""

from __future__ import annotations

import asyncio
import logging

from aiokafka.errors import KafkaError

from adapters.kafka.reservations import Buckets, ReservationsReader
from adapters.kafka.views import View
from adapters.settings import Settings
from api.web.refusal import ApiError
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.unreachable import UnreachableNumbers
from schemas import topics

log = logging.getLogger(__name__)

WAIT = 5.0
"""Seconds that a request waits for the consents, right after the start."""


class EligibilityState:
    """Consents, unreachable numbers and reservations; one per process. Needs Kafka only when it is asked."""

    def __init__(self, settings: Settings) -> None:
        self.optouts = OptOuts()
        self.unreachable = UnreachableNumbers()
        self._consents = View(settings.kafka, topics.OPTOUTS.name, self._consent)
        self._unreachable = View(settings.kafka, topics.UNREACHABLE.name, self._cannot_be_reached)
        self._reservations = ReservationsReader(settings.kafka, settings.data)

    async def start(self) -> None:
        """Begin to follow the consents and the unreachable numbers."""
        await self._consents.start()
        await self._unreachable.start()

    async def ready(self) -> None:
        """Wait until the consents of the past have been read.

        Raises:
            ApiError: 503, they are not after a while.
        """
        try:
            async with asyncio.timeout(WAIT):
                await self._consents.ready.wait()
                await self._unreachable.ready.wait()
        except TimeoutError as error:
            raise ApiError(503, "opt-outs are still being read from Kafka; try again in a few seconds") from error

    async def stop(self) -> None:
        await self._consents.stop()
        await self._unreachable.stop()

    async def reservations(self) -> Buckets:
        """The current smart-sending reservations.

        Raises:
            ApiError: 503, they cannot be read.
        """
        try:
            return await self._reservations.read()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("reservations: %r", error)
            why = "the smart-sending reservations cannot be read from Kafka, so it is not known who would be skipped"
            raise ApiError(503, f"{why}: try again") from error

    def _consent(self, key: bytes, value: bytes | None) -> None:
        _tell(self.optouts.take(key, value))

    def _cannot_be_reached(self, key: bytes, value: bytes | None) -> None:
        _tell(self.unreachable.take(key, value))


def _tell(wrong: str) -> None:
    if wrong:
        log.error("%s", wrong)
