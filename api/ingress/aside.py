"""What an ingress cannot take item by item is kept as dead letters: nothing that somebody sent is lost unseen."""

from __future__ import annotations

import json
import logging
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from adapters.ports import Emitter
from api.ingress.coalesce import all_of
from schemas import topics
from schemas.deadletter import DeadLetter, to_text
from schemas.metrics import INGRESS_ASIDE
from schemas.reasons import Reason
from schemas.wire import encode

log = logging.getLogger(__name__)

_OFFSET_OCTETS: Final = 6


class Aside(NamedTuple):
    """An item that is refused: its place in the request (-1: the whole body), why, and its bytes as they came."""

    place: int
    reason: str
    raw: bytes
    why: Reason


def raw_of(item: Any, body: bytes) -> bytes:
    """An item of `body` as JSON again; half surrogates stay escapes.

    What is nested as deep as can just be read cannot be written again: it is kept as the whole body.
    """
    try:
        return json.dumps(item).encode()
    except RecursionError:
        return body


async def set_aside(emitter: Emitter, topic: topics.Topic, aggregator: str, items: list[Aside], now: int) -> None:
    """Write each item as a dead letter of the step `ingress-TOPIC`; returns when Kafka has acknowledged them.

    An item that comes again is the same letter: its origin has a hash of its bytes where others have an offset.

    Raises:
        EmitError: not acknowledged.
    """
    await all_of([_write(emitter, topic, aggregator, item, now) for item in items])


async def _write(emitter: Emitter, topic: topics.Topic, aggregator: str, one: Aside, now: int) -> None:
    log.warning("%s from %s: item %s set aside: %s", topic.name, aggregator, one.place, one.reason)
    digest = blake2b(one.raw, digest_size=_OFFSET_OCTETS, key=aggregator.encode()[:64]).digest()
    letter = DeadLetter(
        topic=topic.name,
        partition=0,
        offset=int.from_bytes(digest),
        step=f"ingress-{topic.name}",
        reason=one.why,
        error=f"from aggregator {aggregator}: {one.reason}",
        at=now,
        key=None,
        value=to_text(one.raw),
    )
    await emitter.emit(topics.DEAD_LETTERS.name, encode(letter), key=topic.name.encode())
    INGRESS_ASIDE.labels(topic.name).inc()
