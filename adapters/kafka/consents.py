"""Changes of consent on their way into topic `optouts`: no other module names its topic and key to write one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from adapters.kafka.producer import Producer
from adapters.ports import Delivered, Emitter
from schemas import topics
from schemas.feedback import Consent, consent_key
from schemas.wire import encode


async def emit_consent(emitter: Emitter, change: Consent) -> Delivered:
    """Write one change; returns when Kafka has acknowledged it.

    Raises:
        EmitError: not acknowledged.
    """
    return await emitter.emit(topics.OPTOUTS.name, encode(change), key=consent_key(change))


def send_consent(producer: Producer, change: Consent) -> asyncio.Future[Delivered]:
    """Write one change after all that were sent before it; the future ends when Kafka has acknowledged it."""
    return producer.send(topics.OPTOUTS.name, encode(change), key=consent_key(change))


async def send_consents(producer: Producer, changes: Iterable[Consent]) -> None:
    """Write changes in order; returns when Kafka has acknowledged all of them.

    Raises:
        EmitError: one was not acknowledged.
    """
    await asyncio.gather(*(send_consent(producer, change) for change in changes))
