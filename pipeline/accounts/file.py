"""A file of accounts: what a person wants there to be, checked item by item.

[accounts.demo]
site_name = "Harbor & Pine"
[accounts.demo.senders.main]
number = "+18885550100"
[[prices.default]]
from = 2026-01-01
country = "US"
price = "0.0079"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from schemas.accounts import AccountSpec, PriceListSpec, SenderSpec, filled
from schemas.ids import NAME_PATTERN

_NAME: Final = re.compile(NAME_PATTERN)
MOST_ITEMS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """The accounts, senders and price lists of a file."""

    accounts: Mapping[str, AccountSpec] = field(default_factory=dict)
    senders: Mapping[str, Mapping[str, SenderSpec]] = field(default_factory=dict)
    """By account."""
    prices: Mapping[str, PriceListSpec] = field(default_factory=dict)


class WrongFile(ValueError):
    """The file cannot be applied; `fields` are (place, what is wrong)."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{place}: {what}" for place, what in fields))
        self.fields = fields


def read_accounts(document: Mapping[str, Any]) -> Wanted:
    """What a file (as TOML or JSON has it) wants.

    Raises:
        WrongFile: with everything that is wrong in it.
    """
    wrong: list[tuple[str, str]] = [
        (str(key), "is no table of such a file; there are accounts and prices")
        for key in document
        if key not in ("accounts", "prices")
    ]
    accounts: dict[str, AccountSpec] = {}
    senders: dict[str, dict[str, SenderSpec]] = {}
    for name, table in _tables(document, "accounts", wrong):
        own = {key: value for key, value in table.items() if key != "senders"}
        _add(accounts, name, AccountSpec, own, f"accounts.{name}", wrong)
        senders[name] = {}
        for sender, item in _tables(table, "senders", wrong, f"accounts.{name}."):
            _add(senders[name], sender, SenderSpec, item, f"accounts.{name}.senders.{sender}", wrong)
    prices: dict[str, PriceListSpec] = {}
    for name, entries in _named(document, "prices", wrong):
        _add(prices, name, PriceListSpec, {"prices": entries}, f"prices.{name}", wrong)
    if len(accounts) + sum(map(len, senders.values())) > MOST_ITEMS:
        wrong.append(("accounts", f"more than {MOST_ITEMS:,} accounts and senders: apply them in several files"))
    if wrong:
        raise WrongFile(wrong)
    return Wanted(
        accounts, {name: {s: filled(spec) for s, spec in of.items()} for name, of in senders.items()}, prices
    )


def _add(
    into: dict[str, Any], name: str, model: type[BaseModel], item: object, place: str, wrong: list[tuple[str, str]]
) -> None:
    try:
        into[name] = model.model_validate(item)
    except ValidationError as error:
        # The entries of a price list are its only field, which a file does not name.
        inner = [e["loc"][1:] if model is PriceListSpec else e["loc"] for e in error.errors()]
        places = [".".join([place, *map(str, loc)]) for loc in inner]
        wrong += [(name, e["msg"]) for name, e in zip(places, error.errors(), strict=True)]


def _tables(
    document: Mapping[str, Any], key: str, wrong: list[tuple[str, str]], where: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in _named(document, key, wrong, where):
        if isinstance(table, Mapping):
            yield name, table
        else:
            wrong.append((f"{where}{key}.{name}", "is no table"))


def _named(
    document: Mapping[str, Any], key: str, wrong: list[tuple[str, str]], where: str = ""
) -> Iterator[tuple[str, Any]]:
    items = document.get(key, {})
    if not isinstance(items, Mapping):
        wrong.append((f"{where}{key}", "is no table of names"))
        return
    for name, item in items.items():
        if _NAME.fullmatch(str(name)):
            yield name, item
        else:
            wrong.append((f"{where}{key}.{name}", "is no name: use lower-case letters, digits, - and _"))
