"""Texts and opt-out links whose message is not decided yet, what was handed over to their numbers, and when
recipients were sent to, for judging clicks that come moments later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.succession import BY_LANE
from schemas.times import ms_of

_MS: Final = pa.timestamp("ms", "UTC")

_SINCE: Final = "fromUnixTimestamp64Milli({since:Int64}, 'UTC')"
# Most minutes there is nothing, and to learn that from all of the statement below would take four times as long.
_ANYTHING: Final = f"""
SELECT 1 FROM inbound WHERE number > 0 AND received >= {_SINCE} LIMIT 1
UNION ALL
SELECT 1 FROM consents WHERE source IN ('link', 'review') AND state = 'out' AND recorded >= {_SINCE} LIMIT 1
"""
_WAITING: Final = f"""
SELECT number, item, any(sender), any(campaign), min(at) AS first, any(event) FROM
(
    SELECT number, identity AS item, sender, '' AS campaign, received AS at,
        if(intent = 'stop', 'opted_out', 'replied') AS event
    FROM inbound WHERE number > 0 AND received >= {_SINCE}
    UNION ALL
    SELECT number, concat('link/', toString(log_partition), '/', toString(log_offset)), '', toString(campaign),
        recorded, 'opted_out'
    FROM consents WHERE source = 'link' AND state = 'out' AND campaign != ''
        AND recorded >= {_SINCE}
    UNION ALL
    SELECT c.number, concat('review/', toString(c.log_partition), '/', toString(c.log_offset)), i.sender, '',
        i.received, 'opted_out'
    FROM (
        SELECT number, log_partition, log_offset, evidence FROM consents
        WHERE source = 'review' AND state = 'out' AND recorded >= {_SINCE}
    ) AS c
    INNER JOIN (SELECT number, evidence, sender, received FROM inbound WHERE intent = 'doubtful') AS i
    ON c.number = i.number WHERE startsWith(c.evidence, i.evidence)
)
WHERE (number, item) NOT IN (SELECT number, item FROM attributed WHERE decided >= {_SINCE})
GROUP BY number, item HAVING first <= fromUnixTimestamp64Milli({{until:Int64}}, 'UTC')
ORDER BY first LIMIT {{most:UInt32}}
"""
_CAMPAIGNS: Final = f"""
SELECT toString(campaign) FROM state_sets WHERE state = 'accepted' AND campaign IN
    (SELECT id FROM campaigns WHERE account = {{account:String}} AND (sender = {{sender:String}}
        OR has(JSONExtract(spec, 'pool', 'Array(String)'), {{sender:String}})))
GROUP BY campaign HAVING max(last_at) >= {_SINCE}
"""
# Ordinals are in order of buckets, so the index by bucket leaves little of an audience to be read.
_BUCKET: Final = "bitShiftRight(toUInt64(number) * toUInt64(11400714819323198485), 52)"
"""The expression of the index of table `audience`."""
_MEMBERS: Final = f"""
SELECT number, toString(campaign) AS id, ordinal FROM audience
WHERE campaign IN {{campaigns:Array(String)}} AND number IN (SELECT number FROM typed)
    AND {_BUCKET} IN (SELECT {_BUCKET} FROM typed)
    AND (campaign, revision, attempt) IN
    (
        SELECT campaign, revision, argMin(attempt, (frozen, attempt)) FROM audiences
        WHERE (campaign, revision) IN
        (
            SELECT campaign, max(revision) FROM audiences WHERE campaign IN {{campaigns:Array(String)}}
            GROUP BY campaign
        )
        GROUP BY campaign, revision
    )
"""
_SENT: Final = """
SELECT message, ordinal, min(at) FROM status_log ARRAY JOIN ordinals AS ordinal
WHERE campaign = {campaign:String} AND state IN ('accepted', 'unknown', 'delivered', 'undelivered')
    AND low <= {last:UInt32} AND high >= {first:UInt32} AND ordinal IN (SELECT toUInt32(number) FROM typed)
GROUP BY message, ordinal
"""


class WaitingRow(NamedTuple):
    """What `pipeline.feedback.attribution.Waiting` is made of."""

    number: int
    item: str
    sender: str
    campaign: str
    at: int
    event: str


class SentRow(NamedTuple):
    """A message that was handed over to `number`, `at` in ms."""

    number: int
    campaign: str
    message: int
    ordinal: int
    at: int


class Decided(NamedTuple):
    """What `item` of `number` belongs to; campaign "" for nothing."""

    number: int
    item: str
    event: str
    campaign: str
    message: int
    ordinal: int
    at: int


def waiting(store: Store, since: int, until: int, most: int) -> list[WaitingRow]:
    """What came between `since` and `until` (ms) and is not decided, oldest first.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not store.rows(_ANYTHING, {"since": since}):
        return []
    rows = store.rows(_WAITING, {"since": since, "until": until, "most": most})
    return [
        WaitingRow(number, item, sender, campaign, ms_of(at), event)
        for number, item, sender, campaign, at, event in rows
    ]


def campaigns_of(store: Store, account: str, sender: str, since: int) -> list[str]:
    """Campaigns of a sender that have handed anything over since then (ms).

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {"account": account, "sender": sender, "since": since}
    return [row[0] for row in store.rows(_CAMPAIGNS, asked)]


def sent_to(store: Store, campaigns: Sequence[str], numbers: Sequence[int]) -> list[SentRow]:
    """Every message of the campaigns that was handed over to one of the numbers.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not campaigns or not numbers:
        return []
    members: dict[str, dict[int, int]] = {}
    for number, campaign, ordinal in store.rows(_MEMBERS, {"campaigns": list(campaigns)}, numbers=sorted(numbers)):
        members.setdefault(campaign, {})[ordinal] = number
    return [row for campaign, people in members.items() for row in _handed_over(store, campaign, people)]


def _handed_over(store: Store, campaign: str, people: Mapping[int, int]) -> list[SentRow]:
    ordinals = sorted(people)
    asked = {"campaign": campaign, "first": ordinals[0], "last": ordinals[-1]}
    rows: Sequence[Sequence[Any]] = store.rows(_SENT, asked, numbers=ordinals)
    return [SentRow(people[ordinal], campaign, message, ordinal, ms_of(at)) for message, ordinal, at in rows]


def insert_attributed(store: Store, decided: Sequence[Decided]) -> None:
    """Note what was decided; deciding again is the same row.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not decided:
        return
    words = ("item", "event", "campaign")
    store.insert_arrow("attributed", pa.table({
        "number": pa.array([decision.number for decision in decided], pa.uint64()),
        "message": pa.array([decision.message for decision in decided], pa.uint8()),
        "ordinal": pa.array([decision.ordinal for decision in decided], pa.uint32()),
        "at": pa.array([decision.at for decision in decided], _MS),
        **{name: pa.array([getattr(decision, name) for decision in decided], pa.string()) for name in words},
    }))  # fmt: skip


_SENT_AT: Final = f"""
SELECT ordinal, toUnixTimestamp64Milli(max(at)) FROM
(
    SELECT at, arrayJoin(arrayIntersect(ordinals, {{ordinals:Array(UInt32)}})) AS ordinal
    FROM status_log
    PREWHERE at >= fromUnixTimestamp64Milli({{since:Int64}}) AND at <= fromUnixTimestamp64Milli({{until:Int64}})
    WHERE campaign = {{campaign:String}} AND message = {{message:UInt8}} AND state IN {BY_LANE}
        AND low <= {{last:UInt32}} AND high >= {{first:UInt32}}
)
GROUP BY ordinal
"""


def sent_between(
    store: Store, key: tuple[str, int], ordinals: Sequence[int], span: tuple[int, int]
) -> dict[int, int]:
    """Ordinal → when (ms) of those of `ordinals` (sorted, not empty) of message `key` that their lane submitted in
    `span` (ms, both ends in it).

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {
        "campaign": key[0], "message": key[1], "ordinals": list(ordinals), "first": ordinals[0], "last": ordinals[-1],
        "since": span[0], "until": span[1],
    }  # fmt: skip
    return {row[0]: row[1] for row in store.rows(_SENT_AT, asked)}
