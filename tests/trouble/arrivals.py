"""What reached the simulated aggregator, counted from its own record as it grows; idempotency keys play no part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.aggregator.record import HIT, LOST, THROTTLED, entries

_NOT_TAKEN = frozenset({HIT, THROTTLED, LOST})


@dataclass(slots=True)
class Arrivals:
    """`taken`: how often each message id was taken (accepted or rejected); `seen`: how often it arrived at all,
    throttled and dropped ones included. `last` is when the newest request came, in nanoseconds since the epoch."""

    folder: Path
    taken: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[int]] = field(default_factory=dict)
    last: int = 0
    _read: int = 0

    def of(self, campaign: str) -> set[str]:
        """Message ids of a campaign that were taken so far."""
        self._catch_up()
        return {item for item in self.taken if item.startswith(f"{campaign}-")}

    def count(self, campaign: str) -> int:
        """How many times anything of a campaign arrived so far."""
        self._catch_up()
        return sum(n for item, n in self.seen.items() if item.startswith(f"{campaign}-"))

    def _catch_up(self) -> None:
        for entry in entries(self.folder, self._read):
            self._read, self.last = entry.end, max(self.last, entry.at)
            for message, outcome in zip(entry.batch().messages, entry.outcomes, strict=True):
                self.seen[message.id] += 1
                self.times.setdefault(message.id, []).append(entry.at)
                if outcome not in _NOT_TAKEN:
                    self.taken[message.id] += 1
