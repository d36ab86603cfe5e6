"""Everything that ClickHouse holds about one recipient of one campaign, for `longwave explain`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from adapters.clickhouse.connection import Store
from schemas.reasons import Reason
from schemas.succession import BY_LANE, FINAL, RECEIPTS, rank_sql, shown_sql
from schemas.times import ms_of


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """The newest document of a campaign that ClickHouse has. `launched` in ms, 0 for never."""

    id: str
    name: str
    account: str
    sender: str
    status: str
    reason: str
    launched: int
    recipients: int
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecipientEvent:
    """One status of the recipient. `rank`: place in the order of states (`schemas.succession`), 0 for events."""

    message: int
    at: int
    state: str
    reason: str
    attempt: int
    segments: int
    price: int
    lane: int
    id: str
    rank: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """The frozen row of the audience."""

    ordinal: int
    country: str
    region: str
    zone: str


def campaign_row(store: Store, campaign: str) -> CampaignRow | None:
    """The campaign, None if ClickHouse does not know it.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows = store.rows(
        """SELECT toString(id), name, account, sender, status, reason, launched, recipients, spec
        FROM campaigns FINAL WHERE id = {campaign:String}""",
        {"campaign": campaign},
    )
    if not rows:
        return None
    row = rows[0]
    return CampaignRow(row[0], row[1], row[2], row[3], row[4], row[5], ms_of(row[6]), row[7], json.loads(row[8]))


_RECIPIENT: Final = """
WITH (
    SELECT (revision, argMin(attempt, (frozen, attempt))) FROM audiences
    WHERE campaign = {campaign:String} GROUP BY revision ORDER BY revision DESC LIMIT 1
) AS chosen
SELECT ordinal, toString(country), toString(region), toString(zone) FROM audience
WHERE campaign = {campaign:String} AND revision = chosen.1 AND attempt = chosen.2 AND number = {number:UInt64}
"""


def recipient(store: Store, campaign: str, number: int) -> Recipient | None:
    """The recipient in the frozen audience, None if the number is not in it.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows = store.rows(_RECIPIENT, {"campaign": campaign, "number": number})
    return Recipient(*rows[0]) if rows else None


_EVENTS: Final = f"""
SELECT message, at, {shown_sql()} AS shown, toString(reason) AS why, attempt,
    max(segments), max(price), max(lane), max(if(empty(ids), '', ids[indexOf(ordinals, {{ordinal:UInt32}})])),
    max({rank_sql()}) AS height, toString(state) AS said
FROM status_log
WHERE campaign = {{campaign:String}} AND low <= {{ordinal:UInt32}} AND high >= {{ordinal:UInt32}}
    AND if(last > first, {{ordinal:UInt32}} >= first AND {{ordinal:UInt32}} < last, has(ordinals, {{ordinal:UInt32}}))
GROUP BY message, at, shown, why, attempt, said
ORDER BY message, at, height
"""


def recipient_events(store: Store, campaign: str, ordinal: int) -> list[RecipientEvent]:
    """Every status of a recipient, oldest first; a replayed one once.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows = store.rows(_EVENTS, {"campaign": campaign, "ordinal": ordinal})
    return [_event(row, rows) for row in rows]


def _event(row: Sequence[Any], rows: Sequence[Sequence[Any]]) -> RecipientEvent:
    said = {other[-1] for other in rows if other[0] == row[0]}
    event = RecipientEvent(row[0], ms_of(row[1]), *row[2:-1])
    if row[-1] not in RECEIPTS or (said & {*BY_LANE} and not said & {*FINAL}):
        return event
    return replace(event, rank=-1, reason=Reason.NOT_COUNTED)
