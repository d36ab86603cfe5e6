"""What an answer of the generic HTTP batch protocol says of each message (see `http_batch`).

An answer is judged item by item: one that cannot be read leaves its own message unknown, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from adapters.aggregators.lenient_json import decode_leniently
from adapters.aggregators.statuses import ANSWERS, all_same, bounded, outcome_of_status, seconds_of
from adapters.ports import Submission, SubmitOutcome
from schemas.carrier_codes import code_text, reason_of_code
from schemas.json import Json
from schemas.reasons import Reason

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
    return [outcome_of_status(status, retry_after, len(batch), lambda: _refusal(content))] * len(batch)


def query_outcomes(content: bytes, ids: list[str]) -> list[SubmitOutcome] | str:
    """What the answer to a query says about each id, in their order; the reason where it cannot be read at all."""
    items = _items(content)
    return Reason.BAD_ANSWER if items is None else _match(items, ids, _query_outcome)


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
        retry_after=0.0 if isinstance(retry_after, bool) else seconds_of(str(retry_after)),
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
            return SubmitOutcome("retry", Reason.THROTTLED, "", bounded(item.retry_after))
        case "":
            return SubmitOutcome("unknown", Reason.BAD_ANSWER)
        case _:
            return SubmitOutcome("unknown", Reason.UNDEFINED_STATUS)


def _status(item: _Item) -> str:
    return item.status if item.status == "accepted" else item.status.strip().lower()


def _refusal(content: bytes) -> str:
    """The reason that the code of a refused batch gives, "" if there is no code."""
    try:
        answer = decode_leniently(content)
    except ValueError:
        return ""
    return reason_of_code(code_text(answer.get("code"))) if isinstance(answer, dict) else ""
