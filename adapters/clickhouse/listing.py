"""The campaign list as ClickHouse has it: search, filters, pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adapters.clickhouse.connection import Store

_WHERE: Final = """
FROM campaigns FINAL
WHERE ({search:String} = '' OR positionCaseInsensitiveUTF8(name, {search:String}) > 0
        OR id = {search:String} OR arrayExists(tag -> positionCaseInsensitiveUTF8(tag, {search:String}) > 0, tags))
    AND ({status:String} = '' OR status = {status:String})
    AND ({tag:String} = '' OR has(tags, {tag:String}))
"""
_PAGE: Final = f"""
SELECT toString(id), name, tags, status, reason, created, updated, launched, finished, recipients, revision, spec
{_WHERE} ORDER BY created DESC, id LIMIT {{size:UInt32}} OFFSET {{skip:UInt64}}
"""


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One campaign of the list; times in UTC, None for never."""

    id: str
    name: str
    tags: list[str]
    status: str
    reason: str
    created: datetime
    updated: datetime
    launched: datetime | None
    finished: datetime | None
    recipients: int
    revision: int
    spec: dict[str, Any]


def campaign_rows(
    store: Store, search: str = "", status: str = "", tag: str = "", page: int = 1, size: int = 50
) -> tuple[int, list[CampaignRow]]:
    """(how many match, those of the page), newest first. `search` is found in names, tags and as an id.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    asked = {"search": search.strip(), "status": status, "tag": tag}
    total = store.rows(f"SELECT count() {_WHERE}", asked)[0][0]
    rows = store.rows(_PAGE, {**asked, "size": size, "skip": (page - 1) * size})
    return total, [CampaignRow(*(*row[:-1], json.loads(row[-1]))) for row in rows]
