"""Which senders' replies to people's texts were sent lately."""

from __future__ import annotations

from typing import Final

from adapters.clickhouse.connection import Store

_SENT: Final = """
SELECT toString(campaign), any(account) FROM replies
WHERE campaign IN
(
    SELECT campaign FROM state_sets
    WHERE campaign IN (SELECT campaign FROM replies) AND state IN ('accepted', 'unknown')
    GROUP BY campaign HAVING max(inserted) >= fromUnixTimestamp64Milli({since:Int64})
)
GROUP BY campaign
"""


def reply_campaigns(store: Store, since: int) -> dict[str, str]:
    """The campaigns of replies of which something was recorded since (ms), each with its account.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return {row[0]: row[1] for row in store.rows(_SENT, {"since": since})}
