"""How many messages have carried each domain of an account's links, over its whole life, in one lane.

What counts is what the lane submitted: an INTENT counts, and what turns out not to have been processed is given back.
So the count is exact for what was submitted and answered, and on the safe side for what is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from schemas.lane import DomainLimit, DomainTerms


@dataclass(slots=True)
class DomainCounts:
    """Messages by account, then by domain."""

    used: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, account: str, domains: Iterable[str], messages: int) -> None:
        """Count messages that carry these domains; negative: they were not processed after all."""
        used = self.used.setdefault(account, {})
        for domain in domains:
            used[domain] = used.get(domain, 0) + messages

    def of(self, account: str) -> dict[str, int]:
        """Domain to messages, of one account."""
        return dict(self.used.get(account, {}))

    def left(self, terms: DomainTerms, limit: DomainLimit) -> int | None:
        """Messages that may still carry a domain; None: any number."""
        if limit.messages is None:
            return None
        return max(0, limit.messages - self.used.get(terms.account, {}).get(limit.name, 0))

    def have_room(self, terms: DomainTerms | None, domains: Sequence[str], messages: int) -> bool:
        """Whether all of these are domains of the account here, of one kind each, and have room for so many."""
        if not domains:
            return True
        known = {} if terms is None else {limit.name: limit for limit in terms.domains}
        limits = [known[domain] for domain in domains if domain in known]
        if terms is None or len(limits) < len(domains) or len({limit.use for limit in limits}) < len(limits):
            return False
        rooms = [self.left(terms, limit) for limit in limits]
        return all(room is None or room >= messages for room in rooms)
