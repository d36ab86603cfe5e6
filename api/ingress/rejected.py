"""Rejected items: what the ingress cannot take is kept as dead letters, so that nothing that was sent is lost."""

from __future__ import annotations

import json
import logging
from hashlib import blake2b
from typing import Final, NamedTuple

from adapters.ports import Emitter
from api.ingress.coalesce import all_of
from schemas import topics
from schemas.deadletter import DeadLetter, to_text
from schemas.json import Json
from schemas.metrics import INGRESS_REJECTED
from schemas.reasons import Reason
from schemas.wire import encode

log = logging.getLogger(__name__)

_OFFSET_OCTETS: Final = 6


class RejectedItem(NamedTuple):
    """An item that is not taken: its place in the request (-1: the whole body), why in words, its bytes as they came,
    and the reason of its dead letter."""

    place: int
    reason: str
    raw: bytes
    cause: Reason


def raw_of(item: Json, body: bytes) -> bytes:
    """An item of `body` as JSON again; half surrogates stay escapes.

    What is nested as deep as can just be read cannot be written again: it is kept as the whole body.
    """
    try:
        return json.dumps(item).encode()
    except RecursionError:
        return body


async def write_unreadable(
    emitter: Emitter, topic: topics.Topic, aggregator: str, body: bytes, error: ValueError, now: int
) -> None:
    """Write a body that has no list of items as one dead letter; as `write_rejected`."""
    item = RejectedItem(-1, str(error), body, Reason.UNREADABLE_BODY)
    await write_rejected(emitter, topic, aggregator, [item], now)


async def write_rejected(
    emitter: Emitter, topic: topics.Topic, aggregator: str, items: list[RejectedItem], now: int
) -> None:
    """Write each item as a dead letter of the step `ingress-TOPIC`; returns when Kafka has acknowledged them.

    An item that comes again is the same letter: its origin has a hash of its bytes where others have an offset.

    Raises:
        EmitError: not acknowledged.
    """
    await all_of([_write(emitter, topic, aggregator, item, now) for item in items])


async def _write(emitter: Emitter, topic: topics.Topic, aggregator: str, item: RejectedItem, now: int) -> None:
    log.warning("%s from %s: item %s rejected: %s", topic.name, aggregator, item.place, item.reason)
    digest = blake2b(item.raw, digest_size=_OFFSET_OCTETS, key=aggregator.encode()[:64]).digest()
    letter = DeadLetter(
        topic=topic.name,
        partition=0,
        offset=int.from_bytes(digest),
        step=f"ingress-{topic.name}",
        reason=item.cause,
        error=f"from aggregator {aggregator}: {item.reason}",
        at=now,
        key=None,
        value=to_text(item.raw),
    )
    await emitter.emit(topics.DEAD_LETTERS.name, encode(letter), key=topic.name.encode())
    INGRESS_REJECTED.labels(topic.name).inc()
