"""What really arrived, read back from the record: the other side of every count that Longwave makes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from loadtest.aggregator.record import ACCEPTED, HIT, LOST, THROTTLED, entries
from pipeline.content.segments import count_many


@dataclass(frozen=True)
class Submissions:
    """Columns over every message that arrived, in order of arrival, whatever was answered."""

    requests: int
    ids: list[str]
    numbers: NDArray[np.uint64]
    times: NDArray[np.int64]
    """Nanoseconds since the epoch at which the message's request arrived."""
    segments: NDArray[np.uint16]
    senders: list[str]
    """What each message comes from."""
    outcomes: NDArray[np.uint8]
    """Letters of `loadtest.aggregator.record`."""

    @classmethod
    def read(cls, data: Path) -> Submissions:
        """Everything recorded so far in a simulator's data directory; a running one may go on writing."""
        recorded = sorted(entries(data), key=lambda entry: entry.at)
        requests = [entry.batch() for entry in recorded]
        batches = [request.messages for request in requests]
        sizes = [len(batch) for batch in batches]
        parts = [count_many([message.text for message in batch]) for batch in batches]
        return cls(
            requests=len(recorded),
            ids=[message.id for batch in batches for message in batch],
            numbers=np.array([int(message.to) for batch in batches for message in batch], np.uint64),
            times=np.repeat(np.array([entry.at for entry in recorded], np.int64), sizes),
            segments=np.concatenate(parts) if parts else np.zeros(0, np.uint16),
            senders=[request.sender_of(message) for request in requests for message in request.messages],
            outcomes=np.frombuffer(b"".join(entry.outcomes for entry in recorded), np.uint8),
        )

    @cached_property
    def processed(self) -> NDArray[np.bool_]:
        """Which messages were taken: accepted or rejected, not caught by a key, throttled or dropped."""
        return ~np.isin(self.outcomes, [HIT, THROTTLED, LOST])

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each message id was processed."""
        return Counter(self._ids(self.processed))

    @property
    def received(self) -> set[str]:
        """The distinct message ids processed."""
        return set(self.counts)

    @property
    def accepted(self) -> set[str]:
        """The distinct message ids accepted for delivery."""
        return set(self._ids(self.outcomes == ACCEPTED))

    @property
    def received_twice(self) -> dict[str, int]:
        """Message ids processed more than once, with how often; empty if every repetition met its key."""
        return {message_id: n for message_id, n in self.counts.items() if n > 1}

    @property
    def key_hits(self) -> int:
        """Messages that an idempotency key caught."""
        return int((self.outcomes == HIT).sum())

    def max_in_window(self, seconds: float, of: Literal["segments", "messages"] = "segments") -> int:
        """The most that arrived in any half-open window of `seconds`, refused or not."""
        weights = self.segments if of == "segments" else np.ones(len(self.times), np.int64)
        return max_in_window(self.times, weights, seconds)

    def _ids(self, wanted: NDArray[np.bool_]) -> list[str]:
        return [self.ids[index] for index in np.flatnonzero(wanted).tolist()]


def max_in_window(times: NDArray[np.int64], weights: NDArray[Any], seconds: float = 1.0) -> int:
    """The most in any half-open window of `seconds`: `times` (n,) in ns, rising, and the weight of each (n,)."""
    if not len(times):
        return 0
    before = np.concatenate([[0], np.cumsum(weights.astype(np.int64))])
    first = np.searchsorted(times, times - int(seconds * 1e9), side="right")
    last = np.searchsorted(times, times, side="right")
    return int((before[last] - before[first]).max())
