"""The API's process: REST under /v1, the live page at /, health and metrics.

    longwave run api

Starts without Kafka and ClickHouse too; routes that need them answer 503 with the reason until they are up.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from adapters.errors import LongwaveError
from adapters.settings import Settings
from api import live
from api.routes import accounts as routes_accounts
from api.routes import audit as routes_audit
from api.routes import changing as routes_changing
from api.routes import contacts as routes_contacts
from api.routes import forecast as routes_forecast
from api.routes import health as routes_health
from api.routes import inbox as routes_inbox
from api.routes import keys as routes_keys
from api.routes import optouts as routes_optouts
from api.routes import prices as routes_prices
from api.routes import reading as routes_reading
from api.routes import session as routes_session
from api.routes import unreachable as routes_unreachable
from api.routes import vocabulary as routes_vocabulary
from api.services import running
from api.web import errors
from api.web.deadlines import DeadlineProtocol
from api.web.gate import Gate
from api.web.guard import Guard
from api.web.idempotency import Idempotency
from api.web.measured import Measured
from api.web.openapi import describe

PAGE = Path(__file__).resolve().parent.parent / "dashboards" / "realtime"


def create_app(settings: Settings) -> FastAPI:
    """The application; its connections live as long as its lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Longwave", version="1", lifespan=lifespan, description="Create, send and watch SMS campaigns."
    )
    errors.install(app)
    app.add_middleware(Idempotency)
    app.add_middleware(Guard)
    app.add_middleware(Gate, listen=settings.api)
    app.add_middleware(Measured)
    app.include_router(live.router)
    app.include_router(routes_reading.router)
    app.include_router(routes_changing.router)
    app.include_router(routes_forecast.router)
    app.include_router(routes_optouts.router)
    app.include_router(routes_inbox.router)
    app.include_router(routes_contacts.router)
    app.include_router(routes_unreachable.router)
    app.include_router(routes_health.router)
    app.include_router(routes_vocabulary.router)
    app.include_router(routes_session.router)
    app.include_router(routes_accounts.router)
    app.include_router(routes_prices.router)
    app.include_router(routes_keys.router)
    app.include_router(routes_audit.router)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app


class Server(uvicorn.Server):
    """Ends the event streams before uvicorn waits for open connections."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        services = getattr(getattr(self.config.app, "state", None), "services", None)
        if services is not None:
            services.stopping.set()
        super().handle_exit(sig, frame)


class PortTaken(LongwaveError):
    """The API's address cannot be listened on."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PortTaken: somebody else listens there; the text is for the user.
    """
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        http=DeadlineProtocol,
        ws="none",
        limit_concurrency=1024,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
        forwarded_allow_ips=list(settings.api.proxies),
    )
    listening = _listen(settings)
    Server(config).run(sockets=[listening])


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.api.host, settings.api.port
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PortTaken(
            f"the API cannot listen on {host}:{port}: {reason}; set api.port (LONGWAVE_API__PORT)"
        ) from error
