"""The ingress process: the application on uvicorn, with its producer and its view of the campaigns."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Final

import uvloop

from adapters.doors import server as doors
from adapters.health import probes
from adapters.health import server as health_server
from adapters.health.state import Health
from adapters.kafka.accounts import AccountsView
from adapters.kafka.producer import Producer, end_process
from adapters.kafka.views import CampaignView
from adapters.settings import INGRESS_METRICS, Settings
from adapters.vitals import announce, watch_event_loop
from api.ingress.app import Ingress, Known
from pipeline.accounts.book import Accounts

KEEP_ALIVE_SECONDS: Final = 75
"""How long a connection stays open between two requests; aggregators send many on one."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; blocking, in a process of its own. Kafka may come up later: until the
    campaigns are read, short links answer 503, and /readyz says why.

    Raises:
        LongwaveError: a port is taken, or the certificate cannot be used.
    """
    listener = doors.listening_socket("ingress", settings.ingress)
    uvloop.run(_serve(settings, listener))


class _Server(doors.Server):
    """uvicorn raises the signal that stopped it again, which would end the process before `_serve` has closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


async def _serve(settings: Settings, listener: socket.socket) -> None:
    announce("ingress")
    producer, campaigns = Producer(settings.kafka, end_process), CampaignView(settings.kafka)
    book = Accounts()
    accounts = AccountsView(settings.kafka, book.take)
    health = Health("ingress")
    health.probe("kafka", probes.kafka(settings.kafka))
    app = Ingress(settings, producer, Known(campaigns, book), health)
    await campaigns.start()
    await accounts.start()
    health.start()
    metrics_port = settings.metrics_port + INGRESS_METRICS
    health_server.serve(health, settings.metrics_host, metrics_port, settings.metrics_hosts)
    following = asyncio.create_task(health.follow_loop(), name="health")
    watching = asyncio.create_task(watch_event_loop(), name="event-loop-watch")
    becoming_ready = asyncio.create_task(_announce(campaigns, accounts, app))
    server = _Server(
        "ingress",
        app,  # type: ignore[arg-type]
        settings.ingress,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=8,
    )
    server.stop_on_signals()
    try:
        await server.serve(sockets=[listener])
    finally:
        health.stop()
        following.cancel()
        watching.cancel()
        becoming_ready.cancel()
        await app.close()
        await campaigns.stop()
        await accounts.stop()
        await producer.close()


async def _announce(campaigns: CampaignView, accounts: AccountsView, app: Ingress) -> None:
    await campaigns.ready()
    await accounts.ready()
    app.ready.set()
