"""Everything that the routes share: settings, producer, views and figures. One instance per process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import Request
from pydantic import ValidationError

from adapters.clock import now_ms
from adapters.health import probes
from adapters.health.state import Health, Probe
from adapters.kafka.producer import Producer, end_process
from adapters.kafka.views import CampaignView
from adapters.settings import Settings
from adapters.vitals import announce, watch_event_loop
from api.eligibility_state import EligibilityState
from api.figures import FiguresService
from api.web.errors import ApiError, field_errors
from pipeline.timing.zones import read_rules
from schemas import metrics
from schemas.campaign import CampaignDocument, CampaignSpec

VIEW_WAIT = 5.0
"""Seconds that a request waits for the campaigns to be read, right after the start."""


@dataclass(frozen=True)
class Services:
    """Everything a route may need."""

    settings: Settings
    producer: Producer
    campaigns: CampaignView
    figures: FiguresService
    kafka: Probe
    health: Health
    eligibility: EligibilityState
    loading: asyncio.Task[None]
    """Is done when the campaigns have been read from Kafka."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is to stop, so that event streams end."""

    @property
    def loaded(self) -> bool:
        """Whether the campaigns have been read from Kafka."""
        return self.loading.done()

    def waiting_for(self) -> str:
        """A sentence that says why the campaigns are not known, or nothing can be written."""
        if self.kafka.text:
            return f"{self.kafka.text}; is the stack up? `longwave up`, `longwave status`"
        return "the campaigns are still being read from Kafka; try again in a moment"

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
        """The newest document.

        Raises:
            ApiError: 404 there is no such campaign, 503 the campaigns are not read yet.
        """
        await self.ready()
        document = self.campaigns.get(campaign)
        if document is None:
            raise ApiError(404, f"no campaign {campaign!r}; see `longwave campaign list`")
        return document


def definition_of(document: CampaignDocument) -> CampaignSpec:
    """The validated spec of a stored campaign.

    Raises:
        ApiError: 409 this version cannot read it; it is still listed, and can be edited or deleted.
    """
    try:
        return document.parsed()
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
    """Start all services and stop them at the end; works without Kafka and ClickHouse."""
    announce("api")
    producer = Producer(settings.kafka, end_process)
    metrics.LANES.set(len(settings.sender_lanes))  # exported here too, in case no worker runs
    campaigns = CampaignView(settings.kafka)
    health = Health("api")
    kafka = health.probe("kafka", probes.kafka(settings.kafka))
    health.probe("clickhouse", probes.clickhouse(settings.clickhouse.reading()))
    figures = FiguresService(settings, campaigns)
    eligibility = EligibilityState(settings)
    await campaigns.start()
    await eligibility.start()
    await figures.start()
    loading = asyncio.create_task(campaigns.ready(), name="campaigns-loading")
    health.look("campaigns", lambda: "" if loading.done() else "the campaigns are still being read from Kafka")
    health.start()
    following = asyncio.create_task(health.follow_loop(), name="health")
    # In the background, so that the first forecast is as quick as the others.
    watching = asyncio.create_task(watch_event_loop(), name="event-loop-watch")
    reading = asyncio.create_task(asyncio.to_thread(read_rules, now_ms()), name="rules-reading")
    try:
        yield Services(settings, producer, campaigns, figures, kafka, health, eligibility, loading)
    finally:
        health.stop()
        following.cancel()
        watching.cancel()
        loading.cancel()
        reading.cancel()
        await figures.stop()
        await eligibility.stop()
        await campaigns.stop()
        await producer.close(timeout=1.0)


def services(request: Request) -> Services:
    """Dependency of the routes."""
    shared: Services = request.app.state.services
    return shared
