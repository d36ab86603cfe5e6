"""Logs: each line with its time in UTC, and Kafka's clients, which repeat themselves, only now and then.

A process of the stack calls `to_stderr`; a command for people calls `silence`, because it has words of its own.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType

from schemas.times import iso_of

SECONDS = 10.0
"""How often a client may say the same thing."""

LIBRDKAFKA = logging.getLogger("librdkafka")
"""Where confluent-kafka's clients log to (their `logger` argument); else they write to stderr themselves."""

TALKATIVE = ("aiokafka.consumer.subscription_state", "clickhouse_connect")
"""Libraries of which only warnings are of interest."""

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


class UtcFormatter(logging.Formatter):
    """`2026-11-26T20:15:04.123Z WARNING agents.lane.owner: lane 3 …`; what has several lines keeps them."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return stamp(record.created)


def stamp(seconds: float | None = None) -> str:
    """A time as logs have it, now by default: ISO 8601 in UTC, to the millisecond."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return iso_of(moment)


def to_stderr() -> None:
    """Log everything of this process to standard error, warnings and what nobody caught included. May be called
    again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(UtcFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    limit()


def silence() -> None:
    """Print nothing of what libraries log: a command tells a person what happened in words of its own."""
    logging.getLogger().addHandler(logging.NullHandler())


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("longwave").critical("this process ends", exc_info=(kind, error, trace))
