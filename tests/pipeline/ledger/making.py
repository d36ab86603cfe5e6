"""Commands of the ledger, and a step of it without Kafka: facts in a dict, written one by one, each for itself."""

from __future__ import annotations

from typing import Any

from pipeline.ledger.book import AccountBook
from pipeline.ledger.commands import Decision, apply
from schemas.ledger import (
    LEDGER,
    LEDGER_COMMANDS,
    Charge,
    LedgerCommand,
    Release,
    Reserve,
    Spent,
    TopUpCommand,
    key_of,
)
from schemas.wire import encode

SHOP = "shop"
CREDIT = 1_000_000


def campaign(index: int) -> str:
    return f"{index:08d}"


def top_up(amount: int, name: int = 0, **changes: Any) -> TopUpCommand:
    given = {"id": f"{name:032x}", "account": SHOP, "amount": amount, "at": 1, "by": "test", **changes}
    return TopUpCommand(**given)


def reserve(index: int, amount: int, **changes: Any) -> Reserve:
    given = {
        "account": SHOP, "campaign": campaign(index), "revision": 2, "billing": "prepaid", "amount": amount,
        "segments": amount, "waits": False, "at": 1, **changes,
    }  # fmt: skip
    return Reserve(**given)


def spent(index: int, segments: int, price: int = 1, rest: int | None = None, **changes: Any) -> Spent:
    given = {
        "account": SHOP, "campaign": campaign(index), "billing": "prepaid", "lines": [(price, segments, segments)],
        "rest": rest, "rest_segments": rest, "at": 1, **changes,
    }  # fmt: skip
    return Spent(**given)


def release(index: int, revision: int = 2) -> Release:
    return Release(account=SHOP, campaign=campaign(index), revision=revision, at=1)


class Step:
    """Facts survive; what is in memory does not."""

    def __init__(self, facts: dict[str, bytes] | None = None) -> None:
        self.facts = {} if facts is None else facts
        self.book = AccountBook(LEDGER.decode(value) for value in self.facts.values())
        self.answers: list[Charge] = []

    def take(self, command: LedgerCommand, written: int | None = None) -> Decision:
        """Carry out a command as it is read from Kafka. `written`: only so many of its facts were stored before the
        process died."""
        decision = apply(self.book, LEDGER_COMMANDS.decode(encode(command)))
        for record in decision.writes[:written]:
            self.facts[key_of(record)] = encode(record)
        if written is None:
            self.answers += decision.answers
        return decision

    def states(self) -> dict[str, str]:
        return {charge.campaign: charge.state for charge in self.book.charges.values()}
