"""The audit log: written by the writer, read newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.audit import AuditEntry
from schemas.times import ms_of

_MS: Final = pa.timestamp("ms", "UTC")
_TEXTS: Final = ("id", "name", "who", "address", "method", "path", "account", "campaign", "before", "after")
_LINES: Final = """
SELECT id, at, key_id, name, who, address, method, path, account, campaign, before, after, status FROM audit FINAL
WHERE (at, id) < (fromUnixTimestamp64Milli({before_at:Int64}), {before_id:String})
    AND (key_id = {key:String} OR {key:String} = '') AND (campaign = {campaign:String} OR {campaign:String} = '')
    AND (empty({accounts:Array(String)}) OR has({accounts:Array(String)}, account))
ORDER BY at DESC, id DESC LIMIT {size:UInt32}
"""


def insert_audit(store: Store, entries: Sequence[AuditEntry]) -> None:
    """
    Raises:
        StoreUnavailable, StoreRefused.
    """
    store.insert_arrow("audit", pa.table({
        "at": pa.array([entry.at for entry in entries], _MS),
        "key_id": pa.array([entry.key for entry in entries], pa.string()),
        "status": pa.array([entry.status for entry in entries], pa.uint16()),
        **{name: pa.array([getattr(entry, name) for entry in entries], pa.string()) for name in _TEXTS},
    }))  # fmt: skip


def audit_lines(
    store: Store, before: tuple[int, str], size: int, *, key: str, campaign: str, accounts: Sequence[str]
) -> list[AuditEntry]:
    """Entries before `before` (ms, id), the newest first; "" and [] are no filter.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {
        "before_at": before[0], "before_id": before[1], "size": size, "key": key, "campaign": campaign,
        "accounts": list(accounts),
    }  # fmt: skip
    columns = ("id", "at", "key", *_TEXTS[1:], "status")
    entries = [dict(zip(columns, row, strict=True)) for row in store.rows(_LINES, asked)]
    return [AuditEntry(**{**entry, "at": ms_of(entry["at"])}) for entry in entries]
