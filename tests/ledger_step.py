"""The step of the ledger with a table in memory and its view, as a worker and Kafka are to the API."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from adapters.kafka.ledger import LedgerView
from adapters.settings import Settings
from agents.ledger import LedgerStep
from agents.runner import Output
from pipeline.accounts.book import Accounts
from pipeline.ledger.book import Ledger
from schemas.ledger import LEDGER_COMMANDS
from tests.account_step import Table


class LedgerInMemory:
    """Carries commands out as a worker does; `ledger` and `view` are those of a process that has read all of it."""

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        self.table = Table()
        self.ledger = Ledger()
        self.view = LedgerView(settings.kafka, self.ledger.take)
        self.outputs: list[Output] = []
        self.commands: list[bytes] = []
        context: Any = SimpleNamespace(accounts=accounts)
        table: Any = self.table
        self._step = LedgerStep(context, table)

    def take(self, value: bytes) -> None:
        """A record of topic `ledger-commands`, and what follows from it."""
        self.commands.append(value)
        read = len(self.table.changelog)
        event: Any = SimpleNamespace(app=SimpleNamespace(consumer_generation_id=1))
        self.outputs += self._step.handle(LEDGER_COMMANDS.decode(value), event).outputs
        for key, record in self.table.changelog[read:]:
            self.view.apply(key, record)
