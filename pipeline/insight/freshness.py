"""How old the figures in ClickHouse are: the age of the newest moment whose statuses are all there.

Not the age of the newest status: where nothing happens, because a campaign waits for the morning, figures stay
exactly right however old the last change is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_MARKS = 600
"""Marks kept of one partition; beyond that every second one goes, and the age is that much coarser."""


@dataclass(frozen=True, slots=True)
class ReadPosition:
    """How far the writer is in one partition of `statuses`: all below `done` is in ClickHouse, `end` is the offset
    after the last record. `since` (ms): when the first record that it was given was written; None before one came."""

    done: int
    end: int
    since: int | None = None


@dataclass(slots=True)
class _Partition:
    current_at: int | None = None
    """Everything that was written until this instant (ms) is in ClickHouse."""
    marks: deque[tuple[int, int]] = field(default_factory=deque)
    """(when, end of the log then) of the looks that `done` has not reached."""

    def look(self, now: int, position: ReadPosition) -> int | None:
        if self.current_at is None:
            self.current_at = position.since
        self.marks.append((now, position.end))
        while self.marks and self.marks[0][1] <= position.done:
            self.current_at = self.marks.popleft()[0]
        if len(self.marks) > MOST_MARKS:
            self.marks = deque(mark for at, mark in enumerate(self.marks) if at % 2)
        return self.current_at


class Freshness:
    """The age of the figures: that of the oldest of this writer's partitions."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def look(self, now: int, read_positions: Mapping[int, ReadPosition]) -> float | None:
        """The age of the figures in seconds at `now` (ms); None where it is not known: no partition is ours, or one
        of which nothing was read yet has records that wait."""
        self._partitions = {at: self._partitions.get(at) or _Partition() for at in read_positions}
        times = [self._partitions[at].look(now, position) for at, position in read_positions.items()]
        known = [time for time in times if time is not None]
        return max(0, now - min(known)) / 1000 if known and len(known) == len(times) else None

    def wait(self, now: int) -> float | None:
        """The age at `now` while Kafka does not answer, so the writer's position is not known."""
        known = [partition.current_at for partition in self._partitions.values() if partition.current_at is not None]
        return max(0, now - min(known)) / 1000 if known else None
