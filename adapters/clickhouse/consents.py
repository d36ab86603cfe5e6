"""Consents and replies in ClickHouse: who opted out or in, when, how, with what evidence, and what we answered."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

import pyarrow as pa

from adapters.clickhouse.connection import Placed, Store
from schemas.feedback import Consent, SentReply
from schemas.reasons import Reason
from schemas.succession import BY_LANE, EVENTS, FINAL, RECEIPTS, rank_sql, shown_sql

PAGE: Final = 100_000
"""Changes read at a time, and those of one number more."""
COLUMNS: Final = ("number", "at", "out", "source", "evidence", "account", "hold", "word", "rule", "who", "recorded")
"""Of the export. `out` is out, in, held, or cleared (a hold was ended)."""
_MS: Final = pa.timestamp("ms", "UTC")
_KEY: Final = "number, account, hold"
_FIELDS: Final = """
number, toString(account), hold, toString(state), at, recorded, toString(source), evidence, word, toString(rule), who
"""

_HISTORY: Final = f"""
SELECT {_FIELDS} FROM consents FINAL
WHERE number > {{after:UInt64}} ORDER BY {_KEY}, log_offset LIMIT {{page:UInt32}}
"""
_REST: Final = f"""
SELECT {_FIELDS} FROM consents FINAL WHERE number = {{number:UInt64}} ORDER BY {_KEY}, log_offset
"""
_CURRENT: Final = f"""
SELECT {_FIELDS} FROM consents FINAL
WHERE ({_KEY}, log_offset) IN
(
    SELECT {_KEY}, max(log_offset) FROM consents WHERE number > {{after:UInt64}} GROUP BY {_KEY}
    HAVING argMax(state, log_offset) != 'in' ORDER BY {_KEY} LIMIT {{page:UInt32}}
)
AND number > {{after:UInt64}} ORDER BY {_KEY}
"""
_CURRENT_REST: Final = f"""
SELECT {_FIELDS} FROM consents FINAL WHERE number = {{number:UInt64}}
ORDER BY {_KEY}, log_offset DESC LIMIT 1 BY {_KEY}
"""


_LATEST: Final = """
SELECT number, toString(account), toString(argMax(state, log_offset)), toUnixTimestamp64Milli(argMax(at, log_offset))
FROM consents WHERE hold = '' AND number IN (SELECT number FROM typed) GROUP BY number, account
"""

_ENDED: Final = f"""
SELECT {_KEY} FROM consents WHERE hold != '' AND number IN (SELECT number FROM typed)
GROUP BY {_KEY} HAVING argMax(state, log_offset) = 'in'
"""


def blocked_sql(numbers: str) -> str:
    """A query of (number, reason): who must not be written to by account `{account:String}` now, of the numbers that
    the subquery `numbers` gives. The same rule as `pipeline.eligibility.optouts`."""
    return f"""
    SELECT number, if(max(hold = ''), '{Reason.OPTED_OUT}', '{Reason.HELD_FOR_REVIEW}') AS reason FROM
    (
        SELECT {_KEY} FROM consents WHERE account IN ('', {{account:String}}) AND number IN ({numbers})
        GROUP BY {_KEY} HAVING argMax(state, log_offset) != 'in'
    )
    GROUP BY number
    """


@dataclass(frozen=True, slots=True)
class Change:
    """One change of consent. `account` "" is every account, `hold` "" the current consent."""

    number: int
    account: str
    hold: str
    state: str
    at: datetime
    recorded: datetime
    source: str
    evidence: str
    word: str
    rule: str
    who: str


def insert_consents(store: Store, changes: Sequence[Placed[Consent]]) -> None:
    """Changes of consent with their places in the log.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not changes:
        return
    said = [change.record for change in changes]
    texts = ("account", "hold", "state", "source", "evidence", "word", "rule", "who", "campaign")
    store.insert_arrow("consents", pa.table({
        "number": pa.array([consent.number for consent in said], pa.uint64()),
        "log_partition": pa.array([change.partition for change in changes], pa.uint16()),
        "log_offset": pa.array([change.offset for change in changes], pa.uint64()),
        "recorded": pa.array([change.written for change in changes], _MS),
        "at": pa.array([consent.at for consent in said], _MS),
        **{name: pa.array([getattr(consent, name) for consent in said], pa.string()) for name in texts},
    }))  # fmt: skip


def history(store: Store, number: int) -> list[Change]:
    """Every change of a number: those of one account and hold in the order of the log, the others by when they were
    recorded.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return _merged(Change(*row) for row in store.rows(_REST, {"number": number}))


def current_changes(changes: Iterable[Change]) -> dict[tuple[str, str], Change]:
    """The last change of each account and hold, of the changes of one number in the order of `history`."""
    return {(change.account, change.hold): change for change in changes}


def blocked_of(store: Store, account: str, numbers: Sequence[int]) -> dict[int, str]:
    """Which of `numbers` the account must not write to now, and why (`pipeline.eligibility.optouts.REASONS`).

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not len(numbers):
        return {}
    rows = store.rows(blocked_sql("SELECT number FROM typed"), {"account": account}, numbers=numbers)
    return {int(number): str(reason) for number, reason in rows}


def latest_of(store: Store, numbers: Sequence[int]) -> dict[tuple[int, str], tuple[str, int]]:
    """The current consent of each (number, account) that has one: its state, and when (ms) the person said so.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not len(numbers):
        return {}
    rows = store.rows(_LATEST, numbers=list(dict.fromkeys(numbers)))
    return {(int(number), str(account)): (str(state), int(at)) for number, account, state, at in rows}


def ended_holds(store: Store, numbers: Sequence[int]) -> frozenset[tuple[str, int, str]]:
    """Account, number and name of the holds of `numbers` that somebody has ended.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not len(numbers):
        return frozenset()
    rows = store.rows(_ENDED, numbers=list(dict.fromkeys(numbers)))
    return frozenset((str(account), int(number), str(hold)) for number, account, hold in rows)


def export(store: Store, *, current: bool, page: int = PAGE) -> Iterator[list[Change]]:
    """All changes, number after number, each number's as `history` has them; with `current`, only the last one of
    each account and hold that blocks its number now.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    after = 0
    while rows := [
        Change(*row) for row in store.rows(_CURRENT if current else _HISTORY, {"after": after, "page": page})
    ]:
        after = rows[-1].number
        if len(rows) >= page:
            # The page may have cut the last number in two.
            rest = [Change(*row) for row in store.rows(_CURRENT_REST if current else _REST, {"number": after})]
            rows = [row for row in rows if row.number != after] + [r for r in rest if not current or r.state != "in"]
        yield [change for _, changes in groupby(rows, lambda row: row.number) for change in _merged(changes)]


def _merged(changes: Iterable[Change]) -> list[Change]:
    """Changes in order of account, hold and log as one list by time, in which each log keeps its order."""
    logs = [list(log) for _, log in groupby(changes, lambda change: (change.account, change.hold))]
    return list(heapq.merge(*logs, key=lambda change: change.recorded))


def insert_replies(store: Store, sent: Iterable[tuple[int, SentReply]]) -> None:
    """Replies and text messages of alerts, each with its number; one that is there already stays as it is.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    by_message = {(reply.campaign, reply.message, reply.ordinal): (number, reply) for number, reply in sent}
    if not by_message:
        return
    numbers, replies = [number for number, _ in by_message.values()], [reply for _, reply in by_message.values()]
    store.insert_arrow("replies", pa.table({
        "campaign": pa.array([reply.campaign.encode() for reply in replies], pa.binary(8)),
        "message": pa.array([reply.message for reply in replies], pa.uint8()),
        "ordinal": pa.array([reply.ordinal for reply in replies], pa.uint32()),
        "number": pa.array(numbers, pa.uint64()),
        "kind": pa.array([reply.kind for reply in replies], pa.string()),
        "account": pa.array([reply.account for reply in replies], pa.string()),
        "sender": pa.array([reply.sender for reply in replies], pa.string()),
        "at": pa.array([reply.at for reply in replies], _MS),
        "cause": pa.array([reply.cause for reply in replies], pa.string()),
        "text": pa.array([reply.text for reply in replies], pa.string()),
    }))  # fmt: skip


# Replies are few beside campaigns, so their bitmaps are unfolded: one row per reply and its current state.
_STATES: Final = f"""
SELECT r.account, r.sender, if(s.state = '', 'pending', s.state) AS state, count() AS replies,
    sum(s.segments) AS segments, sum(s.segments * s.price) AS spent
FROM (SELECT campaign, message, ordinal, account, sender FROM replies FINAL) AS r
LEFT JOIN
(
    SELECT campaign, message, ordinal,
        if(countIf(state IN {BY_LANE}) > 0 AND countIf(state IN {FINAL}) = 0, argMax(shown, rank),
            argMaxIf(shown, rank, state NOT IN {tuple(RECEIPTS)})) AS state,
        max(segments) AS segments, max(price) AS price
    FROM
    (
        SELECT campaign, message, toString(state) AS state, {shown_sql()} AS shown, segments, price,
            {rank_sql()} AS rank,
            arrayJoin(bitmapToArray(groupBitmapMergeState(ordinals))) AS ordinal
        FROM state_sets
        WHERE campaign IN (SELECT DISTINCT campaign FROM replies) AND state NOT IN {EVENTS}
        GROUP BY campaign, message, state, attempt, segments, price
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
    WHERE campaign IN (SELECT DISTINCT campaign FROM replies) AND state NOT IN {(*EVENTS, *RECEIPTS)}
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
    figures: dict[tuple[str, str], ReplyFigures] = {}
    for account, sender, kind, n in store.rows(_KINDS):
        of_sender = figures.setdefault((account, sender), ReplyFigures(account, sender, 0, {}, {}, 0, 0, 0))
        of_sender.kinds[kind] = n
        of_sender.targeted += n
    for account, sender, state, n, segments, spent in store.rows(_STATES):
        if (account, sender) in figures:
            of_sender = figures[account, sender]
            of_sender.states[state] = n
            of_sender.segments += segments
            of_sender.spent += spent
    for account, sender, n in store.rows(_STRANGE):
        if (account, sender) in figures:
            figures[account, sender].residual += n
    for of_sender in figures.values():
        of_sender.residual += of_sender.targeted - sum(of_sender.states.values())
    return list(figures.values())
