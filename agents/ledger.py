"""The ledger: top-ups, reservations and spending in; each account's facts and the answers to campaigns out."""

from __future__ import annotations

from agents.context import Context
from agents.faust_port import Event
from agents.guards.durable import AckedTable
from agents.runner import Emissions, Output, output
from agents.story import log_ledger
from pipeline.ledger.book import AccountBook
from pipeline.ledger.commands import RESULTS, Decision, LowBalance, apply
from schemas import metrics, topics
from schemas.accounts import in_credits, micro
from schemas.alerts import Alert, alert_id
from schemas.campaign import Funding
from schemas.ledger import LEDGER, Charge, LedgerCommand, charge_key, key_of
from schemas.wire import encode


class LedgerStep:
    """The step. Its table's changelog is the topic `ledger` itself; all that is kept of an account is in one
    partition.

    The sums of the accounts that came are kept in memory. They hold only as long as the partitions stay where they
    are, and as long as what they sum up is what the table was given.
    """

    def __init__(self, context: Context, table: AckedTable) -> None:
        self._context = context
        self._table = table
        self._books: dict[str, AccountBook] = {}
        self._generation = -1
        for result in RESULTS:
            metrics.LEDGER_COMMANDS.labels(result)

    def handle(self, record: LedgerCommand, event: Event) -> Emissions:
        account = record.account
        book = self._book(account, event)
        try:
            decision = apply(book, record, self._threshold(account))
            keys = self._store(decision)
        except Exception:
            self._books.pop(account, None)
            raise
        metrics.LEDGER_COMMANDS.labels(decision.result).inc()
        log_ledger(record, decision)
        return Emissions(_outputs(decision, record.at), [lambda: self._table.settled(keys)])

    def _store(self, decision: Decision) -> list[bytes]:
        keys = [key_of(record).encode() for record in decision.writes]
        for key, record in zip(keys, decision.writes, strict=True):
            self._table[key] = encode(record)
        return keys

    def _book(self, account: str, event: Event) -> AccountBook:
        generation = event.app.consumer_generation_id
        if generation != self._generation:
            self._books.clear()
            self._generation = generation
        if account not in self._books:
            stored = [value for _, value in self._table.starting_with(charge_key(account, "").encode())]
            watch = self._table.get(account.encode())
            stored += [] if watch is None else [watch]
            self._books[account] = AccountBook(map(LEDGER.decode, stored))
        return self._books[account]

    def _threshold(self, name: str) -> int | None:
        account = self._context.accounts.account(name)
        if account is None or not account.is_prepaid or account.spec.low_balance is None:
            return None
        return micro(account.spec.low_balance)


def _outputs(decision: Decision, at: int) -> list[Output]:
    outputs = [output(topics.COMMANDS, answer_of(charge, at), charge.campaign) for charge in decision.answers]
    if decision.low is not None:
        outputs.append(output(topics.ALERTS, alert_of(decision.low), decision.low.account))
    return outputs


def alert_of(low: LowBalance) -> Alert:
    """What an account's people are told of their balance. The same crossing gives the same alert."""
    left, threshold = in_credits(low.available), in_credits(low.threshold)
    text = (
        f"The balance of {low.account} is low: {left} credits are available, and you asked to be told below "
        f"{threshold}. Campaigns that are under way are paid for. A launch that needs more is refused, and a "
        "scheduled campaign that needs more waits: top it up"
    )
    return Alert(
        id=alert_id("balance_low", low.account, low.crossing),
        account=low.account,
        about="balance_low",
        at=low.at,
        text=text,
    )


def answer_of(charge: Charge, at: int) -> Funding:
    """What a campaign is told of its reservation."""
    return Funding(
        campaign=charge.campaign,
        account=charge.account,
        revision=charge.launch,
        state=charge.state,
        missing=charge.missing,
        at=at,
    )
