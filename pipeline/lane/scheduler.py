"""Which campaign sends next in a lane (rule L7): by priority class, deadline, then weighted fair share of
segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.lane import LaneSettings

Key = tuple[str, int]
"""(campaign, message)."""

Rank = tuple[int, int]
"""(priority class, deadline in ms): the lowest goes first. Campaigns of one rank share."""

_CLASS = {"urgent": 0, "normal": 1, "bulk": 2}
_NEVER = 1 << 62


@dataclass(slots=True)
class FairShare:
    """Start-time fair queueing (Goyal, Vin and Cheng, 1996) among the campaigns of one rank: each has a tag, the
    segments it sent divided by its weight, and the lowest goes next. The tag of the last one chosen is the rank's
    virtual time. A campaign that was idle starts there again: it neither gets the share that it did not use meanwhile
    nor escapes the debt of what it overused."""

    _now: dict[Rank, float] = field(default_factory=dict)
    _tags: dict[str, tuple[Rank, float]] = field(default_factory=dict)

    def choose(self, ready: Iterable[Key], settings: Mapping[str, LaneSettings]) -> Key | None:
        """The key to pick from next; None if nothing is ready."""
        ranked = [(_rank(settings[key[0]]), key) for key in ready]
        if not ranked:
            return None
        first = min(ranked)[0]
        tag, key = min((self._tag(key[0], rank), key) for rank, key in ranked if rank == first)
        self._now[first] = tag
        self._tags[key[0]] = (first, tag)
        return key

    def spend(self, campaign: str, segments: int, weight: int) -> None:
        """Charge a chosen campaign for `segments` sent."""
        previous = self._tags.get(campaign)
        if previous is not None:
            self._tags[campaign] = (previous[0], previous[1] + segments / weight)

    def _tag(self, campaign: str, rank: Rank) -> float:
        now = self._now.get(rank, 0.0)
        previous = self._tags.get(campaign)
        # A tag of another rank (the campaign's settings were changed) counts on another scale.
        return now if previous is None or previous[0] != rank else max(now, previous[1])


def rank_of(priority: str, deadline: int | None) -> Rank:
    """The rank of a campaign of this `priority` and `deadline` (ms)."""
    return _CLASS[priority], _NEVER if deadline is None else deadline


def _rank(settings: LaneSettings) -> Rank:
    return rank_of(settings.priority, settings.deadline)
