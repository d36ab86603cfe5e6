"""The sets of campaigns' messages, measured in the engine in one pass over their bitmaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adapters.clickhouse.connection import Store
from schemas.figures import MessageSets, Settled, StateSet
from schemas.succession import BILLED, EVENTS, FINAL, rank_sql

_EVENTS: Final = str(EVENTS)
_BILLED: Final = str(BILLED)

# Both windows add each bitmap once to a running union and ask for its size, which is free: no bitmap is copied.
_MEASURE: Final = f"""
SELECT campaign, message, state, reason, turn, segments, price,
    any(own) AS own, any(reached) AS reached, max(last_at) AS newest, max(inserted) AS stored, any(highest) AS highest
FROM
(
    SELECT campaign, message, state, reason, turn, segments, price, last_at, inserted,
        groupBitmapMergeIf(ordinals, state IN {(*FINAL, *BILLED, *EVENTS)}) OVER
            (PARTITION BY campaign, message, state, part ORDER BY reason) AS own,
        groupBitmapMergeIf(ordinals, NOT event) OVER
            (PARTITION BY campaign, message ORDER BY event, rank DESC, reason) AS reached,
        if(event, 0, bitmapMax(ordinals)) AS highest
    FROM
    (
        SELECT *, {rank_sql()} AS rank, state IN {_EVENTS} AS event,
            multiIf(event, toString(reason), state IN {_BILLED}, concat(toString(segments), '-', toString(price)), '')
                AS part
        FROM state_sets WHERE campaign IN {{campaigns:Array(String)}}
    )
)
GROUP BY campaign, message, state, reason, turn, segments, price
ORDER BY campaign, message
"""

_AUDIENCES: Final = """
SELECT campaign, argMax((revision, chosen.1, chosen.2), revision)
FROM
(
    SELECT campaign, revision, argMin((attempt, recipients), (frozen, attempt)) AS chosen
    FROM audiences WHERE campaign IN {campaigns:Array(String)} GROUP BY campaign, revision
)
GROUP BY campaign
"""

_ROWS: Final = """
SELECT count() FROM audience
WHERE campaign = {campaign:String} AND revision = {revision:UInt32} AND attempt = {attempt:UInt64}
    AND ordinal < {recipients:UInt32}
"""

_OUTSIDE: Final = f"""
SELECT bitmapCardinality(ordinals) - bitmapCardinality(bitmapSubsetInRange(ordinals, 0, {{recipients:UInt32}}))
FROM
(
    SELECT groupBitmapMergeState(ordinals) AS ordinals FROM state_sets
    WHERE campaign = {{campaign:String}} AND message = {{message:UInt8}} AND state NOT IN {_EVENTS}
)
"""

# Per (segments, price): unknown, with a receipt of delivery or failure, and not accepted. The bitmaps are read again
# only where a submission became unknown and did not stay so, which takes a crash.
_SETTLED: Final = """
SELECT segments, price, bitmapAndCardinality(bitmapAndnot(unknown, taken), received)
FROM
(
    SELECT segments, price, groupBitmapMergeState(ordinals) AS unknown FROM state_sets
    WHERE campaign = {campaign:String} AND message = {message:UInt8} AND state = 'unknown'
    GROUP BY segments, price
) AS lost
CROSS JOIN
(
    SELECT groupBitmapMergeStateIf(ordinals, state = 'accepted') AS taken,
        groupBitmapMergeStateIf(ordinals, state != 'accepted') AS received
    FROM state_sets
    WHERE campaign = {campaign:String} AND message = {message:UInt8}
        AND state IN ('accepted', 'delivered', 'undelivered')
) AS known
"""


@dataclass(frozen=True, slots=True)
class Audience:
    """The frozen audience of a campaign: its newest revision, the attempt that counts, N."""

    revision: int
    attempt: int
    recipients: int


def message_sets(store: Store, campaigns: Sequence[str]) -> list[MessageSets]:
    """What is recorded of each message of these campaigns, for `pipeline.accounting.figures`.

    A campaign with an audience of which nothing is recorded has message 0; without an audience it has none.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not campaigns:
        return []
    asked = {"campaigns": list(campaigns)}
    audiences = {_text(name): Audience(*found) for name, found in store.rows(_AUDIENCES, asked)}
    measured: defaultdict[tuple[str, int], list[Sequence[Any]]] = defaultdict(list)
    for row in store.rows(_MEASURE, asked):
        measured[_text(row[0]), row[1]].append(row[2:])
    for campaign in audiences:
        if not any(key[0] == campaign for key in measured):
            measured[campaign, 0] = []
    present = {campaign: _rows(store, campaign, audience) for campaign, audience in audiences.items()}
    nobody = Audience(0, 0, 0)
    return [
        _message(store, key, audiences.get(key[0], nobody), present.get(key[0], 0), rows)
        for key, rows in sorted(measured.items())
    ]


def _rows(store: Store, campaign: str, audience: Audience) -> int:
    parameters = {
        "campaign": campaign,
        "revision": audience.revision,
        "attempt": audience.attempt,
        "recipients": audience.recipients,
    }
    return int(store.rows(_ROWS, parameters)[0][0])


def _message(
    store: Store, key: tuple[str, int], audience: Audience, present: int, rows: list[Sequence[Any]]
) -> MessageSets:
    sets = [StateSet(*row[:7]) for row in rows]
    asked: dict[str, Any] = {"campaign": key[0], "message": key[1]}
    outside = 0
    if any(row[9] >= audience.recipients for row in rows if row[0] not in EVENTS):
        outside = store.rows(_OUTSIDE, {**asked, "recipients": audience.recipients})[0][0]
    settled: list[Settled] = []
    if _some_unknown_resolved(sets):
        settled = [Settled(*row) for row in store.rows(_SETTLED, asked) if row[2]]
    return MessageSets(
        campaign=key[0],
        message=key[1],
        recipients=audience.recipients,
        audience_rows=present,
        outside=outside,
        sets=sets,
        settled=settled,
        newest_at=max((_millis(row[7]) for row in rows), default=0),
        inserted_at=max((_millis(row[8]) for row in rows), default=0),
    )


def _some_unknown_resolved(sets: Sequence[StateSet]) -> bool:
    """Whether fewer are unknown now than ever were."""
    unknown = [one for one in sets if one.state == "unknown"]
    if not unknown:
        return False
    above = ("accepted", "rejected", "undelivered", "delivered")
    before = max((one.reached for one in sets if one.state in above), default=0)
    parts: dict[tuple[int, int], int] = {}
    for one in unknown:
        parts[one.segments, one.price] = max(parts.get((one.segments, one.price), 0), one.own)
    return sum(parts.values()) > max(one.reached for one in unknown) - before


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
