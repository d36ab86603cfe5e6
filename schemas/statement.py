"""Statements of accounts: the ledger's facts by day, as they are read from ClickHouse, and the lines made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.ledger import Line


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a campaign had spent and reserved by the end of a day, or before the period."""

    campaign: str
    day: int
    """Its begin (ms); 0: before the period."""
    billing: str
    reserved: int
    charged: int
    uncovered: int
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Credited:
    """A top-up that was carried out."""

    id: str
    at: int
    amount: int
    note: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A line of a statement. `amount`: what it is about; `balance` and `reserved`: by how much these change."""

    at: int
    kind: Literal["top_up", "spent", "uncovered", "reserved"]
    campaign: str = ""
    billing: str = ""
    price: int = 0
    messages: int = 0
    segments: int = 0
    balance: int = 0
    reserved: int = 0
    note: str = ""
    who: str = ""

    @property
    def amount(self) -> int:
        """Millionths of a credit."""
        if self.kind == "spent":
            return self.price * self.segments
        return self.balance or self.reserved
