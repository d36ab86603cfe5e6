"""What each process of the stack says of itself now: `/readyz` of ours, an answer of Kafka and ClickHouse.

All are asked side by side and none for longer than a few seconds, so a process that hangs delays nobody.
"""

from __future__ import annotations

import http.client
import urllib.error
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from adapters import http as requests
from adapters.settings import Settings
from devstack import plan, ready

ANSWER_SECONDS: Final = 2.0
LARGEST: Final = 100_000
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """`not_ready` and `limited` are lists of `{part, problem, since, seconds}`: what keeps the process from its work,
    or from a part of it."""

    ready: bool
    answers: bool = True
    not_ready: list[dict[str, Any]] = field(default_factory=list)
    limited: list[dict[str, Any]] = field(default_factory=list)


SILENT: Final = Readiness(ready=False, answers=False)


def ask_all(settings: Settings, names: Iterable[str]) -> dict[str, Readiness]:
    """By name, what these processes of the stack say."""
    wanted = list(names)
    if not wanted:
        return {}
    with ThreadPoolExecutor(len(wanted), "readiness") as pool:
        return dict(zip(wanted, pool.map(lambda name: ask(settings, name), wanted), strict=True))


def ask(settings: Settings, name: str) -> Readiness:
    """What one process says; `SILENT` where nothing comes in time."""
    if name == "kafka":
        return Readiness(ready=True) if ready.kafka_answers(settings.kafka.bootstrap) else SILENT
    if name == "clickhouse":
        return Readiness(ready=True) if requests.answers(f"{plan.clickhouse_url(settings)}/ping") else SILENT
    return read(f"{plan.base_url(settings, name)}/readyz")


def read(url: str) -> Readiness:
    """The answer at `url`; `SILENT` for whatever is no answer of ours."""
    try:
        with requests.request(url, timeout=ANSWER_SECONDS) as answer:
            body = answer.read(LARGEST)
    except urllib.error.HTTPError as error:
        with error:
            body = _rest(error)
    except (OSError, http.client.HTTPException):
        return SILENT
    return _parsed(body)


def _rest(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(LARGEST)
    except (OSError, http.client.HTTPException):
        return b""


def _parsed(body: bytes) -> Readiness:
    try:
        said = orjson.loads(body)
        return Readiness(bool(said["ready"]), True, list(said["not_ready"]), list(said["limited"]))
    except (ValueError, KeyError, TypeError):
        return SILENT
