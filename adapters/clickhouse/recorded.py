"""What is recorded of a campaign as the figures count it: receipts only of whom a lane says that it submitted them.

So whatever an aggregator says (of a message or recipient that there is not, of somebody who was skipped, before the
lane's own word is here), each recipient stays in exactly one state.
"""

from __future__ import annotations

from typing import Final

from schemas.succession import BY_LANE, FINAL, RECEIPTS

_RECEIPTS: Final = str(tuple(RECEIPTS))

HAS_RECEIPTS: Final = f"""
(SELECT count() > 0 FROM state_sets WHERE campaign = {{campaign:String}} AND state IN {_RECEIPTS})
"""
"""Whether any receipt is recorded of {campaign:String}, answered from the primary index."""

BY_LANES: Final = f"state_sets WHERE campaign = {{campaign:String}} AND state NOT IN {_RECEIPTS}"
"""The sets of {campaign:String} without receipts: the same as `RECORDED` where there are none, for a third less."""

SUBMITTED_SETS: Final = f"""
SELECT message, bitmapAndnot(groupBitmapMergeStateIf(ordinals, state IN {BY_LANE}),
    groupBitmapMergeStateIf(ordinals, state IN {FINAL})) AS submitted
FROM state_sets
WHERE campaign = {{campaign:String}} AND state IN {(*BY_LANE, *FINAL)}
GROUP BY message
"""
"""Per message of {campaign:String} the set of those of whom receipts count."""

RECORDED: Final = f"""
(
    SELECT message, toString(state) AS state, toString(reason) AS reason, attempt, segments, price, ordinals, last_at,
        inserted
    FROM {BY_LANES}
    UNION ALL
    SELECT message, transform(toString(state), {[*RECEIPTS]}, {[*RECEIPTS.values()]}, '') AS state,
        toString(reason) AS reason, attempt, segments, price, bitmapAnd(ordinals, submitted) AS ordinals, last_at,
        inserted
    FROM
    (
        SELECT message, state, reason, attempt, segments, price, ordinals, last_at, inserted FROM state_sets
        WHERE campaign = {{campaign:String}} AND state IN {_RECEIPTS}
    ) AS said
    INNER JOIN ({SUBMITTED_SETS}) AS sent USING message
)
"""
"""The sets of {campaign:String}: what lanes say as it is, receipts under the states that they count for."""
