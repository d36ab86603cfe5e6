"""What is on its way to a lane's log: slices that were picked, and the domains that their links are on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.lane.delay_table import Span
from schemas.lane import Pick, Slice


@dataclass(slots=True)
class Picked:
    """Slices whose record is on its way to the log."""

    _slices: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _carrying: dict[Slice, tuple[str, Sequence[str], int]] = field(default_factory=dict)
    """Account, domains and number of messages of picks whose links are on domains, by their first slice."""
    _carried: dict[tuple[str, str], int] = field(default_factory=dict)
    """Their messages by account and domain."""

    def add(self, slices: list[Slice]) -> None:
        for chunk, start, stop in slices:
            self._slices.setdefault(chunk, []).append((start, stop))

    def add_pick(self, pick: Pick, account: str) -> None:
        """The slices of a pick of an account."""
        self.add(pick.slices)
        if pick.domains:
            count = sum(stop - start for _, start, stop in pick.slices)
            self._carrying[pick.slices[0]] = account, pick.domains, count
            self._carry(account, pick.domains, count)

    def carried(self, account: str, domain: str) -> int:
        """Messages on their way that carry a domain."""
        return self._carried.get((account, domain), 0)

    def _carry(self, account: str, domains: Sequence[str], count: int) -> None:
        for domain in domains:
            key = (account, domain)
            self._carried[key] = self._carried.get(key, 0) + count
            if not self._carried[key]:
                del self._carried[key]

    def discard(self, slices: list[Slice]) -> None:
        for slice_ in slices if self._carrying else ():
            account, domains, count = self._carrying.pop(slice_, ("", (), 0))
            self._carry(account, domains, -count)
        for chunk, start, stop in slices:
            ranges = self._slices.get(chunk, [])
            if (start, stop) in ranges:
                ranges.remove((start, stop))
            if not ranges:
                self._slices.pop(chunk, None)

    def clear(self) -> None:
        self._slices.clear()
        self._carrying.clear()
        self._carried.clear()

    def slices(self) -> Iterator[Slice]:
        """All slices whose record is on its way."""
        return ((chunk, start, stop) for chunk, ranges in self._slices.items() for start, stop in ranges)

    def free(self, span: Span) -> list[tuple[int, int]]:
        """The parts of a span that no record on its way names."""
        parts = [(span.start, span.stop)]
        for low, high in sorted(self._slices.get(span.chunk, ())):
            parts = [piece for part in parts for piece in _without(part, low, high)]
        return parts


def _without(part: tuple[int, int], low: int, high: int) -> list[tuple[int, int]]:
    start, stop = part
    return [(a, b) for a, b in ((start, min(stop, low)), (max(start, high), stop)) if a < b]
