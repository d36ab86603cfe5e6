"""What a campaign's charge means in money: spent, charged to the balance, still reserved."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.ledger import Charge, Line


def total(lines: Iterable[Line]) -> int:
    """Millionths of a credit."""
    return sum(price * segments for price, _, segments in lines)


def segments_of(lines: Iterable[Line]) -> int:
    """All segments of lines."""
    return sum(segments for _, _, segments in lines)


def charged(charge: Charge) -> int:
    """What the campaign has taken from the balance."""
    return total(charge.lines) - charge.uncovered if charge.billing == "prepaid" else 0


def held(charge: Charge) -> int:
    """What is still reserved for the campaign."""
    return max(0, charge.limit - charged(charge)) if charge.state == "reserved" else 0


def held_segments(charge: Charge) -> int:
    """Segments of the account's trial that are still reserved for the campaign."""
    return max(0, charge.limit_segments - segments_of(charge.lines)) if charge.state == "reserved" else 0


def joined(known: Iterable[Line], reported: Iterable[Line]) -> list[Line]:
    """The larger of both for each price, rising. What was sent only grows, so of two counts the larger is the later,
    whatever order they came in."""
    sizes: dict[int, tuple[int, int]] = {}
    for price, messages, segments in (*known, *reported):
        before = sizes.get(price, (0, 0))
        sizes[price] = max(before[0], messages), max(before[1], segments)
    return [(price, *size) for price, size in sorted(sizes.items())]
