"""What an answer of the generic HTTP batch protocol says of each message (see `http_batch`).

An answer is judged item by item: one that cannot be read leaves its own message unknown, and no other.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import msgspec

from adapters import clock
from adapters.aggregators.lenient_json import decode_leniently
from adapters.ports import Submission, SubmitOutcome
from schemas.carrier_codes import code_text, reason_of_code
from schemas.json import Json
from schemas.reasons import UNREACHABLE_REASONS, Reason, written

ANSWERS: Final = frozenset({200, 201, 202, 207})
"""The batch was processed, and the body says what became of each message."""

OURS_TO_FIX: Final = frozenset({307, 308, 401, 402, 403, 404, 405, 407, 410, 413, 421, 426})
"""Nothing was processed, and the cause is our URL, secret, account or batch size, not a recipient. The messages wait
until somebody has fixed that, and the breaker opens."""

NOT_PROCESSED: Final = OURS_TO_FIX | {408, 425, 429, 503}
"""Answers after which the server has processed nothing (RFC 9110 15.5.9, RFC 8470, this protocol)."""

_REASONS: Final = {402: Reason.PAYMENT_REQUIRED, 429: Reason.THROTTLED}

RETRY_AFTER_LIMIT: Final = 3600.0
LONGEST_ID: Final = 256


class _Item(msgspec.Struct):
    id: str
    status: str
    aggregator_id: str = ""
    code: str | int = ""
    retry_after: float = 0.0


class _Answer(msgspec.Struct):
    messages: list[_Item]


_answers = msgspec.json.Decoder(_Answer)


def batch_outcomes(status: int, retry_after: str, content: bytes, batch: list[Submission]) -> list[SubmitOutcome]:
    """The outcome of each message of a batch, in order. `retry_after` is the header, "" without one. Never raises."""
    if status in ANSWERS:
        return _by_message(content, batch)
    if status in NOT_PROCESSED:
        seconds = _seconds(retry_after)
        holds = status == 429 or (status == 503 and seconds > 0)
        return [SubmitOutcome("retry", reason_of(status), "", seconds, holds)] * len(batch)
    if 400 <= status < 500 and status != 409:
        reason = _refusal(content)
        # Of several messages nobody knows whose number cannot be reached: no number may be suppressed for it.
        blames_somebody = len(batch) > 1 and reason in UNREACHABLE_REASONS
        return all_same(batch, "rejected", reason_of(status) if blames_somebody or not reason else reason)
    return all_same(batch, "unknown", reason_of(status))


def reason_of(status: int) -> str:
    """The reason for an outcome that the HTTP status of the whole batch gives."""
    return _REASONS.get(status) or written(Reason.HTTP, str(status))


def why_unavailable(status: int) -> str:
    """What the answer to an empty batch means: "" if a batch with messages may go, else why not."""
    if status >= 500 or (status in NOT_PROCESSED and status != 429):
        return reason_of(status)
    return ""


def query_outcomes(content: bytes, ids: list[str]) -> list[SubmitOutcome] | str:
    """What the answer to a query says about each id, in their order; the reason where it cannot be read at all."""
    items = _items(content)
    return Reason.BAD_ANSWER if items is None else _match(items, ids, _query_outcome)


def all_same(
    batch: list[Submission], outcome: Literal["rejected", "retry", "unknown"], reason: str
) -> list[SubmitOutcome]:
    """One outcome for the whole batch."""
    return [SubmitOutcome(outcome, reason)] * len(batch)


def _by_message(content: bytes, batch: list[Submission]) -> list[SubmitOutcome]:
    items = _items(content)
    if items is None:
        return all_same(batch, "unknown", Reason.BAD_ANSWER if content.strip() else Reason.NO_CONTENT)
    if len(items) == len(batch) and all(
        item.id == submission.id for item, submission in zip(items, batch, strict=True)
    ):
        return [_outcome(item) for item in items]
    return _match(items, [submission.id for submission in batch], _outcome)


def _items(content: bytes) -> list[_Item] | None:
    """The items of an answer that can be read; None where it has no list of them."""
    try:
        return _answers.decode(content).messages
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _items_one_by_one(content)


def _items_one_by_one(content: bytes) -> list[_Item] | None:
    """Slower, for an answer in which something is malformed."""
    try:
        answer = decode_leniently(content)
    except ValueError:
        return None
    listed = answer.get("messages") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return None
    items = (_read_item(entry) for entry in listed if isinstance(entry, dict))
    return [item for item in items if item is not None]


def _read_item(fields: dict[str, Json]) -> _Item | None:
    identity, status, retry_after = fields.get("id"), fields.get("status"), fields.get("retry_after")
    if not isinstance(identity, str):
        return None
    return _Item(
        id=identity,
        status=status if isinstance(status, str) else "",
        aggregator_id=_word(fields.get("aggregator_id")),
        code=code_text(fields.get("code")),
        retry_after=0.0 if isinstance(retry_after, bool) else _seconds(str(retry_after)),
    )


def _word(value: object) -> str:
    """A text or a whole number as a text that can be stored; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).encode("utf-8", "replace").decode()


def _match(items: list[_Item], ids: list[str], outcome_of: Callable[[_Item], SubmitOutcome]) -> list[SubmitOutcome]:
    """The outcome of each id. An id that is missing, or there twice with different outcomes, is unknown."""
    said: dict[str, SubmitOutcome] = {}
    for item in items:
        outcome = outcome_of(item)
        if said.setdefault(item.id, outcome) != outcome:
            said[item.id] = SubmitOutcome("unknown", Reason.ANSWERED_TWICE)
    missing = SubmitOutcome("unknown", Reason.NOT_IN_ANSWER)
    return [said.get(message_id, missing) for message_id in ids]


def _query_outcome(item: _Item) -> SubmitOutcome:
    status = _status(item)
    if status == "not_seen":
        return SubmitOutcome("retry", Reason.NOT_SEEN)
    if status in {"accepted", "rejected"}:
        return _outcome(item)
    return SubmitOutcome("unknown", Reason.CANNOT_TELL)


def _outcome(item: _Item) -> SubmitOutcome:
    match _status(item):
        case "accepted":
            return SubmitOutcome("accepted", "", item.aggregator_id[:LONGEST_ID])
        case "rejected":
            return SubmitOutcome("rejected", reason_of_code(str(item.code)) or Reason.REFUSED)
        case "throttled":
            return SubmitOutcome("retry", Reason.THROTTLED, "", _bounded(item.retry_after))
        case "":
            return SubmitOutcome("unknown", Reason.BAD_ANSWER)
        case _:
            return SubmitOutcome("unknown", Reason.UNDEFINED_STATUS)


def _status(item: _Item) -> str:
    return item.status if item.status == "accepted" else item.status.strip().lower()


def _seconds(header: str) -> float:
    """Seconds of a Retry-After header (a number or an HTTP date), 0 if it says nothing usable."""
    with contextlib.suppress(ValueError):
        return _bounded(float(header))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return _bounded(parsedate_to_datetime(header).timestamp() - clock.now_ms() / 1000)
    return 0.0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT) if math.isfinite(seconds) else 0.0


def _refusal(content: bytes) -> str:
    """The reason that the code of a refused batch gives, "" if there is no code."""
    try:
        answer = decode_leniently(content)
    except ValueError:
        return ""
    return reason_of_code(code_text(answer.get("code"))) if isinstance(answer, dict) else ""
