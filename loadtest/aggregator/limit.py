"""How many segments the simulated aggregator lets through: a token bucket."""

from __future__ import annotations

from loadtest.aggregator.script import Throttle
from pipeline.content.segments import count_many


class Limit:
    """A bucket of `segments_per_second * burst` segments, full at `started` (ns)."""

    def __init__(self, throttle: Throttle, started: int) -> None:
        self._rate = throttle.segments_per_second
        self._capacity = self._rate * throttle.burst
        self._whole = throttle.answer == "batch"
        self._level = self._capacity
        self._filled = started

    def passed(self, at: int, texts: list[str]) -> int:
        """How many texts from the first on pass at `at` (ns); takes their segments from the bucket.

        Where whole batches are refused, a batch that does not fit takes nothing.
        """
        return self.passed_segments(at, count_many(texts).tolist()) if self._rate else len(texts)

    def passed_segments(self, at: int, segments: list[int]) -> int:
        """`passed` for messages of so many segments."""
        if not self._rate:
            return len(segments)
        self._level = min(self._capacity, self._level + max(0, at - self._filled) / 1e9 * self._rate)
        self._filled = max(at, self._filled)
        total, passed = 0, 0
        for parts in segments:
            if total + parts > self._level:
                break
            total += parts
            passed += 1
        if passed == len(segments) or not self._whole:
            self._level -= total
        return passed
