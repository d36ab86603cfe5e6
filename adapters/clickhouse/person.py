"""Everything that ClickHouse holds about one number, for whoever asks what is stored about them; and its erasure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from adapters.clickhouse.connection import Store
from adapters.clickhouse.consents import history
from adapters.clickhouse.story import recipient_events
from schemas.ids import bucket

_CONTACT: Final = """
SELECT toString(country), toString(region), toString(zone), attributes, updated FROM contacts FINAL
WHERE bucket = {bucket:UInt16} AND number = {number:UInt64}
"""
_LISTS: Final = """
SELECT name, min(at) FROM
(
    SELECT toString(list) AS name, added AS at FROM list_members WHERE number = {number:UInt64}
    UNION ALL SELECT list, made FROM retry_recipients WHERE number = {number:UInt64}
)
GROUP BY name ORDER BY name
"""
_FROZEN: Final = """
SELECT toString(a.campaign), any(c.name), a.ordinal, any(a.fields), any(f.names) FROM audience AS a
INNER JOIN
(
    SELECT campaign, revision, argMin(attempt, (frozen, attempt)) AS first,
        argMin(fields, (frozen, attempt)) AS names FROM audiences GROUP BY campaign, revision
) AS f ON a.campaign = f.campaign AND a.revision = f.revision AND a.attempt = f.first
LEFT JOIN (SELECT id, argMax(name, revision) AS name FROM campaigns GROUP BY id) AS c ON a.campaign = c.id
WHERE a.number = {number:UInt64}
GROUP BY a.campaign, a.ordinal ORDER BY a.campaign, a.ordinal
"""
_TEXTS: Final = """
SELECT at, received, sender, toString(account), toString(aggregator), id, toString(intent), word, toString(rule), text
FROM inbound FINAL WHERE number = {number:UInt64} ORDER BY received
"""
_ANSWERS: Final = """
SELECT at, toString(account), toString(sender), toString(kind), text FROM replies FINAL
WHERE number = {number:UInt64} ORDER BY at
"""
_UNREACHABLE: Final = """
SELECT toString(state), toString(reason), at, toString(account), campaign, by FROM unreachable FINAL
WHERE number = {number:UInt64}
"""
_ERASED: Final = {
    "contacts": "bucket = {bucket:UInt16} AND number = {number:UInt64} AND updated <= {upto}",
    "list_members": "number = {number:UInt64} AND added <= {upto}",
    "retry_recipients": "number = {number:UInt64} AND made <= {upto}",
    "inbound": "number = {number:UInt64} AND received <= {upto}",
    "replies": "number = {number:UInt64} AND at <= {upto}",
}
_UPTO: Final = "fromUnixTimestamp64Milli({at:Int64}, 'UTC')"


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the person. `at` as the aggregator says, `received` by our clock."""

    at: datetime
    received: datetime
    sender: str
    account: str
    aggregator: str
    id: str
    intent: str
    word: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply of ours."""

    at: datetime
    account: str
    sender: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Reachability:
    """What a carrier said at last (`unreachable`, why, about which campaign's message), or who has `cleared` it."""

    state: str
    reason: str
    at: datetime
    account: str
    campaign: str
    by: str


def person(store: Store, number: int) -> dict[str, Any]:
    """All that is stored about a number: contact, lists, messages with what became of each (clicks too), texts,
    answers, consents, and what carriers said of it.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {"number": number, "bucket": bucket(number)}
    contact = [
        {"country": country, "region": region, "zone": zone, "attributes": dict(attributes), "updated": updated}
        for country, region, zone, attributes, updated in store.rows(_CONTACT, asked)
    ]
    said = [asdict(Reachability(*row)) for row in store.rows(_UNREACHABLE, asked)]
    return {
        "number": f"+{number}",
        "contact": contact[0] if contact else None,
        "lists": [{"list": name, "added": added} for name, added in store.rows(_LISTS, asked)],
        "messages": [
            {
                "campaign": campaign,
                "name": name,
                "fields": dict(zip(names, values, strict=False)),
                "statuses": [asdict(event) for event in recipient_events(store, campaign, ordinal)],
            }
            for campaign, name, ordinal, values, names in store.rows(_FROZEN, asked)
        ],
        "texts": [asdict(Text(*row)) for row in store.rows(_TEXTS, asked)],
        "answers": [asdict(Answer(*row)) for row in store.rows(_ANSWERS, asked)],
        "consents": [asdict(change) for change in history(store, number)],
        "unreachable": said[0] if said else None,
    }


def erase(store: Store, number: int, at: int) -> None:
    """Delete contact, lists, texts and answers of a number up to `at` (ms); consents stay. May be repeated. What
    carriers said of it goes with its topic's record: see `adapters.clickhouse.unreachable.forget_unreachable`.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {"number": number, "bucket": bucket(number), "at": at}
    for table, which in _ERASED.items():
        store.command(f"DELETE FROM {table} WHERE {which.replace('{upto}', _UPTO)}", asked)
