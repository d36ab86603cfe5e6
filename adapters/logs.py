"""Logs: one line for each event, as JSON or to be read on a terminal; Kafka's clients, which repeat themselves, only
now and then.

A process of the stack calls `to_stderr`; a command for people calls `silence`, because it has words of its own.
Modules log with `logging.getLogger(__name__)`; what a line is about goes into its fields:

    log.info("lane %s is ours", lane, extra={"lane": lane, "account": account})

structlog renders both forms. Texts of strangers are in many lines, so control characters and line ends are written
out: nobody forges a line or moves a terminal's cursor.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from adapters.neutral import for_terminal
from schemas.times import iso_of

if TYPE_CHECKING:
    # Imported where a process begins to log: `longwave --help` has no use for it.
    from structlog.typing import Processor

Form = Literal["auto", "json", "text"]
"""How lines look; `auto` is text on a terminal and JSON elsewhere."""

FIELDS: Final = ("campaign", "lane", "account", "by", "action", "status", "epoch", "aggregator")
"""What a line may say of what it is about, by `extra`; of libraries' extras nothing is shown."""

SECONDS = 10.0
"""How often a client may say the same thing."""

LIBRDKAFKA = logging.getLogger("librdkafka")
"""Where confluent-kafka's clients log to (their `logger` argument); else they write to stderr themselves."""

TALKATIVE = ("aiokafka", "clickhouse_connect", "faust", "mode", "urllib3", "asyncio")
"""Libraries of which only warnings are of interest."""

_HTTP_CLIENTS = ("urllib3.connectionpool", "clickhouse_connect.driver")
"""Warn of each request that they repeat or that has no answer. Whoever made it says what came of it in the end."""

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


def is_an_event(record: logging.LogRecord) -> bool:
    """False for `[^--Consumer]: Starting...`: Faust's services say so at each start and stop, and subclasses of ours
    log it as our modules."""
    return record.levelno >= logging.WARNING or not str(record.msg).startswith("[^")


Event = MutableMapping[str, Any]


def formatter(process: str, form: Form) -> logging.Formatter:
    """Renders records of this process, whose name each line of JSON has."""
    import structlog

    is_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(FIELDS), structlog.stdlib.add_log_level],
        processors=_as_json(process) if is_json else _as_text(),
    )


def _as_json(process: str) -> list[Processor]:
    import structlog

    def arrange(_: object, __: str, event: Event) -> Mapping[str, Any]:
        record: logging.LogRecord = event.pop("_record")
        event.pop("_from_structlog", None)
        head = {"time": stamp(record.created), "level": event.pop("level")}
        head |= {"process": process} if process else {}
        return {**head, "logger": record.name, "message": event.pop("event"), **event}

    return [
        structlog.processors.format_exc_info,
        arrange,
        _write_out_controls,
        structlog.processors.JSONRenderer(serializer=_dump),
    ]


def _as_text() -> list[Processor]:
    import structlog

    def arrange(_: object, __: str, event: Event) -> Event:
        record: logging.LogRecord = event["_record"]
        event.update(timestamp=stamp(record.created), logger=record.name)
        return event

    return [
        arrange,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        _write_out_controls,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            pad_level=False,
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


def _write_out_controls(_: object, __: str, event: Event) -> Event:
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = for_terminal(value).replace("\n", "\\n")
    return event


def _dump(event: Mapping[str, Any], **_: Any) -> str:
    import orjson

    return orjson.dumps(event, default=str).decode()


def stamp(seconds: float | None = None) -> str:
    """A time as logs have it, now by default: ISO 8601 in UTC, to the millisecond."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return iso_of(moment)


def to_stderr(process: str = "", form: Form = "auto") -> None:
    """Log everything of this process to standard error, warnings and what nobody caught included. May be called
    again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(process, form))
    handler.addFilter(is_an_event)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _HTTP_CLIENTS:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    limit()


def silence() -> None:
    """Print nothing of what libraries log: a command tells a person what happened in words of its own."""
    logging.getLogger().addHandler(logging.NullHandler())


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("longwave").critical("this process ends", exc_info=(kind, error, trace))
