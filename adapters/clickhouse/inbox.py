"""What people wrote and every change of consent as one list, newest first, with what we answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, Literal

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.feedback import InboundText, UnreadText

What = Literal["", "stop", "start", "help", "doubtful", "other", "held", "unread", "changes"]
"""Texts by what they were taken for (`unread`: by senders that cannot be read), what waits for an operator (`held`),
changes of consent by other ways than a text, or all."""
_MS: Final = pa.timestamp("ms", "UTC")
_REPEATED: Final = 4
"""A batch that was written again is there twice until ClickHouse merges it: so many times more rows are looked at."""

_HELD: Final = """
SELECT number, account, hold FROM consents WHERE hold != '' GROUP BY number, account, hold
HAVING argMax(state, log_offset) = 'held'
"""
_HELD_TEXT: Final = f"(number, identity) IN (SELECT number, hold FROM ({_HELD}))"
_HELD_CHANGE: Final = f"source != 'inbound' AND (number, account, hold) IN ({_HELD})"
_TEXTS: Final = """
SELECT received, number, toString(intent), sender, id, text, evidence, 'inbound', NULL, toString(account), '', word,
    toString(rule), '', at, person, notes, identity
FROM inbound
WHERE ({what:String} IN ('', toString(intent)) OR {what:String} = 'unread' AND number = 0 OR HELD)
    AND (number = {number:UInt64} OR {number:UInt64} = 0)
ORDER BY received DESC, number, identity LIMIT {looked:UInt32}
"""
"""HELD is what waits for an operator, or nothing where that is not asked for: it takes a look at every consent."""
_OTHERS: Final = """
SELECT recorded, number, '', '', '', '', evidence, toString(source), toString(state), toString(account), hold, word,
    toString(rule), who, at, '', [], ''
FROM consents
WHERE ({what:String} = '' OR {what:String} = 'changes' AND source != 'inbound' OR HELD)
    AND (number = {number:UInt64} OR {number:UInt64} = 0)
ORDER BY recorded DESC, number LIMIT {looked:UInt32}
"""
_KNOWN: Final = "SELECT number, evidence FROM inbound WHERE number IN (SELECT number FROM typed)"
_CHANGES: Final = """
SELECT number, evidence, argMax(state, log_offset) FROM consents
WHERE source = 'inbound' AND number IN (SELECT number FROM typed) GROUP BY number, evidence
"""
_OPEN: Final = f"SELECT number, account, hold FROM ({_HELD}) WHERE number IN (SELECT number FROM typed)"
_ANSWERS: Final = """
SELECT number, cause, toString(kind), text, at FROM replies FINAL WHERE number IN (SELECT number FROM typed)
"""

_CONFIRMED: Final = {"stopped": "out", "started": "in"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What we answered to a text."""

    kind: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A text (`intent`, `sender`, `id`, `text`), or a change of consent that no text caused (these are "").

    `at` is when it came or was recorded, `said` when it was sent, as others say. `source` and `evidence` as a
    consent has them; `state`: what it changed to (out, in, held), or no change (None). `number` 0: `person` is
    the sender as it came. `hold` names the hold that waits for an operator because of it, "" where none does."""

    at: datetime
    number: int
    intent: str
    sender: str
    id: str
    text: str
    evidence: str
    source: str
    state: str | None
    account: str
    hold: str
    word: str
    rule: str
    who: str
    said: datetime
    person: str
    notes: tuple[str, ...]
    identity: str
    answer: Answer | None = None


def insert_texts(store: Store, texts: Sequence[tuple[InboundText | UnreadText, str, str]]) -> None:
    """Texts, each with its identity and what a consent keeps of it.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not texts:
        return
    said = [text for text, _, _ in texts]
    words = ("sender", "account", "aggregator", "id", "intent", "word", "rule", "text")
    store.insert_arrow("inbound", pa.table({
        "number": pa.array([getattr(one, "number", 0) for one in said], pa.uint64()),
        "person": pa.array([getattr(one, "person", "") for one in said], pa.string()),
        "at": pa.array([one.at for one in said], _MS),
        "received": pa.array([one.received or one.at for one in said], _MS),
        "notes": pa.array([one.notes for one in said], pa.list_(pa.string())),
        "identity": pa.array([identity for _, identity, _ in texts], pa.string()),
        "evidence": pa.array([evidence for _, _, evidence in texts], pa.string()),
        **{name: pa.array([getattr(one, name) for one in said], pa.string()) for name in words},
    }))  # fmt: skip


def inbox(store: Store, what: What = "", number: int = 0, page: int = 1, size: int = 50) -> tuple[list[Line], bool]:
    """(the lines of a page, newest first; whether there are older ones). `number`: of this one only.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    first = (page - 1) * size
    asked = {"what": what, "number": number, "looked": _REPEATED * (first + size + 1)}
    is_held = what == "held"
    said = _TEXTS.replace("HELD", _HELD_TEXT if is_held else "false")
    changed = _OTHERS.replace("HELD", _HELD_CHANGE if is_held else "false")
    texts = _once(map(_line, store.rows(said, asked))) if what != "changes" else []
    others = list(map(_line, store.rows(changed, asked))) if what in ("", "changes", "held") else []
    # A change that a text caused is shown with the text, which has its time. So the first n texts and the first n
    # changes hold the first n lines. One whose text is older than the table of texts stands alone.
    known = _known(store, [one for one in others if one.source == "inbound"])
    lines = list(dict.fromkeys(texts + [one for one in others if (one.number, one.evidence) not in known]))
    lines.sort(key=lambda one: (-one.at.timestamp(), one.number, one.id, one.source, one.evidence))
    return _completed(store, lines[first : first + size]), len(lines) > first + size


_COLUMNS: Final = tuple(one.name for one in fields(Line) if one.name != "answer")


def _line(row: Sequence[Any]) -> Line:
    return Line(**dict(zip(_COLUMNS, row, strict=True)) | {"notes": tuple(row[_COLUMNS.index("notes")])})


def _once(texts: Iterable[Line]) -> list[Line]:
    """Each text once, as it came last."""
    newest: dict[tuple[int, str, str], Line] = {}
    for line in texts:
        newest.setdefault((line.number, line.sender, line.identity), line)
    return list(newest.values())


def _known(store: Store, caused: Sequence[Line]) -> set[tuple[int, str]]:
    """Number and evidence of the texts of people whom a text has opted out or in."""
    numbers = sorted({one.number for one in caused})
    return {(number, evidence) for number, evidence in store.rows(_KNOWN, numbers=numbers)} if numbers else set()


def _completed(store: Store, lines: Sequence[Line]) -> list[Line]:
    """With what each text changed, what we answered, and which hold waits because of it."""
    numbers = sorted({line.number for line in lines if line.number})
    if not numbers:
        return list(lines)
    changes = {(n, evidence): state for n, evidence, state in store.rows(_CHANGES, numbers=numbers)}
    answers = {(n, cause): Answer(*rest) for n, cause, *rest in store.rows(_ANSWERS, numbers=numbers)}
    held = {(n, hold): account for n, account, hold in store.rows(_OPEN, numbers=numbers)}
    return [_with_answer(line, changes, answers, held) for line in lines]


def _with_answer(
    line: Line,
    changes: dict[tuple[int, str], str],
    answers: dict[tuple[int, str], Answer],
    held: dict[tuple[int, str], str],
) -> Line:
    hold = line.identity if line.intent else line.hold
    account = held.get((line.number, hold))
    waiting = replace(line, hold=hold if account is not None else "")
    if not line.intent:
        return waiting
    answer = answers.get((line.number, line.id))
    # These two are answered once the change is durable, and only then: the row of the change may be on its way.
    confirmed = _CONFIRMED.get(answer.kind) if answer is not None else None
    state = changes.get((line.number, line.evidence), confirmed)
    return replace(waiting, account=line.account if account is None else account, state=state, answer=answer)
