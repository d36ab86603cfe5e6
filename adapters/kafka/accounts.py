"""Accounts, senders and price lists as topic `accounts` has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from adapters.kafka.reading import records
from adapters.kafka.views import RecordView
from adapters.settings import Kafka
from schemas import topics
from schemas.accounts import ACCOUNTS, AccountsRecord, Answer, Answers, answers_key

log = logging.getLogger(__name__)


class AccountsView(RecordView[AccountsRecord]):
    """Feeds a book of accounts with every record, and waits for answers."""

    def __init__(self, kafka: Kafka, take: Callable[[AccountsRecord], str]) -> None:
        """`take` gets each record, and returns what is wrong with it, "" if nothing is."""
        super().__init__(kafka, topics.ACCOUNTS.name, ACCOUNTS)
        self._take_record = take

    async def answer(self, subject: str, command: str, timeout: float) -> Answer:
        """What became of a command about an account or a `prices_key`; the book knows it by then.

        Raises:
            TimeoutError: nothing within `timeout` seconds.
        """
        known = await self.wait_for(answers_key(subject), lambda record: _find(record, command) is not None, timeout)
        answer = _find(known, command)
        assert answer is not None, "it was waited for"
        return answer

    def _keep(self, key: str, record: AccountsRecord) -> None:
        wrong = self._take_record(record)
        if wrong:
            log.error("%s", wrong)
        super()._keep(key, record)


def _find(record: AccountsRecord | None, command: str) -> Answer | None:
    answers = record.answers if isinstance(record, Answers) else []
    return next((answer for answer in answers if answer.command == command), None)


def stored_accounts(kafka: Kafka) -> Iterator[AccountsRecord]:
    """Everything that the topic has now, for a command that has no view; blocking.

    Raises:
        RuntimeError, KafkaException: the broker does not answer.
    """
    for partition in range(kafka.partitions):
        for _, record in records(kafka.bootstrap, topics.ACCOUNTS, partition, ACCOUNTS):
            yield record
