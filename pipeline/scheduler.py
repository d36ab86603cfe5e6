"""Whose turn is it in a lane (rule L7): priority class, then deadline, then weighted fair share by segments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.lane import LaneSettings

Key = tuple[str, int]
"""(campaign, message)."""

_CLASS = {"urgent": 0, "normal": 1, "bulk": 2}
_NEVER = 1 << 62


@dataclass(slots=True)
class FairShare:
    """Virtual time of each campaign: segments sent, divided by its weight (weighted fair queueing)."""

    _spent: dict[str, float] = field(default_factory=dict)

    def choose(self, ready: Iterable[Key], settings: dict[str, LaneSettings]) -> Key | None:
        """The key to take from next; None when there is none."""
        candidates = list(ready)
        if not candidates:
            return None
        self._join({campaign for campaign, _ in candidates})
        return min(candidates, key=lambda key: self._rank(key, settings[key[0]]))

    def spend(self, campaign: str, segments: int, weight: int) -> None:
        self._spent[campaign] = self._spent.get(campaign, 0.0) + segments / weight

    def _join(self, campaigns: set[str]) -> None:
        # A campaign that was idle must not claim the share that it did not use meanwhile.
        active = {c: t for c, t in self._spent.items() if c in campaigns}
        floor = min(active.values(), default=0.0)
        self._spent = {c: active.get(c, floor) for c in campaigns}

    def _rank(self, key: Key, settings: LaneSettings) -> tuple[int, int, float, Key]:
        deadline = _NEVER if settings.deadline is None else settings.deadline
        return _CLASS[settings.priority], deadline, self._spent[key[0]], key
