"""Consents and replies in ClickHouse: who opted out or in, when, how, with what evidence, and what we answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.feedback import Conversation
from schemas.succession import EVENTS, rank_sql

PAGE: Final = 100_000
"""Changes read at a time, and those of one number more."""
COLUMNS: Final = ("number", "at", "out", "source", "evidence")
_MS: Final = pa.timestamp("ms", "UTC")

_HISTORY: Final = """
SELECT number, at, out, source, evidence FROM consents FINAL
WHERE number > {after:UInt64} ORDER BY number, at LIMIT {page:UInt32}
"""
_REST: Final = """
SELECT number, at, out, source, evidence FROM consents FINAL WHERE number = {number:UInt64} ORDER BY at
"""
_CURRENT: Final = """
SELECT number, newest.1, newest.2, newest.3, newest.4 FROM
(
    SELECT number, max((at, out, source, evidence)) AS newest FROM consents
    WHERE number > {after:UInt64} GROUP BY number
)
WHERE newest.2 ORDER BY number LIMIT {page:UInt32}
"""


@dataclass(frozen=True, slots=True)
class Consent:
    """One change: `out` is True for an opt-out."""

    number: int
    at: datetime
    out: bool
    source: str
    evidence: str


def history(store: Store, number: int) -> list[Consent]:
    """Every change of a number, oldest first.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return [Consent(*row) for row in store.rows(_REST, {"number": number})]


def export(store: Store, *, current: bool, page: int = PAGE) -> Iterator[list[Consent]]:
    """All changes in order of number and time; with `current`, only the last one of each number that is out now.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    after = 0
    while rows := [Consent(*row) for row in _page(store, after, page, current=current)]:
        after = rows[-1].number
        if not current and len(rows) >= page:
            # The page may have cut the last number's history in two.
            rows = [row for row in rows if row.number != after] + history(store, after)
        yield rows


def _page(store: Store, after: int, page: int, *, current: bool) -> Sequence[Sequence[Any]]:
    return store.rows(_CURRENT if current else _HISTORY, {"after": after, "page": page})


def insert_replies(store: Store, conversations: Sequence[Conversation]) -> None:
    """The replies of conversations; one that is there already stays as it is.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    found = {
        (one.campaign, one.message, one.ordinal): (conversation.number, one)
        for conversation in conversations
        for one in conversation.replies
    }
    if not found:
        return
    numbers, replies = [number for number, _ in found.values()], [one for _, one in found.values()]
    store.insert_arrow("replies", pa.table({
        "campaign": pa.array([one.campaign.encode() for one in replies], pa.binary(8)),
        "message": pa.array([one.message for one in replies], pa.uint8()),
        "ordinal": pa.array([one.ordinal for one in replies], pa.uint32()),
        "number": pa.array(numbers, pa.uint64()),
        "kind": pa.array([one.kind for one in replies], pa.string()),
        "account": pa.array([one.account for one in replies], pa.string()),
        "sender": pa.array([one.sender for one in replies], pa.string()),
        "at": pa.array([one.at for one in replies], _MS),
        "cause": pa.array([one.cause for one in replies], pa.string()),
        "text": pa.array([one.text for one in replies], pa.string()),
    }))  # fmt: skip


# Replies are few beside campaigns, so their bitmaps are unfolded: one row per reply and its current state.
_STATES: Final = f"""
SELECT r.account, r.sender, if(s.state = '', 'pending', s.state) AS state, count() AS replies,
    sum(s.segments) AS segments, sum(s.segments * s.price) AS spent
FROM (SELECT campaign, message, ordinal, account, sender FROM replies FINAL) AS r
LEFT JOIN
(
    SELECT campaign, message, ordinal, argMax(state, rank) AS state,
        max(segments) AS segments, max(price) AS price
    FROM
    (
        SELECT campaign, message, toString(state) AS state, segments, price, {rank_sql()} AS rank,
            arrayJoin(bitmapToArray(groupBitmapMergeState(ordinals))) AS ordinal
        FROM state_sets
        WHERE campaign IN (SELECT DISTINCT campaign FROM replies) AND state NOT IN {EVENTS}
        GROUP BY campaign, message, state, turn, segments, price
    )
    GROUP BY campaign, message, ordinal
) AS s ON r.campaign = s.campaign AND r.message = s.message AND r.ordinal = s.ordinal
GROUP BY r.account, r.sender, state ORDER BY r.account, r.sender, state
"""
_KINDS: Final = """
SELECT account, sender, kind, count() FROM replies FINAL GROUP BY account, sender, kind ORDER BY account, sender, kind
"""
_STRANGE: Final = f"""
SELECT c.account, c.sender, count() FROM
(
    SELECT campaign, message, arrayJoin(bitmapToArray(groupBitmapMergeState(ordinals))) AS ordinal
    FROM state_sets
    WHERE campaign IN (SELECT DISTINCT campaign FROM replies) AND state NOT IN {EVENTS}
    GROUP BY campaign, message
) AS s
INNER JOIN (SELECT DISTINCT campaign, account, sender FROM replies) AS c ON s.campaign = c.campaign
LEFT ANTI JOIN replies AS r ON s.campaign = r.campaign AND s.message = r.message AND s.ordinal = r.ordinal
GROUP BY c.account, c.sender
"""


@dataclass(slots=True)
class ReplyFigures:
    """Of one sender: replies by kind and by current state (`pending`: not in the lane yet), segments, millionths of a
    credit; `residual`: recorded states of messages that are no reply we know. Anything but 0 is a defect."""

    account: str
    sender: str
    targeted: int
    kinds: dict[str, int]
    states: dict[str, int]
    segments: int
    spent: int
    residual: int


def reply_figures(store: Store) -> list[ReplyFigures]:
    """The figures of every sender that answered anything.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    found: dict[tuple[str, str], ReplyFigures] = {}
    for account, sender, kind, n in store.rows(_KINDS):
        one = found.setdefault((account, sender), ReplyFigures(account, sender, 0, {}, {}, 0, 0, 0))
        one.kinds[kind] = n
        one.targeted += n
    for account, sender, state, n, segments, spent in store.rows(_STATES):
        if (account, sender) in found:
            one = found[account, sender]
            one.states[state] = n
            one.segments += segments
            one.spent += spent
    for account, sender, n in store.rows(_STRANGE):
        if (account, sender) in found:
            found[account, sender].residual += n
    for one in found.values():
        one.residual += one.targeted - sum(one.states.values())
    return list(found.values())
