"""Durations as Prometheus writes them (`1h30m`, `500ms`), read, and divided within PromQL."""

from __future__ import annotations

import re
from typing import Final

_MS: Final = {
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000,
}  # fmt: skip
_PART: Final = re.compile(r"([0-9]+)(ms|[smhdwy])")
_TOKEN: Final = re.compile(
    r"""
    (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\#[^\n]*)
    |(?P<name>[a-zA-Z_][a-zA-Z0-9_:]*|:[a-zA-Z_][a-zA-Z0-9_:]*)
    |(?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_.]))
    |(?P<number>[0-9.]+(?:[eE][+-]?[0-9]+)?)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def seconds(duration: str) -> float:
    """What a duration is in seconds.

    Raises:
        ValueError: it is none.
    """
    parts = _PART.findall(duration)
    if duration == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration of Prometheus, as 1h30m or 500ms")
    return sum(int(number) * _MS[unit] for number, unit in parts) / 1000


def divided(duration: str, by: float) -> str:
    """A duration divided, in whole milliseconds, never below 1.

    Raises:
        ValueError: it is no duration.
    """
    return f"{max(1, round(seconds(duration) * 1000 / by))}ms"


def divided_in(expression: str, by: float) -> str:
    """A PromQL expression with every range, step and offset divided; names, texts and numbers stay."""
    return "".join(
        divided(token.group(), by) if token.lastgroup == "duration" else token.group()
        for token in _TOKEN.finditer(expression)
    )


def ranges_in(expression: str) -> list[float]:
    """All durations of a PromQL expression, in seconds."""
    return [seconds(token.group()) for token in _TOKEN.finditer(expression) if token.lastgroup == "duration"]


def names_in(expression: str) -> set[str]:
    """Names in a PromQL expression: of metrics, and of functions, keywords and labels."""
    return {token.group() for token in _TOKEN.finditer(expression) if token.lastgroup == "name"}
