"""Reads the facts about contacts for the review before a launch; nothing is frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.clickhouse.audience import members
from adapters.clickhouse.connection import Store
from schemas.audience import TypedNumbers
from schemas.ids import retried_campaign

_MEMBERS: Final = """
number IN
(
    SELECT number FROM list_members WHERE list IN {lists:Array(String)}
    UNION ALL SELECT number FROM typed
)
"""


@dataclass(frozen=True, slots=True)
class AudienceSurvey:
    """`recipients` after de-duplication; `with_value`: attribute → recipients that have a value of it; `attributes`:
    names that some of the recipients have."""

    unknown_lists: list[str]
    recipients: int
    with_value: Mapping[str, int]
    attributes: list[str]


def unknown_lists(store: Store, names: Sequence[str]) -> list[str]:
    """Those of `names` that no contact is on.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = """SELECT DISTINCT toString(list) FROM list_members WHERE list IN {names:Array(String)}
        UNION ALL SELECT DISTINCT list FROM retry_lists WHERE list IN {names:Array(String)}"""
    known = {row[0] for row in store.rows(asked, {"names": list(names)})} if names else set()
    return [name for name in names if name not in known]


# Asked of some, because every name of every recipient would be read.
_ATTRIBUTES: Final = f"""
SELECT DISTINCT arrayJoin(mapKeys(attributes)) AS name
FROM
(
    SELECT attributes FROM contacts WHERE {_MEMBERS} LIMIT 10000
    UNION ALL SELECT attributes FROM retry_recipients WHERE list IN {{lists:Array(String)}} LIMIT 10000
)
ORDER BY name LIMIT 1000
"""


def survey(store: Store, lists: Sequence[str], numbers: Sequence[int], fields: Sequence[str]) -> AudienceSurvey:
    """Count the audience as it would be frozen now. `fields` are the attributes that the templates use.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    who: dict[str, Any] = {"lists": list(lists)}
    named = {f"field_{place}": name for place, name in enumerate(fields)}
    counted = _counted(store, lists, numbers, {**who, **named})
    having = dict(zip(fields, counted[1:], strict=True))
    missing = any(not count for count in having.values())
    return AudienceSurvey(
        unknown_lists=unknown_lists(store, lists),
        recipients=counted[0],
        with_value=having,
        attributes=[row[0] for row in store.rows(_ATTRIBUTES, who, numbers)] if missing else [],
    )


def _counted(store: Store, lists: Sequence[str], numbers: Sequence[int], asked: dict[str, Any]) -> Sequence[int]:
    """Recipients, and of each field of `asked` those that have a value of it."""
    fields = [name for name in asked if name != "lists"]
    if any(map(retried_campaign, lists)):
        having = "".join(f", countIf(fields[{place}] != '')" for place, _ in enumerate(fields, 1))
        audience = members(fields, lists, bool(len(numbers)))
        # Typed numbers come without country and region here, which nobody asks for.
        typed = TypedNumbers(tuple(numbers), [""] * len(numbers), [""] * len(numbers)) if len(numbers) else None
        return list(store.rows(f"SELECT count(){having} FROM ({audience})", asked, typed)[0])
    having = "".join(f", countIf(attributes[{{{name}:String}}] != '')" for name in fields)
    [counted] = store.rows(f"SELECT count(){having} FROM contacts FINAL WHERE {_MEMBERS}", asked, numbers)
    return [counted[0] + _strangers(store, numbers), *counted[1:]]


def _strangers(store: Store, numbers: Sequence[int]) -> int:
    """Typed numbers that are not contacts."""
    if not len(numbers):
        return 0
    asked = "SELECT uniqExact(number) FROM contacts WHERE number IN (SELECT number FROM typed)"
    return len(set(numbers)) - int(store.rows(asked, numbers=numbers)[0][0])
