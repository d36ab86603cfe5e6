"""What a file would change, for people, and the commands that change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from pipeline.accounts import changes, price_changes
from pipeline.accounts.book import Accounts
from pipeline.accounts.file import Wanted
from pipeline.accounts.holding import Holding, World
from pipeline.accounts.transitions import Transition
from schemas.accounts import (
    MOST_CHANGES,
    AccountCommand,
    AccountDocument,
    Change,
    PriceCommand,
    SenderDocument,
    prices_key,
    sender_key,
    sender_spec,
)

AnyCommand = AccountCommand | PriceCommand


@dataclass(frozen=True, slots=True)
class Difference:
    """One account, sender or price list. `fields`: of a change, each field with its value before and after."""

    key: str
    what: Literal["added", "changed", "same"]
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, when (ms), and the id that their commands begin with."""

    by: str
    at: int
    id: str
    suspend: bool = False


def differences(wanted: Wanted, accounts: Accounts) -> list[Difference]:
    """What a file would change of what there is; what it does not name stays as it is."""
    items = []
    for name, prices in wanted.prices.items():
        known = accounts.price_list(name)
        items.append(_difference(prices_key(name), None if known is None else known.spec, form_of(prices)))
    for name, spec in wanted.accounts.items():
        account = accounts.account(name)
        items.append(_difference(name, None if account is None else account.document.spec, form_of(spec)))
        for sender, sender_wanted in wanted.senders[name].items():
            stored = accounts.sender(name, sender)
            before = None if stored is None else form_of(sender_spec(stored))
            items.append(_difference(sender_key(name, sender), before, form_of(sender_wanted)))
    return items


def form_of(spec: BaseModel) -> dict[str, Any]:
    """A spec as JSON has it."""
    return spec.model_dump(mode="json")


def _difference(key: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Difference:
    if before is None:
        return Difference(key, "added", {})
    fields = {name: (before.get(name), value) for name, value in after.items() if before.get(name) != value}
    return Difference(key, "changed" if fields else "same", fields)


def commands(wanted: Wanted, accounts: Accounts, author: Author) -> Iterator[AnyCommand]:
    """What makes a file so: price lists first, because accounts name them; what is so already is left out."""
    changing = {difference.key for difference in differences(wanted, accounts) if difference.what != "same"}
    for name, prices in wanted.prices.items():
        if prices_key(name) in changing:
            stored = accounts.stored_prices(name)
            yield PriceCommand(
                id=f"{author.id}-{prices_key(name)}",
                name=name,
                at=author.at,
                by=author.by,
                spec=form_of(prices),
                expected=0 if stored is None else stored.revision,
            )
    for name in wanted.accounts:
        yield from _account_commands(name, wanted, accounts.holding(name), changing, author)


def _account_commands(
    name: str, wanted: Wanted, held: Holding, changing: set[str], author: Author
) -> Iterator[AccountCommand]:
    items = []
    if name in changing:
        items.append(change_of("", form_of(wanted.accounts[name]), held.account))
    for sender, spec in wanted.senders[name].items():
        if sender_key(name, sender) in changing:
            items.append(change_of(sender, form_of(spec), held.senders.get(sender)))
    for start in range(0, len(items), MOST_CHANGES):
        yield AccountCommand(
            id=f"{author.id}-{name}-{start}",
            account=name,
            at=author.at,
            by=author.by,
            changes=items[start : start + MOST_CHANGES],
            suspend=author.suspend,
        )


def change_of(sender: str, spec: dict[str, Any] | None, stored: AccountDocument | SenderDocument | None) -> Change:
    """A change by somebody who sees what is stored."""
    return Change(sender=sender, spec=spec, expected=0 if stored is None else stored.revision)


def outcome_of(command: AnyCommand, accounts: Accounts, world: World) -> Transition:
    """What would become of a command by what is in the book."""
    if isinstance(command, AccountCommand):
        return changes.apply(accounts.holding(command.account), command, world)
    used = accounts.using_prices(command.name)
    return price_changes.apply(accounts.stored_prices(command.name), None, command, used)


def preview(wanted: Wanted, accounts: Accounts, author: Author, world: World) -> list[tuple[str, str]]:
    """(key, why) of what would be refused, one command after the other. `world` knows all campaigns that wait."""
    scratch, refused = accounts.part(wanted.accounts), []
    for command in commands(wanted, scratch, author):
        transition = outcome_of(command, scratch, replace(world, price_lists=set(scratch.price_names())))
        for _, record in transition.writes:
            scratch.take(record)
        if transition.error:
            name = command.account if isinstance(command, AccountCommand) else prices_key(command.name)
            refused.append((name, transition.error))
    return refused


def book_of(wanted: Wanted, lanes: int, aggregators: Mapping[str, bool], at: int) -> tuple[Accounts, Sequence[str]]:
    """The book of an installation that has this file alone, and what is refused of it."""
    accounts, refused = Accounts(), []
    for command in commands(wanted, accounts, Author("file", at, "file")):
        transition = outcome_of(command, accounts, accounts.world(lanes, aggregators))
        for _, record in transition.writes:
            accounts.take(record)
        if transition.error:
            refused.append(transition.error)
    return accounts, refused
