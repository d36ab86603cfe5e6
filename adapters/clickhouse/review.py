"""What the review before a launch must know of the contacts; nothing is frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.clickhouse.connection import Store
from adapters.clickhouse.consents import blocked_sql
from schemas.ids import bucket_sql

_MEMBERS: Final = """
number IN
(
    SELECT number FROM list_members WHERE list IN {lists:Array(String)}
    UNION ALL SELECT number FROM typed
)
"""


@dataclass(frozen=True, slots=True)
class AudienceSurvey:
    """`recipients` after de-duplication; `countries`: ISO country ("" = not known) → recipients; `with_value`:
    attribute → recipients that have a value of it; `sample`: attributes of some recipients."""

    unknown_lists: list[str]
    recipients: int
    countries: Mapping[str, int]
    with_value: Mapping[str, int]
    sample: list[dict[str, str]]


def unknown_lists(store: Store, names: Sequence[str]) -> list[str]:
    """Those of `names` that no contact is on.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = "SELECT DISTINCT toString(list) FROM list_members WHERE list IN {names:Array(String)}"
    known = {row[0] for row in store.rows(asked, {"names": list(names)})} if names else set()
    return [name for name in names if name not in known]


def survey(
    store: Store, lists: Sequence[str], numbers: Sequence[int], fields: Sequence[str], sample: int = 1000
) -> AudienceSurvey:
    """Count the audience as it would be frozen now. `fields` are the attributes that the templates use.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    who: dict[str, Any] = {"lists": list(lists)}
    columns = "".join(f", countIf(attributes[{{field_{place}:String}}] != '')" for place in range(len(fields)))
    named = {f"field_{place}": name for place, name in enumerate(fields)}
    rows = store.rows(
        f"SELECT toString(country), count(){columns} FROM contacts FINAL WHERE {_MEMBERS} GROUP BY country",
        {**who, **named},
        numbers,
    )
    countries = {row[0]: row[1] for row in rows}
    strangers = _strangers(store, numbers)
    if strangers:
        countries[""] = countries.get("", 0) + strangers
    return AudienceSurvey(
        unknown_lists=unknown_lists(store, lists),
        recipients=sum(countries.values()),
        countries=countries,
        with_value={name: sum(row[2 + place] for row in rows) for place, name in enumerate(fields)},
        sample=drawn(store, lists, numbers, sample),
    )


# Buckets are hashes of the number, so whoever comes first in their order is anybody; and the table is in that order.
_DRAWN: Final = f"""
SELECT attributes FROM contacts FINAL WHERE (bucket, number) IN
(
    SELECT DISTINCT bucket, number FROM
    (
        SELECT bucket, number FROM list_members WHERE list IN {{lists:Array(String)}}
        UNION ALL SELECT {bucket_sql("number")}, number FROM typed
    )
    ORDER BY bucket, number LIMIT {{n:UInt32}}
)
"""


def drawn(store: Store, lists: Sequence[str], numbers: Sequence[int], most: int = 1000) -> list[dict[str, str]]:
    """Attributes of at most so many recipients, drawn by their bucket: the same ones each time.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return [dict(row[0]) for row in store.rows(_DRAWN, {"lists": list(lists), "n": most}, numbers)]


def _strangers(store: Store, numbers: Sequence[int]) -> int:
    """Typed numbers that are no contacts."""
    if not len(numbers):
        return 0
    asked = "SELECT uniqExact(number) FROM contacts WHERE number IN (SELECT number FROM typed)"
    return len(set(numbers)) - int(store.rows(asked, numbers=numbers)[0][0])


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`recipients` who live in one place and have numbers that begin alike; `number` is one of theirs, `blocked`
    how many of them are opted out or held for review."""

    country: str
    region: str
    zone: str
    number: int
    recipients: int
    blocked: int


# Numbers of one prefix may be in the same zones; four digits are an area code of North America.
_PLACES: Final = f"""
SELECT country, region, zone, any(number), count(), countIf(number IN (SELECT number FROM (
    {blocked_sql(f"SELECT number FROM contacts WHERE {_MEMBERS} UNION ALL SELECT number FROM typed")})))
FROM
(
    SELECT number, toString(country) AS country, toString(region) AS region, toString(zone) AS zone
    FROM contacts FINAL WHERE {_MEMBERS}
    UNION ALL
    SELECT DISTINCT number, '', '', '' FROM typed WHERE number NOT IN (
        SELECT number FROM contacts WHERE number IN (SELECT number FROM typed))
)
GROUP BY country, region, zone, if(zone != '', '', substring(toString(number), 1, 4))
ORDER BY country, region, zone, min(number)
"""


def whereabouts(store: Store, account: str, lists: Sequence[str], numbers: Sequence[int]) -> list[Whereabouts]:
    """Where the audience of a campaign of `account` is, as it would be frozen now.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return [Whereabouts(*row) for row in store.rows(_PLACES, {"account": account, "lists": list(lists)}, numbers)]
