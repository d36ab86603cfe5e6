"""Books of accounts for tests, made as an installation makes them: by applying a file."""

from __future__ import annotations

import tomllib

from confluent_kafka import Producer

from loadtest.sample import accounts as sample
from pipeline.accounts.book import Accounts
from pipeline.accounts.diff import book_of
from pipeline.accounts.file import read_accounts
from pipeline.accounts.lane_terms import lane_terms
from schemas import topics
from schemas.accounts import key_of
from schemas.wire import encode

AT = 1_764_000_000_000


def write_accounts(bootstrap: str, text: str = "", *, lanes: int = 2) -> None:
    """Put the accounts of a file (TOML; "": the sample account) into topic `accounts` and into the lanes, as the step
    does."""
    producer, accounts = Producer({"bootstrap.servers": bootstrap}), book(text, lanes=lanes)
    for record in accounts.records():
        producer.produce(topics.ACCOUNTS.name, encode(record), key_of(record), partition=0)
    for account in accounts.all():
        for lane, terms in lane_terms(account.document, accounts.senders(account.name).values(), lanes, AT):
            producer.produce(topics.LANES.name, encode(terms), partition=lane)
    assert producer.flush(30) == 0


def book(text: str = "", *, lanes: int = 8, real: tuple[str, ...] = ()) -> Accounts:
    """The book of a file (TOML; "": the sample account). Behind the aggregators `real` are people."""
    aggregators = {"local": True, **dict.fromkeys(real, False)}
    accounts, refused = book_of(read_accounts(tomllib.loads(text or sample.text())), lanes, aggregators, AT)
    assert not refused, refused
    return accounts
