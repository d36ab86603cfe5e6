"""The sets of a campaign's messages, measured in the engine in one pass over their bitmaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from adapters.clickhouse.connection import Store
from adapters.clickhouse.recorded import BY_LANES, HAS_RECEIPTS, RECORDED
from schemas.figures import Clicks, MessageSets, Settled, StateSet
from schemas.reasons import Reason
from schemas.succession import ACKNOWLEDGED, BILLED, EVENTS, FINAL, RECEIPTS, rank_sql
from schemas.times import ms_of

_EVENTS: Final = str(EVENTS)
_CHAIN: Final = (*BILLED, "rejected")
"""What came of a submission and was billed, and what was not after all."""
_BY_PERSON: Final = f"(state = 'clicked' AND reason = '{Reason.PERSON}')"

# Each window adds a bitmap once to a running union and asks for its size, which is free: no bitmap is copied. Sets
# that are not merged yet come as several rows with the same key and sizes. One level of SELECT, because planning is
# most of the time; the further levels of receipts are half as much again, so only who has receipts pays for them.
_SIZES: Final = f"""
SELECT message, state, reason, attempt, segments, price,
    groupBitmapMergeIf(ordinals, state IN {(*FINAL, *BILLED, *EVENTS, "rejected")}) OVER
    (
        PARTITION BY message, multiIf(
            state IN {_EVENTS}, concat(state, ':', reason), state IN {_CHAIN}, 'submitted', toString(state))
        ORDER BY indexOf({list(_CHAIN)}, toString(state)), segments, price, reason, attempt
    ),
    groupBitmapMergeIf(ordinals, state NOT IN {_EVENTS}) OVER
        (PARTITION BY message ORDER BY {rank_sql()} DESC, reason = '', reason, segments, price),
    bitmapCardinality(ordinals), last_at, inserted, bitmapMax(ordinals),
    groupBitmapMergeIf(ordinals, {_BY_PERSON}) OVER by_message,
    groupBitmapMergeIf(ordinals, state = 'delivered') OVER by_message,
    groupBitmapMergeIf(ordinals, state = 'delivered' OR {_BY_PERSON}) OVER by_message,
    groupBitmapMergeIf(ordinals, state = 'clicked' AND NOT {_BY_PERSON}) OVER by_message
"""
_BY_MESSAGE: Final = "WINDOW by_message AS (PARTITION BY message) ORDER BY message"
_MEASURE: Final = f"{_SIZES} FROM {BY_LANES} {_BY_MESSAGE}"
_MEASURE_RECEIPTS: Final = f"{_SIZES} FROM {RECORDED} {_BY_MESSAGE}"

# The newest revision, of it the attempt that completed first; the count is answered from the primary index.
_AUDIENCE: Final = f"""
WITH
(
    SELECT (revision, argMin((attempt, recipients), (frozen, attempt))) FROM audiences
    WHERE campaign = {{campaign:String}} GROUP BY revision ORDER BY revision DESC LIMIT 1
) AS chosen
SELECT chosen.2.2, count(), {HAS_RECEIPTS} FROM audience
WHERE campaign = {{campaign:String}} AND revision = chosen.1 AND attempt = chosen.2.1 AND ordinal < chosen.2.2
"""

_OUTSIDE: Final = f"""
SELECT bitmapCardinality(ordinals) - bitmapCardinality(bitmapSubsetInRange(ordinals, 0, {{recipients:UInt32}}))
FROM
(
    SELECT groupBitmapMergeState(ordinals) AS ordinals FROM state_sets
    WHERE campaign = {{campaign:String}} AND message = {{message:UInt8}}
        AND state NOT IN {(*EVENTS, *RECEIPTS)}
)
"""

# Per (segments, price): unknown, with a receipt of delivery or failure, and not accepted. Only asked where an unknown
# one was rejected too, or waits again; else the measured unions tell it.
_SETTLED: Final = f"""
SELECT segments, price, bitmapAndCardinality(bitmapAndnot(unknown, taken), received)
FROM
(
    SELECT segments, price, groupBitmapMergeState(ordinals) AS unknown FROM state_sets
    WHERE campaign = {{campaign:String}} AND message = {{message:UInt8}} AND state = 'unknown'
    GROUP BY segments, price
) AS lost
CROSS JOIN
(
    SELECT groupBitmapMergeStateIf(ordinals, state = 'accepted') AS taken,
        groupBitmapMergeStateIf(ordinals, state != 'accepted') AS received
    FROM {RECORDED}
    WHERE message = {{message:UInt8}} AND state IN ('accepted', '{ACKNOWLEDGED}', 'delivered', 'undelivered')
) AS known
"""

# A part never changes: a campaign's sets are the same for as long as the parts that hold them are.
_VERSIONS: Final = """
SELECT toString(campaign), groupBitXor(sipHash64(_part))
FROM (SELECT DISTINCT campaign, _part FROM state_sets WHERE campaign IN {campaigns:Array(String)})
GROUP BY campaign
"""


def versions(store: Store, campaigns: Sequence[str]) -> dict[str, int]:
    """Campaign → a number that changes whenever anything is recorded of its messages (and when the engine merges what
    is), without measuring them. A campaign of which nothing is recorded is left out.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows = store.rows(_VERSIONS, {"campaigns": list(campaigns)})
    return {row[0]: row[1] for row in rows}


def message_sets(store: Store, campaign: str) -> list[MessageSets]:
    """What is recorded of each message of a campaign, for `pipeline.insight.accounting.figures`.

    An audience of which nothing is recorded yet gives message 0; a campaign that ClickHouse does not know gives [].

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {"campaign": campaign}
    audience = _audience(store, asked)
    # Receipts that come between the two questions are in the next figures.
    rows = store.rows(_MEASURE_RECEIPTS if audience.has_receipts else _MEASURE, asked)
    if rows and not audience.recipients:
        # Frozen between the two looks: it is there before anything is recorded of it.
        audience = _audience(store, asked)
    measured: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        measured[row[0]].append(row[1:])
    if audience.recipients and not measured:
        measured[0] = []
    return [_message(store, (campaign, message), audience, rows) for message, rows in measured.items()]


class _Audience(NamedTuple):
    recipients: int
    present: int
    """Rows that are there of them."""
    has_receipts: bool


def _audience(store: Store, asked: dict[str, str]) -> _Audience:
    recipients, present, has_receipts = store.rows(_AUDIENCE, asked)[0]
    return _Audience(recipients or 0, present or 0, bool(has_receipts))


def _message(store: Store, key: tuple[str, int], audience: _Audience, rows: Sequence[Sequence[Any]]) -> MessageSets:
    sets = [StateSet(*row[:7]) for row in rows]
    asked = {"campaign": key[0], "message": key[1]}
    outside = 0
    if any(row[10] >= audience.recipients for row in rows if row[0] not in EVENTS):
        outside = store.rows(_OUTSIDE, {**asked, "recipients": audience.recipients})[0][0]
    settled: list[Settled] | None = None
    if _moved_on(rows):
        settled = [Settled(*row) for row in store.rows(_SETTLED, asked) if row[2]]
    return MessageSets(
        campaign=key[0],
        message=key[1],
        recipients=audience.recipients,
        audience_rows=audience.present,
        outside=outside,
        sets=sets,
        settled=settled,
        clicks=_clicks(rows),
        newest_at=max((ms_of(row[8]) for row in rows), default=0),
        inserted_at=max((ms_of(row[9]) for row in rows), default=0),
    )


def _clicks(rows: Sequence[Sequence[Any]]) -> Clicks:
    """A person is one element of a set, so that the rate cannot pass 100 %."""
    if not rows:
        return Clicks()
    people, delivered, either, bots = rows[0][11:15]
    return Clicks(people=people, delivered=people + delivered - either, bots=bots)


def _moved_on(rows: Sequence[Sequence[Any]]) -> bool:
    """Whether a recipient may have been unknown and was not sent to after all: waits again, or was rejected too.
    Rejected ones come last in their chain: where they add less to the accepted and unknown ones than they are, some
    were in it before."""
    if not any(row[0] == "unknown" for row in rows):
        return False
    if any(row[1] == Reason.NOT_SENT_BY_LOST_OWNER for row in rows):
        return True
    billed = max(row[5] for row in rows if row[0] in BILLED)
    submitted = max((row[5] for row in rows if row[0] == "rejected"), default=billed)
    return bool(submitted - billed < sum(row[7] for row in rows if row[0] == "rejected"))
