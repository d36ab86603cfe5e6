"""Accounts: commands in; documents of accounts, senders and price lists, terms for lanes, and suspensions out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from agents.context import Context
from agents.faust_port import Event
from agents.guards.durable import AckedTable
from agents.runner import Emissions, Output, output
from agents.story import log_account_change
from pipeline.accounts import changes, price_changes
from pipeline.accounts.domains import behind, domain_terms, nearly_used_alerts, take_report
from pipeline.accounts.holding import Holding, World, waiting_of
from pipeline.accounts.transitions import Effect, Transition, WriteTerms, answered
from schemas import topics
from schemas.accounts import (
    ACCOUNTS,
    MOST_ACCOUNTS,
    AccountCommand,
    AccountDocument,
    AccountsInput,
    AccountsRecord,
    Answers,
    Numbers,
    PriceCommand,
    PriceListDocument,
    SenderDocument,
    answers_key,
    domains_key,
    key_of,
    numbers_key,
    prices_key,
    sender_key,
)
from schemas.domains import DomainsDocument, DomainUse
from schemas.wire import encode

log = logging.getLogger(__name__)


class AccountsStep:
    """The step. Its table's changelog is the topic `accounts` itself; all that is kept of an account is in one
    partition."""

    def __init__(self, context: Context, table: AckedTable) -> None:
        self._context = context
        self._table = table

    def handle(self, record: AccountsInput, event: Event) -> Emissions:
        if isinstance(record, DomainUse):
            return self._reported(record)
        if isinstance(record, AccountCommand):
            held = self._held(record.account)
            partition = event.message.partition
            given = 0 if held.account is not None else self._numbers_given(partition)
            transition = changes.apply(held, record, self._world(record.account, given, partition))
            # Before the account: a number that nobody got does no harm, one that two got would.
            is_new = held.account is None and transition.writes
            numbers = [Numbers(partition=partition, given=given + 1)] if is_new else []
            return self._written(record.account, record, held.answers, transition, numbers)
        key = prices_key(record.name)
        answers, known = self._answers(key), self._stored(key)
        assert known is None or isinstance(known, PriceListDocument), "its key says so"
        used = self._context.accounts.using_prices(record.name)
        return self._written(key, record, answers, price_changes.apply(known, answers, record, used))

    def _written(
        self,
        subject: str,
        command: AccountCommand | PriceCommand,
        known: Answers | None,
        transition: Transition,
        numbers: Sequence[Numbers] = (),
    ) -> Emissions:
        log_account_change(subject, command, transition)
        answers = answered(known, subject, command.id, transition)
        writes: dict[str, AccountsRecord] = {key_of(record): record for record in numbers} | dict(transition.writes)
        if answers is not None:  # the last: whoever reads the answer knows what it is about
            writes[answers_key(subject)] = answers
        keys = [key.encode() for key in writes]
        for key, document in zip(keys, writes.values(), strict=True):
            self._table[key] = encode(document)
        outputs = [_output(effect) for effect in transition.effects]
        return Emissions(outputs, [lambda: self._table.settled(keys)])

    def _reported(self, record: DomainUse) -> Emissions:
        """A lane has told what it has used of an account's domains."""
        account, key = self._stored(record.account), domains_key(record.account)
        known = self._stored(key)
        if not isinstance(account, AccountDocument) or not isinstance(known, DomainsDocument):
            return Emissions([], [])
        reported = take_report(known, account, record)
        if reported.document != known:
            self._table[key.encode()] = encode(reported.document)
        # Repeated until each lane has said that it goes by them: whoever wrote them may have died before.
        waiting = behind(reported.document)
        terms = [
            output(topics.LANES, term, partition=lane)
            for lane, term in domain_terms(reported.document, account, record.at)
            if lane in waiting
        ]
        alerts = nearly_used_alerts(reported, account, record.at)
        for alert in alerts:
            log.warning("%s", alert.text, extra={"account": record.account})
        outputs = [*terms, *(output(topics.ALERTS, alert, alert.account) for alert in alerts)]
        return Emissions(outputs, [lambda: self._table.settled([key.encode()])])

    def _held(self, account: str) -> Holding:
        document = self._stored(account)
        assert document is None or isinstance(document, AccountDocument), "its key says so"
        senders = {sender.sender: sender for sender in self._senders(account)}
        domains = self._stored(domains_key(account))
        assert domains is None or isinstance(domains, DomainsDocument), "its key says so"
        return Holding(document, senders, self._answers(account), domains)

    def _senders(self, account: str) -> Iterator[SenderDocument]:
        for _, value in self._table.starting_with(sender_key(account, "").encode()):
            record = ACCOUNTS.decode(value)
            assert isinstance(record, SenderDocument), "its key says so"
            yield record

    def _answers(self, subject: str) -> Answers | None:
        record = self._stored(answers_key(subject))
        assert record is None or isinstance(record, Answers), "its key says so"
        return record

    def _stored(self, key: str) -> AccountsRecord | None:
        value = self._table.get(key.encode())
        return None if value is None else ACCOUNTS.decode(value)

    def _numbers_given(self, partition: int) -> int:
        record = self._stored(numbers_key(partition))
        assert record is None or isinstance(record, Numbers), "its key says so"
        return 0 if record is None else record.given

    def _world(self, account: str, numbers_given: int, partition: int) -> World:
        settings = self._context.settings
        waiting = waiting_of(account, self._context.campaigns.all())
        # Price lists are not looked at: they come by other partitions, and what the API has seen may be new here.
        world = self._context.accounts.world(settings.kafka.lanes, settings.simulated(), waiting)
        return replace(
            world,
            price_lists=None,
            number=_number(numbers_given, partition, settings.kafka.partitions),
            mails=settings.smtp.is_on,
            is_local=not settings.ingress.is_reached_from_outside(),
        )


def _number(given: int, partition: int, partitions: int) -> int:
    """The number of the next account of a partition that has numbered `given`; 0: it has no more. Partitions number
    their accounts without asking one another."""
    number = given * partitions + partition + 1
    return number if number <= MOST_ACCOUNTS else 0


def _output(effect: Effect) -> Output:
    if isinstance(effect, WriteTerms):
        return output(topics.LANES, effect.record, partition=effect.lane)
    return output(topics.COMMANDS, effect.record, effect.record.campaign)
