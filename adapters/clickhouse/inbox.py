"""What people wrote and every change of consent as one list, newest first, with what we answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.feedback import InboundText

What = Literal["", "stop", "start", "help", "other", "changes"]
"""Texts by what they were taken for, changes of consent by other ways than a text, or all."""
_REPEATED: Final = 4
"""A batch that was written again is there twice until ClickHouse merges it: so many times more rows are looked at."""

_TEXTS: Final = """
SELECT at, number, toString(intent), sender, id, text, evidence, 'inbound', NULL FROM inbound
WHERE ({what:String} IN ('', toString(intent))) AND (number = {number:UInt64} OR {number:UInt64} = 0)
ORDER BY at DESC, number, id LIMIT {looked:UInt32}
"""
_OTHERS: Final = """
SELECT at, number, '', '', '', '', evidence, toString(source), out FROM consents
WHERE ({what:String} = '' OR {what:String} = 'changes' AND source != 'inbound')
    AND (number = {number:UInt64} OR {number:UInt64} = 0)
ORDER BY at DESC, number LIMIT {looked:UInt32}
"""
_KNOWN: Final = "SELECT number, evidence FROM inbound WHERE number IN (SELECT number FROM typed)"
_CHANGES: Final = """
SELECT number, evidence, argMax(out, at) FROM consents
WHERE source = 'inbound' AND number IN (SELECT number FROM typed) GROUP BY number, evidence
"""
_ANSWERS: Final = """
SELECT number, cause, toString(kind), text, at FROM replies FINAL WHERE number IN (SELECT number FROM typed)
"""

_CONFIRMED: Final = {"stopped": True, "started": False}


@dataclass(frozen=True, slots=True)
class Answer:
    """What we answered to a text."""

    kind: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A text (`intent`, `sender`, `id`, `text`), or a change of consent that no text caused (these are "").

    `source` and `evidence` as a consent has them; `out`: opted out, opted in (False), or no change (None)."""

    at: datetime
    number: int
    intent: str
    sender: str
    id: str
    text: str
    evidence: str
    source: str
    out: bool | None
    answer: Answer | None = None


def insert_texts(store: Store, texts: Sequence[tuple[InboundText, str, str]]) -> None:
    """Texts with what each was taken for and what a consent keeps of it.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not texts:
        return
    said = [text for text, _, _ in texts]
    store.insert_arrow("inbound", pa.table({
        "number": pa.array([one.number for one in said], pa.uint64()),
        "sender": pa.array([one.sender for one in said], pa.string()),
        "id": pa.array([one.id for one in said], pa.string()),
        "at": pa.array([one.at for one in said], pa.timestamp("ms", "UTC")),
        "intent": pa.array([intent for _, intent, _ in texts], pa.string()),
        "text": pa.array([one.text for one in said], pa.string()),
        "evidence": pa.array([evidence for _, _, evidence in texts], pa.string()),
    }))  # fmt: skip


def inbox(store: Store, what: What = "", number: int = 0, page: int = 1, size: int = 50) -> tuple[list[Line], bool]:
    """(the lines of a page, newest first; whether there are older ones). `number`: of this one only.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    first = (page - 1) * size
    asked = {"what": what, "number": number, "looked": _REPEATED * (first + size + 1)}
    texts = [Line(*row) for row in store.rows(_TEXTS, asked)] if what != "changes" else []
    others = [Line(*row) for row in store.rows(_OTHERS, asked)] if what in ("", "changes") else []
    # A change that a text caused is told with the text, which has its time. So the first n texts and the first n
    # changes hold the first n lines. One whose text is older than the table of texts stands alone.
    known = _known(store, [one for one in others if one.source == "inbound"])
    lines = list(dict.fromkeys(texts + [one for one in others if (one.number, one.evidence) not in known]))
    lines.sort(key=lambda one: (-one.at.timestamp(), one.number, one.id, one.source, one.evidence))
    return _completed(store, lines[first : first + size]), len(lines) > first + size


def _known(store: Store, caused: Sequence[Line]) -> set[tuple[int, str]]:
    """Number and evidence of the texts of people whom a text has opted out or in."""
    numbers = sorted({one.number for one in caused})
    return {(number, evidence) for number, evidence in store.rows(_KNOWN, numbers=numbers)} if numbers else set()


def _completed(store: Store, lines: Sequence[Line]) -> list[Line]:
    """With what each text changed, and what we answered."""
    numbers = sorted({line.number for line in lines if line.intent})
    if not numbers:
        return list(lines)
    changes = {(n, evidence): out for n, evidence, out in store.rows(_CHANGES, numbers=numbers)}
    answers = {(n, cause): Answer(*rest) for n, cause, *rest in store.rows(_ANSWERS, numbers=numbers)}
    return [_told(line, changes, answers) if line.intent else line for line in lines]


def _told(line: Line, changes: dict[tuple[int, str], bool], answers: dict[tuple[int, str], Answer]) -> Line:
    answer = answers.get((line.number, line.id))
    # These two are answered once the change is durable, and only then: the row of the change may be on its way.
    confirmed = _CONFIRMED.get(answer.kind) if answer is not None else None
    return replace(line, out=changes.get((line.number, line.evidence), confirmed), answer=answer)
