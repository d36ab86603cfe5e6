"""Reports to the ledger what campaigns and replies have spent, as the figures say. Runs with the settlement.

A report has all that a campaign has spent so far, so repeating it changes nothing. The reports that a process did not
send before it ended are made up for by the next one: it compares the ledger with the figures once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from adapters.clickhouse import Store
from adapters.clickhouse.figures import message_sets, versions
from adapters.clickhouse.measured import measured_spend
from adapters.clickhouse.replied import reply_campaigns
from adapters.clock import now_ms
from agents.context import Context
from agents.outbox import Outbox
from agents.runner import output
from pipeline.insight.accounting import figures
from pipeline.ledger.book import Ledger
from pipeline.ledger.sums import total
from schemas import metrics, topics
from schemas.accounts import MICRO
from schemas.campaign import OVER, SENT_OUT, CampaignDocument
from schemas.figures import Figures
from schemas.ledger import MOST_MICRO, Billing, Line, Spent

SECONDS: Final = 10.0
"""Seconds between two reports about a campaign under way: what it spends is reserved, so nobody waits for them."""
REPLY_ROUNDS: Final = 10
"""Rounds between two looks for replies that were sent."""
REPLIES_AT_ONCE: Final = 10
"""Senders whose replies are measured in a round, which campaigns under way wait for."""
_MARGIN_MS: Final = 300_000
"""Replies are looked for from so long before the last look on: an insert may become visible late."""


class Spending:
    """What this process has reported, and what it has not."""

    def __init__(self, context: Context, outbox: Outbox, store: Store) -> None:
        self._context = context
        self._outbox = outbox
        self._store = store
        self._reported: dict[str, Spent] = {}
        self._compared = False
        self._rounds = 0
        self._looked_at = 0
        self._replies: dict[str, str] = {}
        """Campaigns of replies to measure, with their accounts."""
        self._reply_versions: dict[str, int] = {}

    def report(
        self,
        document: CampaignDocument,
        measured: Sequence[Figures],
        stage: Literal["sent", "finished"] | None,
        now: int,
    ) -> None:
        """Report what a campaign has spent, where that is new; with a `stage` nothing of it is to be submitted."""
        billing: Billing = "invoice" if document.bound is None else document.bound.billing
        is_over = stage is not None
        spent = Spent(
            account=document.account,
            campaign=document.id,
            billing=billing,
            lines=lines_of(measured),
            rest=min(MOST_MICRO, sum(item.undecided for item in measured)) if is_over else None,
            rest_segments=sum(item.undecided_segments for item in measured) if is_over else None,
            at=now,
        )
        known = self._reported.get(spent.campaign)
        # One under way is reported again in a moment, one at its end is not.
        is_pressing = is_over or document.status in OVER
        if known is None or is_pressing or now >= known.at + SECONDS * 1000:
            self._send(spent)

    def _send(self, spent: Spent) -> None:
        known = self._reported.get(spent.campaign)
        before = ([], None, None) if known is None else (known.lines, known.rest, known.rest_segments)
        if before == (spent.lines, spent.rest, spent.rest_segments):
            return
        self._reported[spent.campaign] = spent
        self._outbox.send(output(topics.LEDGER_COMMANDS, spent, spent.account))

    async def unreported(self) -> list[str]:
        """Campaigns at their end whose spending the ledger may not know in full; from the second call on, those that
        still have something reserved."""
        late = {charge.campaign for charge in self._context.ledger.held()}
        if not self._compared:
            spend = await asyncio.to_thread(measured_spend, self._store)
            late |= {campaign for campaign, amount in spend.items() if self._is_behind(campaign, amount)}
            self._compared = True
        return sorted(campaign for campaign in late if campaign not in self._reported and self._is_over(campaign))

    def _is_behind(self, campaign: str, spend: int) -> bool:
        document = self._context.campaigns.get(campaign)
        if document is None:
            return False
        charge = self._context.ledger.charge(document.account, campaign)
        return (0 if charge is None else total(charge.lines)) != spend

    def _is_over(self, campaign: str) -> bool:
        document = self._context.campaigns.get(campaign)
        return document is not None and document.status in OVER | SENT_OUT

    async def report_replies(self) -> None:
        """Look for replies that were sent, and report what those of some senders have cost."""
        self._rounds += 1
        if self._rounds % REPLY_ROUNDS == 1:
            began = now_ms()
            sent = await asyncio.to_thread(reply_campaigns, self._store, max(0, self._looked_at - _MARGIN_MS))
            self._looked_at = began
            known = await asyncio.to_thread(versions, self._store, [*sent]) if sent else {}
            self._replies |= {
                campaign: account
                for campaign, account in sent.items()
                if known.get(campaign) != self._reply_versions.get(campaign)
            }
            self._reply_versions |= known
        for campaign in list(self._replies)[:REPLIES_AT_ONCE]:
            await self._report_replies_of(campaign, self._replies.pop(campaign))

    async def _report_replies_of(self, campaign: str, account: str) -> None:
        sets = await asyncio.to_thread(message_sets, self._store, campaign)
        known = self._context.accounts.account(account)
        billing: Billing = "invoice" if known is None else known.spec.billing
        lines = lines_of([figures(item) for item in sets])
        if lines:
            self._send(Spent(account=account, campaign=campaign, billing=billing, lines=lines, rest=0, at=now_ms()))


def export(ledger: Ledger, now: int) -> None:
    """Set the gauges of all accounts' money."""
    books = [ledger.book(account) for account in ledger.accounts()]
    metrics.LEDGER_CREDITS.labels("available").set(sum(book.available for book in books) / MICRO)
    metrics.LEDGER_CREDITS.labels("reserved").set(sum(book.reserved for book in books) / MICRO)
    waiting = ledger.waiting()
    metrics.LEDGER_WAITING.set(len(waiting))
    first = min((charge.asked_at for charge in waiting), default=now)
    metrics.LEDGER_WAITING_SECONDS.set(max(0, now - first) / 1000)


def lines_of(measured: Iterable[Figures]) -> list[Line]:
    """What the messages of a campaign have spent, by price."""
    lines: defaultdict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for item in measured:
        for price, messages, segments in item.lines:
            lines[price] = lines[price][0] + messages, lines[price][1] + segments
    return [(price, *line) for price, line in sorted(lines.items())]
