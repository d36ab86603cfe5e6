"""The accounts that a command goes by: those of the installation, or those of a file where no stack is needed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.terminal import UserError

if TYPE_CHECKING:
    from adapters.settings import Settings
    from pipeline.accounts.book import Accounts

AccountsFile = Annotated[
    Path | None,
    typer.Option("--accounts", metavar="FILE.toml", help="Accounts, senders and prices [the sample account]."),
]


def stored_book(settings: Settings) -> Accounts:
    """The accounts as Kafka has them now.

    Raises:
        UserError: Kafka does not answer.
    """
    from confluent_kafka import KafkaException

    from adapters.kafka.accounts import stored_accounts
    from pipeline.accounts.book import Accounts

    accounts = Accounts()
    try:
        for record in stored_accounts(settings.kafka):
            accounts.take(record)
    except (RuntimeError, KafkaException) as error:
        where = settings.kafka.bootstrap
        raise UserError(
            f"the accounts cannot be read: Kafka at {where} does not answer; is the stack up? `longwave status`"
        ) from error
    return accounts


def book_of_file(file: Path | None, settings: Settings) -> Accounts:
    """The accounts of a file; None: the sample account.

    Raises:
        UserError: it cannot be read, or does not hold.
    """
    from adapters.clock import now_ms
    from loadtest.sample import accounts as sample
    from pipeline.accounts.diff import book_of
    from pipeline.accounts.file import WrongFile, read_accounts

    name = file or "the sample accounts"
    try:
        wanted = read_accounts(parsed(sample.text(), "sample") if file is None else read(file))
    except WrongFile as error:
        raise UserError(f"{name}: {error}") from error
    accounts, refused = book_of(wanted, settings.kafka.lanes, settings.simulated(), now_ms())
    if refused:
        raise UserError(f"{name}: {'; '.join(refused)}")
    return accounts


def read(file: Path) -> Mapping[str, Any]:
    """What a TOML file has.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return parsed(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"cannot read {file}: {why}") from error


def parsed(text: str, name: str) -> Mapping[str, Any]:
    """What a TOML text has.

    Raises:
        UserError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{name} is no TOML: {error}") from error
