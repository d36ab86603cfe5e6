"""What all others read: every account, sender and price list as of now, from the records of topic `accounts`.

What was removed is not there. A spec is validated when its record comes, not when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from pipeline.accounts.holding import World
from pipeline.accounts.lane_terms import is_active
from pipeline.accounts.prices import PriceList, built_in, built_in_spec, compiled
from schemas.account import account_tag
from schemas.accounts import (
    AccountDocument,
    AccountSpec,
    AccountsRecord,
    Answers,
    Caps,
    PriceListDocument,
    PriceListSpec,
    SenderDocument,
    key_of,
)

DEFAULT_PRICES = "default"


@dataclass(frozen=True, slots=True)
class Account:
    """An account with its validated spec."""

    name: str
    spec: AccountSpec
    document: AccountDocument

    @property
    def is_active(self) -> bool:
        """Whether it may send."""
        return is_active(self.document)


class Accounts:
    """The book of accounts; whoever follows the topic feeds it."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._senders: dict[str, dict[str, SenderDocument]] = {}
        self._prices: dict[str, tuple[PriceListDocument, PriceList]] = {}
        self._revisions: dict[str, int] = {}
        self.version = 0
        """Grows with every change, so that who derives something from the book knows when to do it again."""

    def account(self, name: str) -> Account | None:
        return self._accounts.get(name)

    def sender(self, account: str, sender: str) -> SenderDocument | None:
        """A sender; None where it, or its account, is not there."""
        return self.senders(account).get(sender)

    def senders(self, account: str) -> Mapping[str, SenderDocument]:
        """The senders of an account by name."""
        return self._senders.get(account, {}) if account in self._accounts else {}

    def revision(self, key: str) -> int:
        """The revision of what has that key in topic `accounts`, though it was removed; 0: there never was one."""
        return self._revisions.get(key, 0)

    def all(self) -> list[Account]:
        """Every account by name."""
        return [self._accounts[name] for name in sorted(self._accounts)]

    def names(self) -> list[str]:
        """Every account's name."""
        return sorted(self._accounts)

    def all_senders(self) -> Iterable[SenderDocument]:
        """Every sender of every account."""
        for account in self._accounts:
            yield from self._senders.get(account, {}).values()

    def prices(self, name: str) -> PriceList | None:
        """A price list; without one of its own `default` is the built-in one."""
        known = self._prices.get(name)
        if known is not None:
            return known[1]
        return built_in() if name == DEFAULT_PRICES else None

    def prices_of(self, account: str) -> PriceList:
        """The price list of an account. One that is gone leaves the account without prices."""
        known = self._accounts.get(account)
        return (self.prices(known.spec.price_list) if known else None) or PriceList({})

    def price_list(self, name: str) -> PriceListDocument | None:
        """The document of a price list that was made."""
        known = self._prices.get(name)
        return None if known is None else known[0]

    def price_spec(self, name: str) -> PriceListSpec | None:
        """What a person wrote, or the built-in list."""
        known = self._prices.get(name)
        if known is not None:
            return known[0].parsed()
        return built_in_spec() if name == DEFAULT_PRICES else None

    def price_lists(self) -> list[PriceListDocument]:
        """Every price list that was made, by name."""
        return [self._prices[name][0] for name in sorted(self._prices)]

    def using_prices(self, name: str) -> list[str]:
        """The accounts whose price list it is."""
        return [account.name for account in self.all() if account.spec.price_list == name]

    def world(self, lanes: int, aggregators: Mapping[str, bool]) -> World:
        """What a change must fit, but for the campaigns."""
        tags = {account_tag(name): name for name in self._accounts}
        capped = {account_tag(name): name for name, account in self._accounts.items() if account.spec.caps != Caps()}
        return World(lanes=lanes, aggregators=aggregators, price_lists=set(self._prices), capped=capped, named=tags)

    def take(self, record: AccountsRecord) -> str:
        """Take a record of the topic. Returns what is wrong with it, or "": one that a newer version wrote
        must not stop an older process, which goes on with what it knew."""
        try:
            self._take(record)
        except ValidationError as error:
            return f"a record of topic accounts was not understood: {error}"
        if not isinstance(record, Answers):
            self._revisions[key_of(record)] = record.revision
        self.version += 1
        return ""

    def _take(self, record: AccountsRecord) -> None:
        match record:
            case AccountDocument():
                if record.removed:
                    self._accounts.pop(record.account, None)
                else:
                    self._accounts[record.account] = Account(record.account, record.parsed(), record)
            case SenderDocument():
                of_account = self._senders.setdefault(record.account, {})
                if record.removed:
                    of_account.pop(record.sender, None)
                else:
                    of_account[record.sender] = record
            case PriceListDocument():
                if record.removed:
                    self._prices.pop(record.name, None)
                else:
                    self._prices[record.name] = record, compiled(record.parsed())
            case _:
                pass
