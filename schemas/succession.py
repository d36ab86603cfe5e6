"""The order of a recipient's states: which may follow which, and so which of several recorded ones is the current.

Sets only grow: an ordinal stays in every state that it ever reached. Its current state is the last one in this
order, and two states of which neither may follow the other are a contradiction, which the residual shows:

    withdrawn → delayed → queued → in_flight (by turn, then in this order)
              → one of canceled · expired · skipped                                   (final)
              → unknown → accepted → rejected → undelivered → delivered               (what came of a submission)

A receipt may reject what was accepted. Receipts that contradict each other (rejected, undelivered, delivered) are
the aggregator's affair and not a loss of ours: the highest of them absorbs the others, whatever came first.
"""

from __future__ import annotations

from typing import Final

WAITING: Final = ("delayed", "queued", "in_flight")
FINAL: Final = ("skipped", "expired", "canceled")
SUBMITTED: Final = ("unknown", "accepted", "rejected", "undelivered", "delivered")
"""What came of a submission, from the lowest rank to the highest."""
BILLED: Final = ("accepted", "unknown")
"""States whose sets are kept by segments and price (`schemas/clickhouse/0003_statuses.sql`)."""
EVENTS: Final = ("clicked", "opted_out", "replied")
SHOWN: Final = ("pending", *WAITING, *SUBMITTED, *FINAL)
"""States that figures show; `withdrawn` is shown as canceled."""

_ABOVE_TURNS: Final = 1_000_000
_UPPER: Final = (*FINAL, *SUBMITTED)


def rank(state: str, turn: int) -> int:
    """Place in the order; of several recorded states the one with the highest rank is the current.

    Raises:
        ValueError: `state` is none that the conservation knows.
    """
    if state == "withdrawn":
        return 0
    if state in WAITING:
        return 1 + turn * len(WAITING) + WAITING.index(state)
    return _ABOVE_TURNS + _UPPER.index(state)


def may_follow(earlier: tuple[str, int], later: tuple[str, int]) -> bool:
    """Whether a recipient recorded as `earlier` (state, turn) may lawfully be recorded as `later` too."""
    if earlier[0] in FINAL:
        return False
    return rank(*later) > rank(*earlier)


def rank_sql() -> str:
    """The ClickHouse expression of `rank` over the columns `state` and `turn`; 0 for events."""
    states = [*WAITING, *_UPPER]
    ranks = [rank(name, 0) for name in states]
    turn = f"if(state IN {WAITING}, turn * {len(WAITING)}, 0)"
    return f"toInt32(transform(toString(state), {states}, {ranks}, 0) + {turn})"
