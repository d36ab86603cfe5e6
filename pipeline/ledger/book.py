"""The ledger's facts with their sums: of one account as the step decides by, and of all for everybody else."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.ledger.sums import charged, held, held_segments, segments_of, total
from schemas.ledger import Charge, LedgerRecord, TopUp, Watch


class AccountBook:
    """All that the ledger has of one account. `take` replaces a fact by its key; the sums follow."""

    def __init__(self, records: Iterable[LedgerRecord] = ()) -> None:
        self.top_ups: dict[str, TopUp] = {}
        self.charges: dict[str, Charge] = {}
        self.watch: Watch | None = None
        self._waiting: dict[str, Charge] = {}
        self.credited = 0
        """All top-ups."""
        self.charged = 0
        """What campaigns took from them."""
        self.reserved = 0
        self.spent = 0
        """What messages cost, paid from the balance or by invoice."""
        self.uncovered = 0
        """What should have been paid from the balance when there was nothing left."""
        self.segments = 0
        self.reserved_segments = 0
        for record in records:
            self.take(record)

    @property
    def balance(self) -> int:
        """What was topped up and is not spent."""
        return self.credited - self.charged

    @property
    def available(self) -> int:
        """What is not reserved of the balance."""
        return self.balance - self.reserved

    @property
    def free(self) -> int:
        """What another reservation can have: those that wait for a top-up come first."""
        return max(0, self.available - sum(charge.asked for charge in self._waiting.values()))

    @property
    def waiting(self) -> list[Charge]:
        """The campaigns that wait for a top-up, in the order in which they get one."""
        return sorted(self._waiting.values(), key=lambda charge: (charge.turn, charge.campaign))

    @property
    def next_turn(self) -> int:
        """The place behind all that wait."""
        return max((charge.turn for charge in self._waiting.values()), default=0) + 1

    def take(self, record: LedgerRecord) -> None:
        """Take a fact."""
        match record:
            case TopUp():
                known = self.top_ups.get(record.id)
                self.credited += _credited(record) - (0 if known is None else _credited(known))
                self.top_ups[record.id] = record
            case Charge():
                before = self.charges.get(record.campaign)
                if before is not None:
                    self._add(before, -1)
                self._add(record, 1)
                self.charges[record.campaign] = record
                self._waiting.pop(record.campaign, None)
                if record.state == "waiting":
                    self._waiting[record.campaign] = record
            case Watch():
                self.watch = record

    def _add(self, charge: Charge, sign: int) -> None:
        self.charged += sign * charged(charge)
        self.reserved += sign * held(charge)
        self.spent += sign * total(charge.lines)
        self.uncovered += sign * charge.uncovered
        self.segments += sign * segments_of(charge.lines)
        self.reserved_segments += sign * held_segments(charge)


def _credited(top_up: TopUp) -> int:
    return 0 if top_up.refused else top_up.amount


_EMPTY = AccountBook()


class Ledger:
    """The books of all accounts; whoever follows the topic feeds it."""

    def __init__(self) -> None:
        self._books: dict[str, AccountBook] = {}

    def book(self, account: str) -> AccountBook:
        """The book of an account, an empty one where there is none."""
        return self._books.get(account, _EMPTY)

    def charge(self, account: str, campaign: str) -> Charge | None:
        """What a campaign reserved and spent."""
        return self.book(account).charges.get(campaign)

    def accounts(self) -> list[str]:
        """Every account of which there is anything, by name."""
        return sorted(self._books)

    def waiting(self) -> list[Charge]:
        """All campaigns that wait for a top-up."""
        return [charge for book in self._books.values() for charge in book.waiting]

    def held(self) -> list[Charge]:
        """All campaigns for which something is reserved."""
        return [
            charge
            for book in self._books.values()
            if book.reserved or book.reserved_segments
            for charge in book.charges.values()
            if held(charge) or held_segments(charge)
        ]

    def take(self, record: LedgerRecord) -> None:
        """Take a record of the topic."""
        self._books.setdefault(record.account, AccountBook()).take(record)
