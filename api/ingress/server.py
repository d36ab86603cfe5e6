"""The ingress process: the application on uvicorn, with its producer and its view of the campaigns."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
import uvloop

from adapters.errors import LongwaveError
from adapters.health import probes
from adapters.health import server as health_server
from adapters.health.state import Health
from adapters.kafka.accounts import AccountsView
from adapters.kafka.producer import Producer, end_process
from adapters.kafka.views import CampaignView
from adapters.settings import INGRESS_METRICS, Listen, Settings
from adapters.vitals import announce, watch_event_loop
from api.ingress.app import Ingress, Known
from api.web.deadlines import DeadlineProtocol
from pipeline.accounts.book import Accounts


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; blocking, in a process of its own. Kafka may come up later: until the
    campaigns are read, short links answer 503, and /readyz says why.

    Raises:
        LongwaveError: a port is taken.
    """
    listener = listen(settings.ingress)
    uvloop.run(_serve(settings, listener))


def listen(where: Listen) -> socket.socket:
    """A bound socket.

    Raises:
        LongwaveError: the port is taken or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((where.host, where.port))
    except OSError as error:
        listener.close()
        raise LongwaveError(
            f"ingress: cannot listen on {where.host}:{where.port}: {error.strerror}; stop what does, or set "
            "ingress.port"
        ) from error
    return listener


class _Server(uvicorn.Server):
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
    health_server.serve(health, settings.metrics_host, settings.metrics_port + INGRESS_METRICS)
    following = asyncio.create_task(health.follow_loop(), name="health")
    watching = asyncio.create_task(watch_event_loop(), name="event-loop-watch")
    becoming_ready = asyncio.create_task(_announce(campaigns, accounts, app))
    server = _Server(
        uvicorn.Config(
            app,
            http=DeadlineProtocol,
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=8,
            limit_concurrency=4096,
        )
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
