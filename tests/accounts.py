"""Books of accounts for tests, made as an installation makes them: by applying a file."""

from __future__ import annotations

import tomllib

from loadtest.sample import accounts as sample
from pipeline.accounts.book import Accounts
from pipeline.accounts.diff import book_of
from pipeline.accounts.file import read_accounts

AT = 1_764_000_000_000


def book(text: str = "", *, lanes: int = 8, real: tuple[str, ...] = ()) -> Accounts:
    """The book of a file (TOML; "": the sample account). Behind the aggregators `real` are people."""
    aggregators = {"local": True, **dict.fromkeys(real, False)}
    accounts, refused = book_of(read_accounts(tomllib.loads(text or sample.text())), lanes, aggregators, AT)
    assert not refused, refused
    return accounts
