"""Everything that the routes share: settings, producer, views and figures. One instance per process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fastapi import Request
from pydantic import ValidationError

from adapters.clock import now_ms
from adapters.health import probes
from adapters.health import server as health_server
from adapters.health.state import Health, Probe
from adapters.kafka.accounts import AccountsView
from adapters.kafka.alerts import AlertsView
from adapters.kafka.ledger import LedgerView
from adapters.kafka.producer import Producer, end_process
from adapters.kafka.views import CampaignView
from adapters.settings import API_METRICS, Settings
from adapters.vitals import announce, watch_event_loop
from api.eligibility_state import EligibilityState
from api.figures import FiguresService
from api.keys import Keys
from api.terms import Installed
from api.web.allowance import Allowance
from api.web.caller import caller
from api.web.errors import ApiError, field_errors
from api.web.sessions import Sessions
from api.web.streams import Streams
from pipeline.accounts.book import Accounts
from pipeline.accounts.holding import WaitingCampaign, World
from pipeline.ledger.book import Ledger
from pipeline.timing.zones import read_rules
from schemas import metrics
from schemas.campaign import CampaignDocument, CampaignSpec, DraftSpec

log = logging.getLogger(__name__)
Spec = TypeVar("Spec", bound=DraftSpec)

VIEW_WAIT = 5.0
"""Seconds that a request waits for the campaigns to be read, right after the start."""


@dataclass(frozen=True)
class Services:
    """Everything a route may need."""

    settings: Settings
    producer: Producer
    campaigns: CampaignView
    accounts: Accounts
    accounts_view: AccountsView
    ledger: Ledger
    ledger_view: LedgerView
    alerts: AlertsView
    figures: FiguresService
    kafka: Probe
    health: Health
    eligibility: EligibilityState
    keys: Keys
    sessions: Sessions
    allowance: Allowance
    streams: Streams
    loading: asyncio.Task[None]
    """Is done when campaigns and accounts have been read from Kafka."""
    unlocking: asyncio.Task[None]
    """Is done when the keys have been read from Kafka, and there is one."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is to stop, so that event streams end."""

    def pays_beforehand(self, account: str) -> bool:
        """Whether an account's campaigns are paid from its balance."""
        known = self.accounts.account(account)
        return known is not None and known.is_prepaid

    @property
    def installed(self) -> Installed:
        """The settings and the accounts."""
        return Installed(self.settings, self.accounts)

    def world(self, waiting: Sequence[WaitingCampaign] = ()) -> World:
        """What a change of an account must fit; `waiting` are its campaigns."""
        world = self.accounts.world(self.settings.kafka.lanes, self.settings.simulated(), waiting)
        is_local = not self.settings.ingress.is_reached_from_outside()
        return replace(world, mails=self.settings.smtp.is_on, is_local=is_local)

    @property
    def loaded(self) -> bool:
        """Whether the campaigns have been read from Kafka."""
        return self.loading.done()

    def waiting_for(self) -> str:
        """A sentence that says why the campaigns are not known, or nothing can be written."""
        if self.kafka.text:
            return f"{self.kafka.text}; is the stack up? `longwave up`, `longwave status`"
        return "campaigns and accounts are still being read from Kafka; try again in a moment"

    def check_kafka(self, undone: str = "changed") -> None:
        """Refuse a change while Kafka does not answer; `undone` is what did not happen.

        Raises:
            ApiError: 503.
        """
        if self.kafka.text:
            raise ApiError(503, f"{self.waiting_for()}; nothing was {undone}")

    async def is_unlocked(self) -> bool:
        """Whether keys can be looked at; waits for a moment, right after the start."""
        if not self.unlocking.done():
            await asyncio.wait({self.unlocking}, timeout=VIEW_WAIT)
        return self.unlocking.done()

    async def ready(self) -> None:
        """Wait until the campaigns were read from Kafka.

        Raises:
            ApiError: 503, with what is waited for.
        """
        try:
            async with asyncio.timeout(VIEW_WAIT):
                await asyncio.shield(self.loading)
        except TimeoutError as error:
            raise ApiError(503, self.waiting_for()) from error

    async def document(self, campaign: str) -> CampaignDocument:
        """The newest document, of a campaign that the caller's key sees.

        Raises:
            ApiError: 404 there is no such campaign, 503 the campaigns are not read yet.
        """
        await self.ready()
        document = self.campaigns.get(campaign)
        if document is None or not caller().sees(document.account):
            raise ApiError(404, f"no campaign {campaign!r}; see `longwave campaign list`")
        return document

    def visible(self) -> list[CampaignDocument]:
        """The campaigns that the caller's key sees, newest first."""
        who = caller()
        return [document for document in self.campaigns.all() if who.sees(document.account)]


def definition_of(document: CampaignDocument) -> CampaignSpec:
    """The validated spec of a stored campaign that is, or was, launched.

    Raises:
        ApiError: 409 this version cannot read it; it is still listed, and can be edited or deleted.
    """
    return _readable(document, document.parsed)


def draft_of(document: CampaignDocument) -> DraftSpec:
    """The validated spec of a stored campaign, which may be incomplete.

    Raises:
        ApiError: 409, as `definition_of`.
    """
    return _readable(document, document.draft)


def _readable(document: CampaignDocument, parsed: Callable[[], Spec]) -> Spec:
    try:
        return parsed()
    except ValidationError as error:
        error_text = "; ".join(
            f"{field_error['field']}: {field_error['error']}" for field_error in field_errors(error)
        )
        raise ApiError(
            409,
            f"campaign {document.id}: its definition cannot be read ({error_text}); edit it as a whole, or delete it",
        ) from error


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Start all services and stop them at the end; works without Kafka and ClickHouse.

    Raises:
        LongwaveError: the port of the metrics is taken.
    """
    announce("api")
    producer = Producer(settings.kafka, end_process)
    campaigns = CampaignView(settings.kafka)
    accounts = Accounts()
    accounts_view = AccountsView(settings.kafka, accounts.take)
    ledger = Ledger()
    ledger_view = LedgerView(settings.kafka, ledger.take)
    alerts = AlertsView(settings.kafka)
    metrics.LANES.set_function(lambda: float(len(accounts.carrying())))  # exported here too, in case no worker runs
    health = Health("api")
    kafka = health.probe("kafka", probes.kafka(settings.kafka))
    health.probe("clickhouse", probes.clickhouse(settings.clickhouse.reading()))
    figures = FiguresService(settings, campaigns)
    eligibility = EligibilityState(settings)
    keys = Keys(settings, producer)
    followed = (campaigns, accounts_view, ledger_view, alerts)
    for view in followed:
        await view.start()
    await keys.start()
    await eligibility.start()
    await figures.start()
    loading = asyncio.create_task(_read(campaigns, accounts_view, ledger_view), name="campaigns-loading")
    health.look(
        "campaigns", lambda: "" if loading.done() else "campaigns and accounts are still being read from Kafka"
    )
    health.look("keys", lambda: "" if unlocking.done() else "the keys of the API are still being read from Kafka")
    unlocking = asyncio.create_task(keys.ready(), name="keys-loading")
    unlocking.add_done_callback(_end_without_keys)
    health.start()
    health_server.serve(health, settings.metrics_host, settings.metrics_port + API_METRICS, settings.metrics_hosts)
    following = asyncio.create_task(health.follow_loop(), name="health")
    # In the background, so that the first forecast is as quick as the others.
    watching = asyncio.create_task(watch_event_loop(), name="event-loop-watch")
    reading = asyncio.create_task(asyncio.to_thread(read_rules, now_ms()), name="rules-reading")
    try:
        sessions, allowance = Sessions(settings, keys), Allowance(settings.api.requests_per_second)
        yield Services(
            settings,
            producer,
            campaigns,
            accounts,
            accounts_view,
            ledger,
            ledger_view,
            alerts,
            figures,
            kafka,
            health,
            eligibility,
            keys,
            sessions,
            allowance,
            Streams(settings.api),
            loading,
            unlocking,
        )
    finally:
        health.stop()
        following.cancel()
        watching.cancel()
        loading.cancel()
        unlocking.cancel()
        reading.cancel()
        await figures.stop()
        await eligibility.stop()
        for view in followed:
            await view.stop()
        await keys.stop()
        await producer.close(timeout=1.0)


async def _read(campaigns: CampaignView, accounts: AccountsView, ledger: LedgerView) -> None:
    await campaigns.ready()
    await accounts.ready()
    await ledger.ready()


def _end_without_keys(unlocking: asyncio.Task[None]) -> None:
    """Without the first key nobody gets in: the supervisor starts the process again, the log says why it ended."""
    if not unlocking.cancelled() and unlocking.exception() is not None:
        log.critical("the first key could not be made: %s", unlocking.exception())
        os.kill(os.getpid(), signal.SIGTERM)


def services(request: Request) -> Services:
    """Dependency of the routes."""
    shared: Services = request.app.state.services
    return shared
