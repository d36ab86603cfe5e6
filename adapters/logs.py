"""Clients that repeat themselves: what librdkafka and aiokafka say goes through `logging`, now and then."""

from __future__ import annotations

import logging
from time import monotonic

SECONDS = 10.0
"""How often a client may say the same thing."""

LIBRDKAFKA = logging.getLogger("librdkafka")
"""Where confluent-kafka's clients log to (their `logger` argument); else they write to stderr themselves."""

_CLIENTS = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
    "librdkafka",
)


class NowAndThen(logging.Filter):
    """Lets the same message of the same logger pass every `seconds`, and then says how many were held back."""

    def __init__(self, seconds: float = SECONDS) -> None:
        super().__init__()
        self._seconds = seconds
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = (record.name, _kind(record))
        last, held_back = self._said.get(key, (-self._seconds, 0))
        if monotonic() - last < self._seconds:
            self._said[key] = (last, held_back + 1)
            return False
        self._said[key] = (monotonic(), 0)
        if held_back:
            record.msg, record.args = f"{record.getMessage()} (and {held_back} more like it)", ()
        return True


def _kind(record: logging.LogRecord) -> str:
    # librdkafka's lines come as one argument: `FAIL`, the client's name, then text with times in it.
    args = record.args
    return str(args[0]) if record.name == LIBRDKAFKA.name and isinstance(args, tuple) and args else str(record.msg)


_limit = NowAndThen()


def limit() -> None:
    """Hold back repetitions of the Kafka clients in this process. May be called again."""
    for name in _CLIENTS:
        logging.getLogger(name).addFilter(_limit)
