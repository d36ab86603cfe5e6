"""When a lane's owner reports what the lane has used of an account's domains: at once when it goes by other limits or
recipients wait for a domain, soon when much has been used, and later when little has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.lane.state import LaneState
from pipeline.sending.effects import Instant, ReportUse
from schemas.domains import DomainKind, DomainUse, LaneUse
from schemas.lane import DomainTerms

PAUSE: Final = 0.5
"""Seconds between two looks."""
SOON: Final = 1.0
"""Seconds between two reports about an account at least, unless its limits or what waits have changed."""
LATER: Final = 10.0
"""Seconds after which anything new is reported."""
MUCH: Final = 0.01
"""Fraction of a domain's limit that is much."""


@dataclass(slots=True)
class Reporting:
    """The reports of one lane by this owner: its first one about each account comes at once, since what an earlier
    owner has reported is not known."""

    lane: int
    _looked: float = -PAUSE
    _last: dict[str, tuple[float, LaneUse]] = field(default_factory=dict)
    """Account to when (s) and what was last reported."""

    def begin(self) -> None:
        """The lane is ours anew."""
        self._last.clear()

    def on_time(self, state: LaneState, starved: Mapping[str, Sequence[DomainKind]], now: Instant) -> list[ReportUse]:
        """The reports due now; may be called at any time."""
        if now.seconds - self._looked < PAUSE:
            return []
        self._looked = now.seconds
        reports = []
        for account, terms in state.domains.items():
            use = LaneUse(
                lane=self.lane,
                as_of=state.next_offset,
                revision=terms.revision,
                used=state.domain_counts.of(account),
                starved=list(starved.get(account, ())),
            )
            at, last = self._last.get(account, (0.0, None))
            if last is None or _is_due(last, use, terms, now.seconds - at):
                self._last[account] = now.seconds, use
                reports.append(ReportUse(DomainUse(account=account, at=now.ms, use=use)))
        return reports


def least_left(state: LaneState) -> dict[DomainKind, float]:
    """By kind: the fraction that is left of what an account's domains may carry here together, of the account that
    has least left. Accounts with a domain without a limit do not count."""
    least: dict[DomainKind, float] = {}
    for terms in state.domains.values():
        for kind in terms.required:
            limits = [limit for limit in terms.domains if limit.use == kind]
            total = sum(limit.messages or 0 for limit in limits)
            if total and all(limit.messages is not None for limit in limits):
                left = sum(state.domain_counts.left(terms, limit) or 0 for limit in limits)
                least[kind] = min(least.get(kind, 1.0), left / total)
    return least


def _is_due(last: LaneUse, use: LaneUse, terms: DomainTerms, seconds: float) -> bool:
    if (last.revision, last.starved) != (use.revision, use.starved):
        return True
    if last.used == use.used or seconds < SOON:
        return False
    return seconds >= LATER or any(
        limit.messages is not None
        and abs(use.used.get(limit.name, 0) - last.used.get(limit.name, 0)) > MUCH * limit.messages
        for limit in terms.domains
    )
