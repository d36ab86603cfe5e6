"""What people wrote and every change of consent as one list, newest first, with what we answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.feedback import InboundText, UnreadText
from schemas.times import ms_of

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
_HELD_CHANGE: Final = f"(number, account, hold) IN ({_HELD})"
"""Holds by texts too: those of further numbers that a sender may be have no text of their own number."""
_TEXTS: Final = """
SELECT received, number, toString(intent), sender, id, text, evidence, 'inbound', NULL, toString(account), '', word,
    toString(rule), '', at, person, notes, identity
FROM inbound
WHERE ({what:String} IN ('', toString(intent)) OR {what:String} = 'unread' AND number = 0 OR HELD)
    AND (number = {number:UInt64} OR {number:UInt64} = 0)
    AND received <= PLACE AND (received < PLACE OR (number, identity) > ({place_number:UInt64}, {mark:String}))
ORDER BY received DESC, number, identity LIMIT {looked:UInt32}
"""
"""HELD is what waits for an operator, or nothing where that is not asked for: it takes a look at every consent."""
_MARK: Final = "concat('~', leftPad(toString(log_partition), 5, '0'), '.', leftPad(toString(log_offset), 20, '0'))"
"""Names a change among those of its number; after every identity of a text."""
_OTHERS: Final = """
SELECT recorded, number, '', '', '', '', evidence, toString(source), toString(state), toString(account), hold, word,
    toString(rule), who, at, '', [], MARK
FROM consents
WHERE ({what:String} = '' OR {what:String} = 'changes' AND source != 'inbound' OR HELD)
    AND (number = {number:UInt64} OR {number:UInt64} = 0)
    AND recorded <= PLACE AND (recorded < PLACE OR (number, MARK) > ({place_number:UInt64}, {mark:String}))
ORDER BY recorded DESC, number, MARK LIMIT {looked:UInt32}
"""
_PLACE: Final = "fromUnixTimestamp64Milli({place_at:Int64})"
_FIRST: Final = """
SELECT number, sender, identity, min(received) FROM inbound
WHERE number IN (SELECT number FROM typed) AND identity IN {identities:Array(String)}
GROUP BY number, sender, identity
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
    """Our reply to a text."""

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
    """Names the text, or the change, among those of its number."""
    answer: Answer | None = None


class Place(NamedTuple):
    """Where a line stands: `at` (ms), number, and what names it among those of its number."""

    at: int
    number: int
    mark: str


NEWEST: Final = Place(9_999_999_999_999, 0, "")
"""The place before every line."""


def insert_texts(store: Store, texts: Sequence[tuple[InboundText | UnreadText, str, str]]) -> None:
    """Texts, each with its identity and what a consent keeps of it.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not texts:
        return
    inbound = [text for text, _, _ in texts]
    words = ("sender", "account", "aggregator", "id", "intent", "word", "rule", "text")
    store.insert_arrow("inbound", pa.table({
        "number": pa.array([getattr(text, "number", 0) for text in inbound], pa.uint64()),
        "person": pa.array([getattr(text, "person", "") for text in inbound], pa.string()),
        "at": pa.array([text.at for text in inbound], _MS),
        "received": pa.array([text.received or text.at for text in inbound], _MS),
        "notes": pa.array([text.notes for text in inbound], pa.list_(pa.string())),
        "identity": pa.array([identity for _, identity, _ in texts], pa.string()),
        "evidence": pa.array([evidence for _, _, evidence in texts], pa.string()),
        **{name: pa.array([getattr(text, name) for text in inbound], pa.string()) for name in words},
    }))  # fmt: skip


def inbox(
    store: Store, what: What = "", number: int = 0, after: Place = NEWEST, size: int = 50
) -> tuple[list[Line], Place | None]:
    """(the lines that follow `after`, newest first; the place of the last one, None where none follow). `number`: of
    this one only.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    lines_found: list[Line] = []
    place = after._replace(at=min(after.at, NEWEST.at))
    more = True
    while more and len(lines_found) <= size:
        lines, edge = _read(store, what, number, place, size + 1 - len(lines_found))
        lines_found += lines
        more, place = edge is not None, edge or place
    shown = lines_found[:size]
    return _completed(store, shown), _place(shown[-1]) if len(lines_found) > size else None


def _read(store: Store, what: What, number: int, after: Place, wanted: int) -> tuple[list[Line], Place | None]:
    """(some lines that follow `after`; up to where all of them are known, None: all there are)."""
    looked = _REPEATED * wanted
    asked: dict[str, Any] = {"what": what, "number": number, "looked": looked, "place_at": after.at}
    asked |= {"place_number": after.number, "mark": after.mark}
    is_held = what == "held"
    texts = (
        _rows(store, _TEXTS.replace("HELD", _HELD_TEXT if is_held else "false"), asked) if what != "changes" else []
    )
    changed = _OTHERS.replace("HELD", _HELD_CHANGE if is_held else "false")
    others = _rows(store, changed, asked) if what in ("", "changes", "held") else []
    ends = [_place(rows[-1]) for rows in (texts, others) if len(rows) == looked]
    # A change that a text caused is shown with the text, which has its time. One whose text is older than the table
    # of texts stands alone.
    known = _known(store, [other for other in others if other.source == "inbound"])
    lines = [*_first(store, texts), *(other for other in others if (other.number, other.evidence) not in known)]
    ordered = sorted(dict.fromkeys(lines), key=lambda line: _order(_place(line)))
    if not ends:
        return ordered, None
    edge = min(ends, key=_order)
    return [line for line in ordered if _order(_place(line)) <= _order(edge)], edge


def _rows(store: Store, query: str, asked: dict[str, Any]) -> list[Line]:
    return list(map(_line, store.rows(query.replace("MARK", _MARK).replace("PLACE", _PLACE), asked)))


def _place(line: Line) -> Place:
    return Place(ms_of(line.at), line.number, line.identity)


def _order(place: Place) -> tuple[int, int, str]:
    return -place.at, place.number, place.mark


_COLUMNS: Final = tuple(field.name for field in fields(Line) if field.name != "answer")


def _line(row: Sequence[Any]) -> Line:
    return Line(**dict(zip(_COLUMNS, row, strict=True)) | {"notes": tuple(row[_COLUMNS.index("notes")])})


def _first(store: Store, texts: Sequence[Line]) -> list[Line]:
    """Each text once, as it came first: one that comes again does not move."""
    if not texts:
        return []
    asked = {"identities": sorted({line.identity for line in texts})}
    numbers = sorted({line.number for line in texts})
    first = {tuple(name): received for *name, received in store.rows(_FIRST, asked, numbers=numbers)}
    return [line for line in texts if first.get((line.number, line.sender, line.identity), line.at) == line.at]


def _known(store: Store, caused: Sequence[Line]) -> set[tuple[int, str]]:
    """Number and evidence of the texts of people whom a text has opted out or in."""
    numbers = sorted({change.number for change in caused})
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
