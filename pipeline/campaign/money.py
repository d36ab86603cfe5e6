"""Sums of money, in whole millionths of a credit: they are exact."""

from __future__ import annotations

from collections.abc import Sequence


def cost(segments: Sequence[int], prices: Sequence[int]) -> int:
    """Millionths of a credit for messages of so many segments at so much each."""
    return sum(count * price for count, price in zip(segments, prices, strict=True))
