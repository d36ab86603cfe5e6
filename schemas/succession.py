"""The order of a recipient's states: which may follow which, and so which of several recorded ones is the current.

Sets only grow: an ordinal stays in every state that it ever reached. Its current state is the last one in this
order, and two states of which neither may follow the other are a contradiction, which the residual shows:

    withdrawn → passed_over → delayed → queued → in_flight → unknown   (by attempt, then in this order)
              → one of canceled · expired · skipped                     (final)
              → acknowledged → accepted → rejected → undelivered → delivered   (what came of a submission)

A recipient is unknown as of an attempt. A lost owner may report later, and the log proves it, that it had not
submitted; then the recipient waits again, one attempt later.

`passed_over` is who eligibility skips, before any lane has them. It reads a chunk again after a crash, and somebody
who went to a lane the first time may have opted out since: the lane's word stands. `skipped` is a lane's own.

What an aggregator says later is recorded under names of its own (`RECEIPTS`) and counts only for who was submitted,
as their lane says, and is in no final state: a receipt of what was never sent is in no figure, and one that comes
before the lane's word waits for it. `acknowledged` is who was unknown and of whom a receipt says that the aggregator
has the message; it is shown as accepted.

A receipt may reject what was accepted. Receipts that contradict each other (rejected, undelivered, delivered) are
the aggregator's affair and not a loss of ours: the highest of them absorbs the others, whatever came first.
"""

from __future__ import annotations

from typing import Final

WAITING: Final = ("delayed", "queued", "in_flight")
FINAL: Final = ("skipped", "expired", "canceled")
SUBMITTED: Final = ("unknown", "accepted", "rejected", "undelivered", "delivered")
"""What came of a submission, from the lowest rank to the highest."""
BY_ATTEMPT: Final = (*WAITING, "unknown")
"""States that a recipient may be in several times, each time one attempt later; within an attempt in this order."""
BILLED: Final = ("accepted", "unknown")
"""States whose sets are kept by segments and price (`schemas/clickhouse/0003_statuses.sql`)."""
EVENTS: Final = ("clicked", "opted_out", "replied")
UNSENT: Final = ("pending", *WAITING)
"""States in which something is still to be done before a message is submitted, or not."""
SHOWN: Final = (*UNSENT, *SUBMITTED, *FINAL)
"""States that figures show."""
HANDED_OVER: Final = SUBMITTED[1:]
"""States of those whom an aggregator certainly answered about."""
BY_LANE: Final = ("unknown", "accepted", "rejected")
"""What a lane says of whom it submitted; receipts count for these only."""
ACKNOWLEDGED: Final = "acknowledged"
RECEIPTS: Final = {
    "receipt_accepted": ACKNOWLEDGED,
    "receipt_rejected": "rejected",
    "receipt_undelivered": "undelivered",
    "receipt_delivered": "delivered",
}
"""What receipts are recorded as, and the state of whom they count for."""
BEFORE_LANE: Final = {"withdrawn": "canceled", "passed_over": "skipped"}
"""States that whatever a lane says overrides, in their order, and as what each is shown."""

SHOWN_AS: Final = {**BEFORE_LANE, ACKNOWLEDGED: "accepted"}
"""States that are shown under another name."""

_ABOVE_ATTEMPTS: Final = 1_000_000
_UPPER: Final = (*FINAL, ACKNOWLEDGED, *SUBMITTED[1:])
_BEFORE: Final = tuple(BEFORE_LANE)


def rank(state: str, attempt: int) -> int:
    """Place in the order; of several recorded states the one with the highest rank is the current.

    Raises:
        ValueError: `state` is none that the conservation knows.
    """
    if state in BEFORE_LANE:
        return _BEFORE.index(state)
    if state in BY_ATTEMPT:
        return len(_BEFORE) + attempt * len(BY_ATTEMPT) + BY_ATTEMPT.index(state)
    return _ABOVE_ATTEMPTS + _UPPER.index(state)


def may_follow(earlier: tuple[str, int], later: tuple[str, int]) -> bool:
    """Whether a recipient recorded as `earlier` (state, attempt) may lawfully be recorded as `later` too."""
    if earlier[0] in FINAL:
        return False
    return rank(*later) > rank(*earlier)


def rank_sql() -> str:
    """The ClickHouse expression of `rank` over the columns `state` and `attempt`; 0 for events."""
    states = [*_BEFORE, *BY_ATTEMPT, *_UPPER, *RECEIPTS]
    ranks = [rank(RECEIPTS.get(name, name), 0) for name in states]
    attempt = f"if(state IN {BY_ATTEMPT}, attempt * {len(BY_ATTEMPT)}, 0)"
    return f"toInt32(transform(toString(state), {states}, {ranks}, 0) + {attempt})"


def shown_sql() -> str:
    """The ClickHouse expression of what column `state` is shown as."""
    shown = {**SHOWN_AS, **{name: SHOWN_AS.get(state, state) for name, state in RECEIPTS.items()}}
    return f"transform(toString(state), {[*shown]}, {[*shown.values()]}, toString(state))"
