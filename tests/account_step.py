"""The step of accounts with a table in memory and the view that follows it, as a worker and Kafka are to the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from adapters.kafka.accounts import AccountsView
from adapters.settings import Settings
from agents.accounts import AccountsStep
from agents.runner import Output
from pipeline.accounts.book import Accounts
from pipeline.accounts.diff import Author, commands
from pipeline.accounts.file import read_accounts
from schemas.accounts import ACCOUNT_COMMANDS
from schemas.campaign import CampaignDocument
from schemas.wire import encode


class Table(dict[bytes, bytes]):
    """A table of one partition; `changelog` has what was written, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.changelog: list[tuple[bytes, bytes]] = []

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.changelog.append((key, value))
        super().__setitem__(key, value)

    def starting_with(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, value) for key, value in self.items() if key.startswith(prefix)])

    async def settled(self, keys: Iterable[bytes]) -> None:
        """Everything is."""


class StepInMemory:
    """Carries commands out as a worker does; `book` and `view` are those of a process that has read all of it."""

    def __init__(
        self, settings: Settings, campaigns: Callable[[], list[CampaignDocument]] = list, partition: int = 0
    ) -> None:
        self.table = Table()
        self.book = Accounts()
        self.view = AccountsView(settings.kafka, self.book.take)
        self.outputs: list[Output] = []
        self.commands: list[bytes] = []
        context: Any = SimpleNamespace(
            settings=settings, accounts=self.book, campaigns=SimpleNamespace(all=campaigns)
        )
        table: Any = self.table
        self._event: Any = SimpleNamespace(message=SimpleNamespace(partition=partition))
        self._step = AccountsStep(context, table)

    def take(self, value: bytes) -> None:
        """A record of topic `account-commands`, and what follows from it."""
        self.commands.append(value)
        read = len(self.table.changelog)
        self.outputs += self._step.handle(ACCOUNT_COMMANDS.decode(value), self._event).outputs
        for key, record in self.table.changelog[read:]:
            self.view.apply(key, record)

    def apply(self, document: dict[str, Any], at: int = 1) -> None:
        """The accounts of a file."""
        for command in commands(read_accounts(document), self.book, Author("test", at, f"made-{at}")):
            self.take(encode(command))
