"""What an answer of the generic HTTP batch protocol says of each message (see `http_batch`)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import msgspec

from adapters import clock
from adapters.ports import Submission, SubmitOutcome

NOT_PROCESSED: Final = frozenset({401, 403, 404, 408, 425, 429, 503})
"""Answers after which the server has processed nothing (RFC 9110 15.5.9, RFC 8470, this protocol).

401, 403 and 404 speak of our secret or URL, not of the recipients: they wait until somebody has mended the settings.
"""

RETRY_AFTER_LIMIT: Final = 3600.0


class _Item(msgspec.Struct):
    id: str
    status: str
    aggregator_id: str = ""
    code: str | int = ""
    retry_after: float = 0.0


class _Answer(msgspec.Struct):
    messages: list[_Item]


class _Refusal(msgspec.Struct):
    code: str | int = ""


_answers = msgspec.json.Decoder(_Answer)
_refusals = msgspec.json.Decoder(_Refusal)


def judge(status: int, retry_after: str, content: bytes, batch: list[Submission]) -> list[SubmitOutcome]:
    """Outcomes of a batch, in its order. `retry_after` is the header, "" without one. Never raises."""
    if status == 200:
        return _by_message(content, batch)
    if status in NOT_PROCESSED:
        reason = "throttled" if status == 429 else f"http-{status}"
        return [SubmitOutcome("retry", reason, "", _seconds(retry_after))] * len(batch)
    if 400 <= status < 500:
        return same(batch, "rejected", _refusal(content) or f"http-{status}")
    return same(batch, "unknown", f"http-{status}")


def away(status: int) -> str:
    """What the answer to an empty batch says: "" when a batch with messages may go, else why not."""
    if status >= 500 or (status in NOT_PROCESSED and status != 429):
        return f"http-{status}"
    return ""


def found(content: bytes, ids: list[str]) -> list[SubmitOutcome] | str:
    """What the answer to a query says of each id, in their order; a text where it says nothing at all."""
    try:
        items = _answers.decode(content).messages
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "bad-answer"
    return _told(items, ids, _found)


def same(
    batch: list[Submission], outcome: Literal["rejected", "retry", "unknown"], reason: str
) -> list[SubmitOutcome]:
    """One outcome for the whole batch."""
    return [SubmitOutcome(outcome, reason)] * len(batch)


def _by_message(content: bytes, batch: list[Submission]) -> list[SubmitOutcome]:
    try:
        items = _answers.decode(content).messages
    except (msgspec.DecodeError, UnicodeDecodeError):
        return same(batch, "unknown", "bad-answer")
    if len(items) == len(batch) and all(item.id == one.id for item, one in zip(items, batch, strict=True)):
        return [_outcome(item) for item in items]
    return _told(items, [one.id for one in batch], _outcome)


def _told(items: list[_Item], ids: list[str], outcome_of: Callable[[_Item], SubmitOutcome]) -> list[SubmitOutcome]:
    said: dict[str, SubmitOutcome] = {}
    for item in items:
        outcome = outcome_of(item)
        if said.setdefault(item.id, outcome) != outcome:
            said[item.id] = SubmitOutcome("unknown", "answered-twice")
    missing = SubmitOutcome("unknown", "not-in-answer")
    return [said.get(one, missing) for one in ids]


def _found(item: _Item) -> SubmitOutcome:
    if item.status == "not_seen":
        return SubmitOutcome("retry", "not_seen")
    if item.status in {"accepted", "rejected"}:
        return _outcome(item)
    return SubmitOutcome("unknown", "cannot_tell")


def _outcome(item: _Item) -> SubmitOutcome:
    if item.status == "accepted":
        return SubmitOutcome("accepted", "", item.aggregator_id)
    if item.status == "rejected":
        return SubmitOutcome("rejected", str(item.code) or "rejected")
    if item.status == "throttled":
        return SubmitOutcome("retry", "throttled", "", _bounded(item.retry_after))
    return SubmitOutcome("unknown", "bad-answer")


def _seconds(header: str) -> float:
    """Seconds of a Retry-After header (a number or an HTTP date), 0 if it says nothing usable."""
    with contextlib.suppress(ValueError):
        return _bounded(float(header))
    with contextlib.suppress(ValueError, TypeError):
        return _bounded(parsedate_to_datetime(header).timestamp() - clock.now_ms() / 1000)
    return 0.0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT) if math.isfinite(seconds) else 0.0


def _refusal(content: bytes) -> str:
    try:
        return str(_refusals.decode(content).code)[:64]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
