"""The ledger's facts in ClickHouse: written as they come, read by day for statements and invoices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.ledger import Charge, TopUp
from schemas.statement import Credited, Snapshot
from schemas.times import ms_of

_MS: Final = pa.timestamp("ms", "UTC")
_COUNTS: Final = pa.list_(pa.uint64())
_FACTS: Final = "tuple(billing, reserved, charged, uncovered, prices, messages, segments)"
_WITHIN: Final = "at < fromUnixTimestamp64Milli({last:Int64})"
_DAYS: Final = f"""
SELECT toString(campaign),
    if(at < fromUnixTimestamp64Milli({{first:Int64}}), 0, toUnixTimestamp(toStartOfDay(at)) * 1000) AS day,
    argMax({_FACTS}, number)
FROM ledger_charges
WHERE account = {{account:String}} AND {_WITHIN} AND campaign IN
(
    SELECT campaign FROM ledger_charges
    WHERE account = {{account:String}} AND at >= fromUnixTimestamp64Milli({{first:Int64}}) AND {_WITHIN}
)
GROUP BY campaign, day ORDER BY campaign, day
"""
_TOP_UPS: Final = f"""
SELECT id, at, amount, note, who FROM ledger_top_ups FINAL
WHERE account = {{account:String}} AND refused = '' AND at >= fromUnixTimestamp64Milli({{first:Int64}}) AND {_WITHIN}
ORDER BY at, id
"""
_SUMS: Final = f"""
SELECT
    (
        SELECT sum(amount) FROM ledger_top_ups FINAL WHERE account = {{account:String}} AND refused = '' AND {_WITHIN}
    ),
    sum(last.1), sum(last.2)
FROM
(
    SELECT argMax(tuple(charged, reserved), number) AS last FROM ledger_charges
    WHERE account = {{account:String}} AND {_WITHIN} GROUP BY campaign
)
"""


def insert_charges(store: Store, charges: Sequence[tuple[Charge, int, int]]) -> None:
    """Charges, each with what is reserved for it and what it took from the balance.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not charges:
        return
    kept = [charge for charge, _, _ in charges]
    store.insert_arrow("ledger_charges", pa.table({
        "account": pa.array([charge.account for charge in kept], pa.string()),
        "campaign": pa.array([charge.campaign.encode() for charge in kept], pa.binary(8)),
        "number": pa.array([charge.number for charge in kept], pa.uint64()),
        "at": pa.array([charge.at for charge in kept], _MS),
        "launch": pa.array([charge.launch for charge in kept], pa.uint64()),
        "billing": pa.array([charge.billing for charge in kept], pa.string()),
        "state": pa.array([charge.state for charge in kept], pa.string()),
        "reserved": pa.array([reserved for _, reserved, _ in charges], pa.int64()),
        "charged": pa.array([charged for _, _, charged in charges], pa.int64()),
        "uncovered": pa.array([charge.uncovered for charge in kept], pa.int64()),
        **{
            name: pa.array([[line[place] for line in charge.lines] for charge in kept], _COUNTS)
            for place, name in enumerate(("prices", "messages", "segments"))
        },
    }))  # fmt: skip


def insert_top_ups(store: Store, top_ups: Sequence[TopUp]) -> None:
    """Top-ups, those that were refused too.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not top_ups:
        return
    store.insert_arrow("ledger_top_ups", pa.table({
        "account": pa.array([top_up.account for top_up in top_ups], pa.string()),
        "id": pa.array([top_up.id for top_up in top_ups], pa.string()),
        "at": pa.array([top_up.at for top_up in top_ups], _MS),
        "amount": pa.array([top_up.amount for top_up in top_ups], pa.int64()),
        "note": pa.array([top_up.note for top_up in top_ups], pa.string()),
        "who": pa.array([top_up.by for top_up in top_ups], pa.string()),
        "refused": pa.array([top_up.refused for top_up in top_ups], pa.string()),
    }))  # fmt: skip


def snapshots(store: Store, account: str, first: int, last: int) -> list[Snapshot]:
    """What each campaign with a change in [first, last) (ms) had spent and reserved at the end of each day, and
    before.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows = store.rows(_DAYS, {"account": account, "first": first, "last": last})
    return [
        Snapshot(
            campaign=campaign,
            day=day,
            billing=fact[0],
            reserved=fact[1],
            charged=fact[2],
            uncovered=fact[3],
            lines=list(zip(fact[4], fact[5], fact[6], strict=True)),
        )
        for campaign, day, fact in rows
    ]


def credited(store: Store, account: str, first: int, last: int) -> list[Credited]:
    """The top-ups in [first, last) (ms).

    Raises:
        StoreUnavailable, StoreRefused.
    """
    rows = store.rows(_TOP_UPS, {"account": account, "first": first, "last": last})
    return [Credited(row[0], ms_of(row[1]), *row[2:]) for row in rows]


def sums(store: Store, account: str, last: int) -> tuple[int, int]:
    """(balance, reserved) of an account just before `last` (ms).

    Raises:
        StoreUnavailable, StoreRefused.
    """
    topped_up, charged, reserved = store.rows(_SUMS, {"account": account, "last": last})[0]
    return (topped_up or 0) - (charged or 0), reserved or 0
