"""What waits in a lane against what its senders may submit, for those who watch it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.lane.state import LaneState
from pipeline.sending.senders.punctuality import behind
from pipeline.sending.senders.roster import LaneAccount, Roster


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of the senders that have due recipients of running campaigns."""

    late: float = 0.0
    """How late the oldest of these recipients is beyond its due time and the limits, in seconds."""
    usable: float = 0.0
    """Segments per second that the senders may submit."""
    drain: float = 0.0
    """Seconds that the sender that needs longest needs for its due recipients, a segment each."""


def backlog(state: LaneState, roster: Roster, now: int) -> Backlog:
    """The backlog at `now` (ms). Costs a look at each sender that has somebody due."""
    late = drain = 0.0
    by_account: dict[LaneAccount, float] = {}
    for name in state.table.ready_senders():
        sender, due = roster.get(name), state.oldest_sendable(name)
        if sender is None or sender.terms is None or due is None:
            continue
        late = max(late, behind(due, now, [flow.punctuality for flow in sender.limits()]))
        account, rate = sender.account, sender.terms.rate
        by_account[account] = by_account.get(account, 0.0) + rate
        drain = max(drain, state.table.ready_count_of(name) / account.bounded(rate))
    return Backlog(late, sum(account.bounded(rate) for account, rate in by_account.items()), drain)
