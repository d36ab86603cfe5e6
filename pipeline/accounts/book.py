"""What all others read: every account, sender and price list as of now, from the records of topic `accounts`.

What was removed is not there. A spec is validated when its record comes, not when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from pipeline.accounts.holding import Holding, WaitingCampaign, World, quiet_reading
from pipeline.accounts.lane_terms import is_active
from pipeline.accounts.prices import PriceList, built_in, built_in_spec, compiled
from pipeline.limits.rate import lane_share
from pipeline.timing.quiet_hours import QuietHours, quiet_of
from schemas.accounts import (
    MICRO,
    AccountDocument,
    AccountSpec,
    AccountsRecord,
    PriceListDocument,
    PriceListSpec,
    SenderDocument,
)
from schemas.domains import DomainsDocument

DEFAULT_PRICES = "default"
T = TypeVar("T")


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

    @property
    def is_prepaid(self) -> bool:
        """Whether its messages are paid from its balance."""
        return self.spec.billing == "prepaid"


class Accounts:
    """The book of accounts; whoever follows the topic feeds it."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._senders: dict[str, dict[str, SenderDocument]] = {}
        self._prices: dict[str, tuple[PriceListDocument, PriceList]] = {}
        self._stored: dict[str, AccountDocument] = {}
        self._stored_senders: dict[str, dict[str, SenderDocument]] = {}
        """These two have what was removed, too."""
        self._lists: dict[str, PriceListDocument] = {}
        self._domains: dict[str, DomainsDocument] = {}
        self._domain_owners: dict[str, str] = {}
        self._highest = 0
        """Of the accounts' numbers."""
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

    def holding(self, account: str) -> Holding:
        """All that is stored of an account, with what was removed."""
        senders = dict(self._stored_senders.get(account, {}))
        return Holding(self._stored.get(account), senders, domains=self._domains.get(account))

    def domains(self, account: str) -> DomainsDocument | None:
        """What has been used of an account's domains; None where it never had any."""
        return self._domains.get(account)

    def domain_owner(self, domain: str) -> str:
        """The account whose domain it is now; "" where it is nobody's."""
        return self._domain_owners.get(domain, "")

    def stored_prices(self, name: str) -> PriceListDocument | None:
        """The document of a price list that was made, though it was removed."""
        return self._lists.get(name)

    def generation(self, account: str) -> int:
        """Grows with every change of an account and its senders; 0: there is none."""
        known = self._accounts.get(account)
        return 0 if known is None else known.document.generation

    def stamp(self, account: str) -> int:
        """Is another one after every change of what holds for an account's campaigns."""
        known = self._accounts.get(account)
        if known is None:
            return 0
        prices = self._lists.get(known.spec.price_list)
        return hash((known.document.generation, prices and prices.revision))

    def all(self) -> list[Account]:
        """Every account by name."""
        return [self._accounts[name] for name in sorted(self._accounts)]

    def names(self) -> list[str]:
        """Every account's name."""
        return sorted(self._accounts)

    def carrying(self) -> frozenset[int]:
        """The lanes that carry a sender."""
        return frozenset(lane for account in self._accounts.values() for lane, _, _ in account.document.shares)

    def share(self, sender: SenderDocument) -> float:
        """Segments per second that a sender may submit over all its lanes while all senders of its account are busy:
        its own limit, and the account's split over its senders by theirs."""
        account = self._accounts.get(sender.account)
        if account is None:
            return 0.0
        senders = sum(rate for _, _, rate in account.document.shares) / MICRO
        return lane_share(sender.segments_per_second, account.spec.segments_per_second, senders, 1)

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

    def price_names(self) -> list[str]:
        """The names of the price lists that were made."""
        return sorted(self._prices)

    def records(self, names: Iterable[str] | None = None) -> Iterator[AccountsRecord]:
        """All that is stored of these accounts (None: of all), and all price lists; what was removed, too."""
        yield from self._lists.values()
        for name in self._stored if names is None else names:
            yield from self._stored_senders.get(name, {}).values()
            if name in self._domains:
                yield self._domains[name]
            if name in self._stored:
                yield self._stored[name]

    def part(self, names: Iterable[str]) -> Accounts:
        """A book of its own with these accounts, and all price lists."""
        part = Accounts()
        for record in self.records(names):
            part.take(record)
        return part

    def using_prices(self, name: str) -> list[str]:
        """The accounts whose price list it is."""
        return [account.name for account in self.all() if account.spec.price_list == name]

    def world(
        self,
        lanes: int,
        aggregators: Mapping[str, bool],
        waiting: Sequence[WaitingCampaign] = (),
    ) -> World:
        """What a change must fit; `waiting` are the campaigns of its account, the others as in `World`."""
        return World(
            lanes=lanes,
            aggregators=aggregators,
            price_lists=set(self._prices),
            number=self._highest + 1,
            waiting=waiting,
            domain_owners=self._domain_owners,
        )

    def take(self, record: AccountsRecord) -> str:
        """Take a record of the topic. Returns what is wrong with it, or "": one that a newer version wrote
        must not stop an older process, which goes on with what it knew."""
        try:
            self._take(record)
        except ValidationError as error:
            return f"a record of topic accounts was not understood: {error}"
        # What has been used changes all the time, and nothing is derived from it.
        self.version += not isinstance(record, DomainsDocument)
        return ""

    def _name(self, name: str, account: Account | None) -> None:
        before = self._accounts.get(name)
        for domain in before.spec.domains if before is not None else ():
            if self._domain_owners.get(domain) == name:
                del self._domain_owners[domain]
        for domain in account.spec.domains if account is not None else ():
            self._domain_owners.setdefault(domain, name)
        if account is None:
            self._accounts.pop(name, None)
        else:
            self._accounts[name] = account

    def _take(self, record: AccountsRecord) -> None:
        match record:
            case AccountDocument():
                self._stored[record.account] = record
                self._highest = max(self._highest, record.number)
                account = None if record.removed else Account(record.account, record.parsed(), record)
                self._name(record.account, account)
            case SenderDocument():
                self._stored_senders.setdefault(record.account, {})[record.sender] = record
                of_account = self._senders.setdefault(record.account, {})
                if record.removed:
                    of_account.pop(record.sender, None)
                else:
                    of_account[record.sender] = record
            case DomainsDocument():
                self._domains[record.account] = record
            case PriceListDocument():
                self._lists[record.name] = record
                if record.removed:
                    self._prices.pop(record.name, None)
                else:
                    self._prices[record.name] = record, compiled(record.parsed())
            case _:
                pass


def quiet_hours(accounts: Accounts, account: str, simulated: Mapping[str, bool], now: int) -> QuietHours:
    """The quiet hours of an account that is in the book, as of `now` (ms). `simulated`: as in `World.aggregators`.

    Raises:
        ValueError: its own hours do not fit the rules of today; the text is for the user.
    """
    known = accounts.account(account)
    assert known is not None, "the account is in the book"
    used = {sender.aggregator for sender in accounts.senders(account).values()}
    return quiet_of(quiet_reading(known.spec, used, simulated), known.spec.quiet_hours, now)


class Derived(Generic[T]):
    """What follows from the book as a whole, made anew when it is asked for after a change."""

    def __init__(self, accounts: Accounts, make: Callable[[Accounts], T]) -> None:
        self._accounts = accounts
        self._make = make
        self._made: tuple[int, T] | None = None

    def __call__(self) -> T:
        if self._made is None or self._made[0] != self._accounts.version:
            self._made = self._accounts.version, self._make(self._accounts)
        return self._made[1]
