"""The API's process: REST under /v1, the live page at /, health and metrics.

    longwave run api

Starts without Kafka and ClickHouse too; routes that need them answer 503 with the reason until they are up.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType
from typing import Final

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from adapters.doors import server as doors
from adapters.settings import Settings
from api import live
from api.routes import accounts as routes_accounts
from api.routes import alerts as routes_alerts
from api.routes import audit as routes_audit
from api.routes import balance as routes_balance
from api.routes import changing as routes_changing
from api.routes import contacts as routes_contacts
from api.routes import domains as routes_domains
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
from api.web.gate import Gate
from api.web.guard import Guard
from api.web.idempotency import Idempotency
from api.web.measured import Measured
from api.web.openapi import describe

KEEP_ALIVE_SECONDS: Final = 15
"""How long a connection stays open between two requests."""
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
    app.include_router(routes_balance.router)
    app.include_router(routes_domains.router)
    app.include_router(routes_alerts.router)
    app.include_router(routes_prices.router)
    app.include_router(routes_keys.router)
    app.include_router(routes_audit.router)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app


class Server(doors.Server):
    """Ends the event streams before uvicorn waits for open connections."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._app = app
        super().__init__("api", app, settings.api, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=3)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        services = getattr(self._app.state, "services", None)
        if services is not None:
            services.stopping.set()
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        LongwaveError: the port is taken, or the certificate cannot be used; the text is for the user.
    """
    server = Server(create_app(settings), settings)
    server.run(sockets=[doors.listening_socket("api", settings.api)])
