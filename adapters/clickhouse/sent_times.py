"""When recipients were sent to, for judging clicks that come moments later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapters.clickhouse.connection import Store
from schemas.succession import BY_LANE

_SENT: Final = f"""
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
    return {row[0]: row[1] for row in store.rows(_SENT, asked)}
