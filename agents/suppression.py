"""Suppression: failures that say that a number cannot be reached become records of topic `unreachable`.

Runs beside the writer and reads only ClickHouse, so that nothing of it is on the way of a message. A failure counts
once its lane's own word is there that it submitted the recipient: till then it is looked at again, for
`PATIENCE_MS`. What was said already is no news (`UnreachableNumbers.is_news`), so after a restart the last days are
read again and nothing is written twice, and a number that an operator cleared stays cleared.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from adapters.clickhouse import Store
from adapters.clickhouse.unreachable import Failures, failures_since, submitted_numbers
from adapters.clock import now_ms
from adapters.errors import StoreRefused
from agents.context import Context
from agents.inbound import consent_output
from agents.rounds import in_rounds
from agents.runner import Output, output, write
from pipeline.eligibility.unreachable import DAY
from schemas import metrics, topics
from schemas.feedback import Consent, Unreachable
from schemas.reasons import UNREACHABLE_REASONS, Reason

log = logging.getLogger(__name__)

SECONDS: Final = 2.0
LOOK_BACK_MS: Final = 8 * DAY
"""Read again at the start: as long as ClickHouse keeps failures."""
OVERLAP_MS: Final = 60_000
"""Read again each time: what writers insert side by side does not become visible in order."""
PATIENCE_MS: Final = 600_000
"""How long a failure may wait for its lane's word."""
AT_ONCE: Final = 10_000
"""Recipients asked for in one statement."""


_Waiting = tuple[str, int, int]
"""Reason, when it failed, until when it is waited for."""


class Suppression:
    """One round every few seconds."""

    def __init__(self, context: Context, store: Store) -> None:
        self._context = context
        self._store = store
        self._since = now_ms() - LOOK_BACK_MS
        self._seen: dict[tuple[str, int, str, int, int, int], int] = {}
        """Rows that were read, by what tells them apart → when they were stored."""
        self._waiting: dict[tuple[str, int], dict[int, _Waiting]] = defaultdict(dict)
        """(campaign, message) → ordinal → why."""

    async def run(self) -> None:
        await in_rounds("the suppression of unreachable numbers", SECONDS, lambda: self.round(now_ms()))

    async def round(self, now: int) -> int:
        """Read what is new, and write what follows; how many numbers."""
        while await self._read(now):
            pass
        written = 0
        for key in list(self._waiting):
            try:
                written += await self._decide(key, now)
            except StoreRefused as error:
                log.error("failures of campaign %s message %s are left out: %s", *key, error)
                del self._waiting[key]
        return written

    async def _read(self, now: int) -> bool:
        """Take the next page in; whether there may be another."""
        since = self._since
        rows = await asyncio.to_thread(failures_since, self._store, since, UNREACHABLE_REASONS)
        for row in rows:
            self._take(row, now)
        newest = max((row.inserted for row in rows), default=since)
        settled = min(newest, now - OVERLAP_MS)
        self._since = max(since, settled)
        self._seen = {row: stored for row, stored in self._seen.items() if stored >= self._since}
        return self._since > since

    def _take(self, row: Failures, now: int) -> None:
        name = (row.campaign, row.message, row.reason, row.at, row.ordinals[0], len(row.ordinals))
        if name in self._seen:
            return
        self._seen[name] = row.inserted
        waiting = self._waiting[row.campaign, row.message]
        until = max(now, row.inserted) + PATIENCE_MS
        for ordinal in row.ordinals:
            waiting[ordinal] = (row.reason, row.at, until)

    async def _decide(self, key: tuple[str, int], now: int) -> int:
        waiting = self._waiting[key]
        ordinals = list(waiting)
        written = 0
        for first in range(0, len(ordinals), AT_ONCE):
            part = ordinals[first : first + AT_ONCE]
            numbers = await asyncio.to_thread(submitted_numbers, self._store, *key, part)
            written += await self._write(key, numbers, waiting)
            for ordinal in part:
                if ordinal in numbers or waiting[ordinal][2] < now:
                    if ordinal not in numbers:
                        metrics.RECEIPTS_EXCLUDED.labels(Reason.NEVER_SUBMITTED).inc()
                    del waiting[ordinal]
        if not waiting:
            del self._waiting[key]
        return written

    async def _write(
        self,
        key: tuple[str, int],
        numbers: Mapping[int, int],
        waiting: Mapping[int, _Waiting],
    ) -> int:
        account = self._account_of(key[0])
        records = [
            Unreachable(
                number=number, reason=waiting[ordinal][0], at=waiting[ordinal][1], account=account,
                campaign=key[0], message=key[1],
            )
            for ordinal, number in numbers.items()
        ]  # fmt: skip
        news = [record for record in records if self._is_news(record)]
        outputs: list[Output] = []
        for record in news:
            if record.reason == Reason.OPTED_OUT_AT_CARRIER:
                hold = hold_of(record)
                outputs.append(consent_output(hold))
            outputs.append(output(topics.UNREACHABLE, record, str(record.number)))
        await write(self._context.producer, outputs, "suppression")
        for record in news:
            self._context.unreachable.apply(record)
            metrics.UNREACHABLE.labels(record.reason).inc()
        return len(news)

    def _is_news(self, record: Unreachable) -> bool:
        """Of who is opted out of every account nothing is noted: nothing goes to them, and of who was erased nothing
        may come back."""
        is_out = self._context.blocked("", [record.number]) == [Reason.OPTED_OUT]
        return not is_out and self._context.unreachable.is_news(record.number, record.reason, record.at)

    def _account_of(self, campaign: str) -> str:
        document = self._context.campaigns.get(campaign)
        account = "" if document is None else document.account
        return account if isinstance(account, str) else ""


def hold_of(record: Unreachable) -> Consent:
    """Who is opted out at the carrier is held until an operator has decided: the carrier may know of a STOP that we
    never got."""
    return Consent(
        account=record.account,
        number=record.number,
        state="held",
        at=record.at,
        source="carrier",
        evidence=f"campaign {record.campaign}: the carrier says that this number opted out",
        rule="opted out at the carrier",
        campaign=record.campaign,
    )
