"""Attribution: finds the message that a text or an opt-out link belongs to, and writes its event for the figures.

Runs beside the writer and reads only ClickHouse, so reading topics again changes nothing. A text is decided once all
statuses that were written until a while after it are in ClickHouse: ClickHouse being late makes the event late, and
loses none. What was decided is noted after its event is acknowledged; events are sets, so that whoever
ends in between decides the same again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, get_args

from adapters.clickhouse import Store
from adapters.clickhouse import attribution as store_of
from adapters.clickhouse.attribution import Decided
from adapters.clock import now_ms
from agents.context import Context
from agents.rounds import in_rounds
from agents.runner import output, write
from pipeline.accounts.book import Accounts, Derived
from pipeline.feedback.attribution import EARLY_MS, WINDOW_MS, Event, Found, Sent, Waiting, message_of, statuses
from pipeline.feedback.inbound_sender import sender_key
from schemas import metrics, topics

log = logging.getLogger(__name__)

SECONDS: Final = 3.0
AT_ONCE: Final = 5000
MARGIN_MS: Final = 3_000
"""Statuses of what was sent before a text are written at most this long after it, but for a worker's death."""
CERTAIN_MS: Final = 3_600_000
"""From this age on a text without a message has none."""
AGAIN_MS: Final = 60_000
"""How long one that has none yet is left alone."""
LOOK_BACK_MS: Final = WINDOW_MS + CERTAIN_MS


class Attribution:
    """One round every few seconds. `current_until()`: in ms, all statuses written until then are in ClickHouse; None
    where nobody knows."""

    def __init__(self, context: Context, store: Store, current_until: Callable[[], int | None]) -> None:
        self._context = context
        self._store = store
        self._current_until = current_until
        self._senders = Derived(context.accounts, senders_of)
        self._later: dict[tuple[int, str], int] = {}
        """When (ms) to look again for those without a message."""

    async def run(self) -> None:
        await in_rounds("attribution", SECONDS, lambda: self.round(now_ms()))

    async def round(self, now: int) -> int:
        """Decide what can be decided; how many were."""
        current = self._current_until()
        if current is None:
            return 0
        since, until = now - LOOK_BACK_MS, current - MARGIN_MS
        rows = await asyncio.to_thread(store_of.waiting, self._store, since, until, AT_ONCE)
        asked = [_waiting(row) for row in rows]
        due = [item for item in asked if self._later.get((item.number, item.item), 0) <= now]
        attributions = await asyncio.to_thread(self._found, due, now) if due else []
        certain = [item for item in attributions if item.sent is not None or now - item.waiting.at >= CERTAIN_MS]
        self._put_off(attributions, certain, now, {(item.number, item.item) for item in asked})
        outputs = [output(topics.STATUSES, chunk, chunk.campaign) for chunk in statuses(certain)]
        await write(self._context.producer, outputs, "attribution")
        await asyncio.to_thread(store_of.insert_attributed, self._store, [_decided(item) for item in certain])
        for item in certain:
            metrics.ATTRIBUTED.labels(item.waiting.event if item.sent is not None else "none").inc()
        return len(certain)

    def _put_off(
        self, attributions: Sequence[Found], certain: Sequence[Found], now: int, asked: set[tuple[int, str]]
    ) -> None:
        self._later = {key: at for key, at in self._later.items() if key in asked}
        done = {(attribution.waiting.number, attribution.waiting.item) for attribution in certain}
        for attribution in attributions:
            key = (attribution.waiting.number, attribution.waiting.item)
            if key not in done:
                self._later[key] = now + AGAIN_MS

    def _found(self, asked: Sequence[Waiting], now: int) -> list[Found]:
        sent: dict[int, list[tuple[str, Sent]]] = {}
        for sender, campaigns, numbers in self._questions(asked, now):
            for row in store_of.sent_to(self._store, campaigns, numbers):
                sent.setdefault(row.number, []).append((sender, Sent(row.campaign, row.message, row.ordinal, row.at)))
        return [
            Found(
                waiting,
                message_of(
                    waiting,
                    [
                        sent_message
                        for sender, sent_message in sent.get(waiting.number, [])
                        if sender == _key(waiting)
                    ],
                ),
            )
            for waiting in asked
        ]

    def _questions(self, asked: Sequence[Waiting], now: int) -> list[tuple[str, list[str], list[int]]]:
        """(whose messages, of which campaigns, to which numbers) must be looked at."""
        numbers: dict[str, set[int]] = {}
        for waiting in asked:
            numbers.setdefault(_key(waiting), set()).add(waiting.number)
        questions = []
        for key, people in numbers.items():
            campaigns = [key.removeprefix(_LINK)] if key.startswith(_LINK) else self._campaigns(key, now)
            questions.append((key, campaigns, sorted(people)))
        return questions

    def _campaigns(self, key: str, now: int) -> list[str]:
        since = now - LOOK_BACK_MS - WINDOW_MS - EARLY_MS
        names = self._senders().get(key, ())
        return [
            campaign
            for account, sender in names
            for campaign in store_of.campaigns_of(self._store, account, sender, since)
        ]


_LINK: Final = "link:"


def senders_of(accounts: Accounts) -> Mapping[str, list[tuple[str, str]]]:
    """(account, name) of the senders by `sender_key`."""
    senders: dict[str, list[tuple[str, str]]] = {}
    for sender in accounts.all_senders():
        senders.setdefault(sender_key(sender.number), []).append((sender.account, sender.sender))
    return senders


def _key(waiting: Waiting) -> str:
    return f"{_LINK}{waiting.campaign}" if waiting.campaign else sender_key(waiting.sender)


def _waiting(row: store_of.WaitingRow) -> Waiting:
    event: Event = next(name for name in get_args(Event) if name == row.event)
    return Waiting(row.number, row.item, row.sender, row.campaign, row.at, event)


def _decided(attribution: Found) -> Decided:
    sent, asked = attribution.sent, attribution.waiting
    where = ("", 0, 0) if sent is None else (sent.campaign, sent.message, sent.ordinal)
    return Decided(asked.number, asked.item, asked.event, *where, asked.at)
