"""What people wrote and every change of consent as one list, newest first, with what we answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.feedback import InboundText

What = Literal["", "stop", "start", "help", "other", "changes"]
"""Texts by what they were taken for, changes of consent that no text caused, or all."""
_REPEATED: Final = 4
"""A batch that was written again is there twice until ClickHouse merges it: so many more rows are looked at."""

# A change that a text caused is told with the text. One whose text is older than this table stands alone.
_LINES: Final = """
SELECT DISTINCT at, number, intent, sender, id, text, evidence, source, out FROM
(
    SELECT at, number, toString(intent) AS intent, sender, id, text, evidence, 'inbound' AS source, false AS out
    FROM inbound
    WHERE ({what:String} IN ('', toString(intent))) AND ({number:UInt64} IN (0, number))
    ORDER BY at DESC, number, id LIMIT {looked:UInt32}
    UNION ALL
    SELECT at, number, '' AS intent, '' AS sender, '' AS id, '' AS text, evidence, toString(source) AS source, out
    FROM consents
    WHERE ({what:String} IN ('', 'changes')) AND ({number:UInt64} IN (0, number))
        AND (source != 'inbound' OR (number, evidence) NOT IN (SELECT number, evidence FROM inbound))
    ORDER BY at DESC, number LIMIT {looked:UInt32}
)
ORDER BY at DESC, number, id, source, evidence LIMIT {size:UInt32} OFFSET {skip:UInt32}
"""
_CHANGES: Final = """
SELECT number, evidence, argMax(out, at) FROM consents
WHERE source = 'inbound' AND number IN (SELECT number FROM typed) GROUP BY number, evidence
"""
_ANSWERS: Final = """
SELECT number, cause, toString(kind), text, at FROM replies FINAL WHERE number IN (SELECT number FROM typed)
"""


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
    skip = (page - 1) * size
    asked = {"what": what, "number": number, "size": size + 1, "skip": skip, "looked": _REPEATED * (skip + size + 1)}
    rows = store.rows(_LINES, asked)
    return _completed(store, rows[:size]), len(rows) > size


def _completed(store: Store, rows: Sequence[Sequence[Any]]) -> list[Line]:
    """With what each text changed, and what we answered."""
    numbers = sorted({row[1] for row in rows if row[2]})
    if not numbers:
        return [Line(*row) for row in rows]
    changes = {(n, evidence): out for n, evidence, out in store.rows(_CHANGES, numbers=numbers)}
    answers = {(n, cause): Answer(*rest) for n, cause, *rest in store.rows(_ANSWERS, numbers=numbers)}
    return [_line(row, changes, answers) for row in rows]


def _line(row: Sequence[Any], changes: dict[tuple[int, str], bool], answers: dict[tuple[int, str], Answer]) -> Line:
    line = Line(*row)
    if not line.intent:
        return line
    out = changes.get((line.number, line.evidence))
    return replace(line, out=out, answer=answers.get((line.number, line.id)))
