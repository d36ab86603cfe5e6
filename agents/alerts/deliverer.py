"""Sends mails and POSTs of alerts that are due, each destination by itself, and writes what came of it to `alerts`.

What is due is what the step's table says: `follow` after each record, and all of it again after each assignment. So
whoever has the partition next goes on. A process that dies between an attempt and its record makes the attempt again,
with the same id: at least once, and whoever gets it can tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, NamedTuple, get_args

from adapters.alerts.addresses import Allowed
from adapters.alerts.mail import Mail
from adapters.alerts.outcome import Outcome, again
from adapters.alerts.webhooks import Webhooks
from adapters.clock import now_ms
from agents.context import Context
from agents.runner import output, write
from pipeline.accounts.book import Account
from pipeline.alerts.deliveries import destinations_of, open_deliveries
from pipeline.alerts.signing import secret_of, signed
from pipeline.alerts.texts import mail_of, subject_of, webhook_of
from schemas import metrics, topics
from schemas.alerts import (
    ALERT_DELIVERIES,
    Alert,
    AlertAttempt,
    AlertDocument,
    AlertKind,
    AlertRelease,
    Channel,
    Delivery,
    Destination,
)
from schemas.wire import DecodeError

log = logging.getLogger(__name__)

ROUND_SECONDS: Final = 1.0
AT_ONCE: Final = 64
AT_ONCE_OF_ACCOUNT: Final = 4
"""So that the slow destinations of one account leave room for others."""
LOADED_AT_ONCE: Final = 200
RESULTS: Final = ("sent", "again", "failed", "replaced", "removed")


class _Batch(NamedTuple):
    account: str
    destination: Destination
    batch: str
    """"" of what is held."""


class Deliverer:
    """One per worker, for the accounts whose alerts it has."""

    def __init__(
        self,
        context: Context,
        whole: Callable[[], list[tuple[bytes, bytes]]],
        generation: Callable[[], int | None],
    ) -> None:
        """`whole`: keys and values of the step's table. `generation`: names the assignment of partitions that is
        being read, None while there is none."""
        self._context = context
        self._whole = whole
        self._generation = generation
        self._loaded: int | None = None
        self._loading: set[str] | None = None
        """Accounts that `follow` was called for while all were loaded."""
        self._open: dict[str, list[tuple[Alert, Delivery]]] = {}
        self._done: dict[_Batch, tuple[int, int]] = {}
        """Attempts and due time of what was begun and not read back yet."""
        self._busy: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._mail = Mail(context.settings.smtp)
        self._webhooks: Webhooks | None = None

    def follow(self, account: str, documents: Iterable[AlertDocument]) -> None:
        """Take what is stored of an account's alerts now."""
        self._keep(account, open_deliveries(documents))
        if self._loading is not None:
            self._loading.add(account)
        self._wake.set()

    async def run(self) -> None:
        """Deliver for as long as this task runs."""
        settings = self._context.settings
        allowed = Allowed(settings.webhooks.private_networks, this_machine=settings.is_local())
        self._webhooks = Webhooks(allowed)
        count_from_zero()
        try:
            while True:
                await self._round()
                self._wake.clear()
                # Not `wait_for`: until Python 3.12 it may swallow the cancellation of a worker that stops.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ROUND_SECONDS):
                        await self._wake.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await self._webhooks.close()

    async def _round(self) -> None:
        generation = self._generation()
        if generation is None:
            return
        if generation != self._loaded:
            await self._load()
            self._loaded = generation
        now = now_ms()
        for account, deliveries in list(self._open.items()):
            self._begin_due(account, deliveries, now)
        self._measure(now)

    async def _load(self) -> None:
        """All that is open in the partitions that are here. What was begun by this process goes on."""
        self._loading = set()
        documents: dict[str, list[AlertDocument]] = {}
        for index, (key, value) in enumerate(self._whole()):
            if index % LOADED_AT_ONCE == LOADED_AT_ONCE - 1:
                await asyncio.sleep(0)
            try:
                document = ALERT_DELIVERIES.decode(value)
            except DecodeError as error:
                log.error("an alert that is stored as %s cannot be read: %s", key.decode("ascii", "replace"), error)
                continue
            documents.setdefault(document.alert.account, []).append(document)
        followed, self._loading = self._loading, None
        for account in self._open.keys() - documents.keys() - followed:
            self._keep(account, [])
        for account in documents.keys() - followed:
            self._keep(account, open_deliveries(documents[account]))

    def _keep(self, account: str, deliveries: list[tuple[Alert, Delivery]]) -> None:
        if deliveries:
            self._open[account] = deliveries
        else:
            self._open.pop(account, None)
        batches = {_batch(account, delivery) for _, delivery in deliveries}
        for gone in [batch for batch in self._done if batch.account == account and batch not in batches]:
            del self._done[gone]

    def _begin_due(self, account: str, deliveries: list[tuple[Alert, Delivery]], now: int) -> None:
        batches: dict[_Batch, tuple[list[Alert], Delivery]] = {}
        for alert, delivery in deliveries:
            batches.setdefault(_batch(account, delivery), ([], delivery))[0].append(alert)
        for batch, (alerts, delivery) in batches.items():
            turn = delivery.attempts, delivery.due
            if delivery.due > now or self._done.get(batch) == turn:
                continue
            if delivery.state == "held":
                self._done[batch] = turn
                self._spawn(self._release(batch, now))
            elif self._busy[account] < AT_ONCE_OF_ACCOUNT and self._busy.total() < AT_ONCE:
                self._done[batch] = turn
                self._busy[account] += 1
                self._spawn(self._attempt(batch, sorted(alerts, key=lambda alert: (alert.at, alert.id)), delivery))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _release(self, batch: _Batch, now: int) -> None:
        channel, to = batch.destination
        record = AlertRelease(account=batch.account, channel=channel, to=to, at=now)
        await write(self._context.producer, [output(topics.ALERTS, record, batch.account)])

    async def _attempt(self, batch: _Batch, alerts: list[Alert], delivery: Delivery) -> None:
        try:
            outcome = await self._deliver(batch, alerts)
        finally:
            self._busy[batch.account] -= 1
            self._busy += Counter()  # without the accounts that are at 0
            self._wake.set()
        if outcome is not None and outcome.what != "sent":
            log.warning(
                "alert %s by %s: %s", batch.batch, delivery.channel, outcome.problem,
                extra={"account": batch.account},
            )  # fmt: skip
        channel, to = batch.destination
        record = AlertAttempt(
            account=batch.account,
            channel=channel,
            to=to,
            batch=batch.batch,
            attempt=delivery.attempts,
            at=now_ms(),
            outcome="removed" if outcome is None else outcome.what,
            problem="" if outcome is None else outcome.problem,
        )
        await write(self._context.producer, [output(topics.ALERTS, record, batch.account)])

    async def _deliver(self, batch: _Batch, alerts: list[Alert]) -> Outcome | None:
        """What came of an attempt; None where the account no longer names the destination."""
        account = self._context.accounts.account(batch.account)
        if account is None or batch.destination not in destinations_of(account.spec.alerts):
            return None
        try:
            if batch.destination.channel == "email":
                text = mail_of(alerts)
                return await self._mail.send(batch.destination.to, subject_of(alerts), text, batch.batch)
            return await self._post(account, batch, alerts)
        except Exception as error:
            log.exception("delivering alert %s failed", batch.batch)
            return again(f"{type(error).__name__}: {error}")

    async def _post(self, account: Account, batch: _Batch, alerts: list[Alert]) -> Outcome:
        assert self._webhooks is not None, "it runs"
        key = self._context.settings.token_key.get_secret_value().encode()
        secret = secret_of(key, account.name, account.spec.alerts.webhook_secret)
        body = webhook_of(alerts)
        return await self._webhooks.post(batch.destination.to, body, signed(secret, batch.batch, now_ms(), body))

    def _measure(self, now: int) -> None:
        oldest: dict[Channel, int] = dict.fromkeys(get_args(Channel), now)
        for deliveries in self._open.values():
            for _, item in deliveries:
                if item.state == "waiting":
                    oldest[item.channel] = min(oldest[item.channel], item.released)
        for channel, since in oldest.items():
            metrics.ALERT_WAITING.labels(channel).set(max(0, now - since) / 1000)


def count_from_zero() -> None:
    """Export the counters before there is anything to count: an alert must see the first failure."""
    for about in get_args(AlertKind):
        metrics.ALERTS.labels(about)
    for channel in get_args(Channel):
        for result in RESULTS:
            metrics.ALERT_DELIVERIES.labels(channel, result)


def _batch(account: str, delivery: Delivery) -> _Batch:
    return _Batch(account, delivery.destination, delivery.batch)
