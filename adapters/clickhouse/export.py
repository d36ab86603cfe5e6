"""The export: one row per recipient with what happened to them, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.selection import EVERYBODY, Selection
from schemas.succession import BY_LANE, EVENTS, FINAL, RECEIPTS, SHOWN, SHOWN_AS, rank_sql, shown_sql

WINDOW: Final = 200_000
"""Ordinals read at a time; bounds memory here and in the engine."""
_TIMES: Final = (*(state for state in SHOWN if state != "pending"), "clicked")
_TAKEN: Final = f"countIf(said IN {BY_LANE}) > 0 AND countIf(said IN {FINAL}) = 0"
"""Whose receipts count (`adapters.clickhouse.recorded`)."""
_OF_RECEIPTS: Final = {SHOWN_AS.get(state, state) for state in RECEIPTS.values()}


def _counted(aggregate: str, condition: str) -> str:
    """An aggregate over all that is recorded of a recipient whose receipts count, else over what lanes say."""
    return f"if({_TAKEN}, {aggregate}, {condition}), {aggregate}, {condition} AND said NOT IN {tuple(RECEIPTS)}))"


def _first(state: str) -> str:
    condition = f"shown = '{state}'"
    plain = f"minOrNullIf(at, {condition})"
    return f"{_counted('minOrNullIf(at', condition) if state in _OF_RECEIPTS else plain} AS {state}_at"


_COLUMNS: Final = ", ".join(map(_first, _TIMES))
_CURRENT: Final = _counted("minIf((-rank, shown, reason = '', reason)", f"shown NOT IN {EVENTS}")

_NAMES: Final = "[reason, splitByChar(':', reason)[1]]"
"""The names that a reason goes by (`schemas.selection`)."""
_SELECTED: Final = f"""
(empty({{states:Array(String)}}) OR has({{states:Array(String)}}, state))
AND (empty({{reasons:Array(String)}}) OR hasAny({_NAMES}, {{reasons:Array(String)}}))
AND NOT hasAny({_NAMES}, {{left_out:Array(String)}})
"""
_AUDIENCE: Final = """
SELECT revision, argMin((attempt, recipients), (frozen, attempt)) FROM audiences
WHERE campaign = {campaign:String} GROUP BY revision ORDER BY revision DESC LIMIT 1
"""

# Rows of the log hold up to a few thousand ordinals; those that touch the window are unfolded and cut to it.
PAGE: Final = f"""
SELECT a.number AS number, a.ordinal AS ordinal,
    if(s.current.2 = '', 'pending', s.current.2) AS state,
    s.current.4 AS reason, s.billed.1 AS segments, s.billed.2 AS price, s.aggregator_id AS aggregator_id,
    {", ".join(f"s.{state}_at AS {state}_at" for state in _TIMES)}
FROM
(
    SELECT ordinal, number FROM audience
    WHERE campaign = {{campaign:String}} AND revision = {{revision:UInt32}} AND attempt = {{attempt:UInt64}}
        AND ordinal >= {{first:UInt32}} AND ordinal < {{last:UInt32}}
) AS a
LEFT JOIN
(
    SELECT one.1 AS ordinal,
        {_CURRENT} AS current,
        argMaxIf((segments, price), rank, segments > 0) AS billed,
        maxIf(one.2, shown != 'skipped') AS aggregator_id,
        {_COLUMNS}
    FROM
    (
        SELECT toString(state) AS said, {shown_sql()} AS shown,
            toString(reason) AS reason, segments, price, at,
            {rank_sql()} AS rank,
            if(last > first, range(first, last), ordinals) AS members,
            arrayJoin(arrayFilter(
                pair -> pair.1 >= {{first:UInt32}} AND pair.1 < {{last:UInt32}},
                arrayZip(members, arrayResize(ids, length(members))))) AS one
        FROM status_log
        WHERE campaign = {{campaign:String}} AND message = {{message:UInt8}}
            AND low < {{last:UInt32}} AND high >= {{first:UInt32}}
    )
    GROUP BY ordinal
) AS s ON a.ordinal = s.ordinal
WHERE {_SELECTED}
"""
"""Recipients of a window whom a selection means, in no order; `windows` has its parameters."""


def export(
    store: Store, campaign: str, message: int = 0, selection: Selection = EVERYBODY
) -> Iterator[pa.RecordBatch]:
    """Record batches in order of ordinals: number, ordinal, state, reason, segments, price (millionths of a credit
    per segment), aggregator_id, and per state (and `clicked`) when it was first reached, null for never.

    `selection`: only recipients of whom it holds now. Batches may be empty; there is none where the audience is not
    frozen or has nobody.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    for window in windows(store, campaign, message, selection):
        table = store.table(f"{PAGE} ORDER BY ordinal", window)
        yield from table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]


def windows(store: Store, campaign: str, message: int, selection: Selection) -> Iterator[dict[str, Any]]:
    """The parameters of `PAGE` for one window of ordinals after the other; none where the audience is not frozen.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows = store.rows(_AUDIENCE, {"campaign": campaign})
    if not rows:
        return
    revision, (attempt, recipients) = rows[0]
    asked: dict[str, Any] = {"campaign": campaign, "message": message, "revision": revision, "attempt": attempt}
    asked |= {name: list(getattr(selection, name)) for name in ("states", "reasons", "left_out")}
    for first in range(0, recipients, WINDOW):
        yield {**asked, "first": first, "last": min(first + WINDOW, recipients)}
