"""Numbers that cannot be reached: a carrier said that they are landlines, unknown, or not mobile.

The fold of topic `unreachable`. A campaign skips such a number until its account's `unreachable_retry_days` are over;
then it gets another chance, and if that fails too the days begin anew. Who is opted out at the carrier is listed
there too, and blocked by a hold of consent (`schemas.feedback.Consent`), never by time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.identity.buckets import hash_of, hashes
from pipeline.identity.hash_set import HashSet
from schemas.audience import Indices
from schemas.feedback import UNREACHABLE, Unreachable
from schemas.reasons import Reason
from schemas.wire import DecodeError

DAY: Final = 86_400_000
MERGE_AT: Final = 65_536


class UnreachableNumbers:
    """Which numbers cannot be reached, and since which day. 19 octets each. Not safe to use from several threads."""

    __slots__ = ("_at_carrier", "_cleared", "_days", "_latest", "_members", "_numbers")

    def __init__(self) -> None:
        self._members = HashSet()
        self._numbers = np.zeros(0, np.uint64)
        self._days = np.zeros(0, np.uint16)
        self._latest: dict[int, int] = {}
        """Number → day of changes that are not in the arrays yet; 0 for a number that was cleared."""
        self._at_carrier: dict[int, int] = {}
        """Number → when it was last said to be opted out at the carrier."""
        self._cleared: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._members)

    def apply(self, record: Unreachable) -> None:
        """Take the next record of the topic."""
        if record.state == "cleared":
            self._cleared[record.number] = record.at
            self._at_carrier.pop(record.number, None)
            self._set(record.number, 0)
        elif record.reason == Reason.OPTED_OUT_AT_CARRIER:
            self._at_carrier[record.number] = record.at
        else:
            self._set(record.number, record.at // DAY)

    def take(self, key: bytes, value: bytes | None) -> str:
        """Take the next record of the topic as it is stored; returns why it cannot be read, "" where it can."""
        try:
            if value is not None:
                self.apply(UNREACHABLE.decode(value))
            elif key.isdigit():
                self.forget(int(key))
        except DecodeError as error:
            return f"record of the unreachable number {key!r} not understood, left out: {error}"
        return ""

    def forget(self, number: int) -> None:
        """Remove a number that was deleted from the topic."""
        self._cleared.pop(number, None)
        self._at_carrier.pop(number, None)
        self._set(number, 0)

    def is_news(self, number: int, reason: str, at: int) -> bool:
        """Whether a failure at `at` says more than the topic does: of a number that was cleared, or of which the last
        failure was noted, since then it does not."""
        if at <= self._cleared.get(number, -1):
            return False
        if reason == Reason.OPTED_OUT_AT_CARRIER:
            return at > self._at_carrier.get(number, -1)
        return not self._members.contains_many(hashes([number]))[0] or at // DAY > self._day_of(number)

    def mask(self, numbers: Indices, now: int, retry_days: int) -> NDArray[np.bool_]:
        """Which of `numbers` are not to be tried at `now`; with `retry_days` 0 none is tried ever again."""
        if self._members.is_empty:
            return np.zeros(len(numbers), np.bool_)
        listed: NDArray[np.bool_] = self._members.contains_many(hashes(numbers)).copy()
        if retry_days and listed.any():
            for place in np.flatnonzero(listed).tolist():
                listed[place] = now // DAY - self._day_of(int(numbers[place])) < retry_days
        return listed

    def _set(self, number: int, day: int) -> None:
        self._members.apply(hash_of(number), day > 0)
        self._latest[number] = min(day, 0xFFFF)
        if len(self._latest) >= MERGE_AT:
            self._merge()

    def _day_of(self, number: int) -> int:
        day = self._latest.get(number)
        if day is None:
            day = int(self._days[np.searchsorted(self._numbers, np.uint64(number))])
        return day

    def _merge(self) -> None:
        numbers = np.fromiter(self._latest, np.uint64, len(self._latest))
        days = np.fromiter(self._latest.values(), np.uint16, len(self._latest))
        kept = ~np.isin(self._numbers, numbers)
        numbers = np.concatenate([self._numbers[kept], numbers[days > 0]])
        days = np.concatenate([self._days[kept], days[days > 0]])
        order = np.argsort(numbers)
        self._numbers, self._days = numbers[order], days[order]
        self._latest = {}


NOBODY: Final = UnreachableNumbers()
"""An empty set, for callers without a list of unreachable numbers."""
