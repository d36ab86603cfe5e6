"""What the aggregator's record says while it grows: when each lane's requests came, and how often each message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadtest.aggregator.record import HIT, LOST, THROTTLED, entries
from schemas.chunk import lane_of_ordinal


class Arrivals:
    """Follows the record in `folder` of campaigns of `recipients` each, over `lanes`."""

    def __init__(self, folder: Path, lanes: list[int], recipients: int) -> None:
        self._folder = folder
        self._lanes = lanes
        self._recipients = recipients
        self._read = 0
        self.times: dict[int, list[float]] = {lane: [] for lane in lanes}
        """Lane → when its requests came (seconds since the epoch)."""
        self.counts: dict[str, NDArray[np.uint8]] = {}
        """Campaign → how often the message of each ordinal was taken; what a key caught is not taken."""
        self.last: dict[int, float] = {}
        """Number → when the last message to it came, whatever became of it."""
        self.taken = 0
        self.key_hits = 0

    def catch_up(self) -> None:
        """Read what was recorded since the last call."""
        for entry in entries(self._folder, self._read):
            self._read = entry.end
            messages = entry.batch().messages
            at = entry.at / 1e9
            for message, outcome in zip(messages, entry.outcomes, strict=True):
                number = int(message.to)
                self.last[number] = max(at, self.last.get(number, 0.0))
                campaign, _, ordinal = message.id.split("-")
                self.key_hits += outcome == HIT
                if outcome not in (HIT, LOST, THROTTLED):
                    self._count(campaign)[int(ordinal)] += 1
                    self.taken += 1
            lane = lane_of_ordinal(int(messages[0].id.rsplit("-", 1)[1]), self._lanes)
            self.times[lane].append(at)

    def _count(self, campaign: str) -> NDArray[np.uint8]:
        counts = self.counts.get(campaign)
        if counts is None:
            counts = self.counts[campaign] = np.zeros(self._recipients, np.uint8)
        return counts
