"""uvicorn around an application of ours, with the limits of its settings."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from typing import Any, Final, Literal, NoReturn

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from adapters.doors import settings
from adapters.doors.headers import SafeHeaders
from adapters.doors.places import Places
from adapters.doors.protocol import CAUSES, DoorProtocol
from adapters.doors.proxies import Forwarded, Networks, PerAddress
from adapters.doors.tls import Pair, ServedCertificate
from adapters.errors import LongwaveError
from schemas.metrics import SERVER_REFUSED

log = logging.getLogger(__name__)

Name = Literal["api", "ingress"]
HANDSHAKE_SECONDS: Final = 10.0
GOODBYE_SECONDS: Final = 5.0
"""How long the end of a TLS connection waits for the client's."""
OTHER_FILES: Final = 512
"""Open files that a process needs beside its connections: Kafka, ClickHouse, logs, the port of the metrics."""


class Server(uvicorn.Server):
    """One of our servers that strangers reach; it listens on the socket that it is given."""

    protocol = DoorProtocol

    def __init__(self, name: Name, app: ASGIApp, listen: settings.PublicListen, **of_uvicorn: Any) -> None:
        """
        Raises:
            CertificateError: its certificate cannot be used.
        """
        self._name = name
        self._following: asyncio.Task[NoReturn] | None = None
        self._certificate = _certificate(name, listen)
        proxies = Networks(listen.proxies)
        self._places = Places(listen.connections, listen.connections_per_address, proxies)
        super().__init__(
            uvicorn.Config(
                _surrounded(name, app, listen, proxies),
                log_config=None,
                log_level="error",  # a warning for each stranger who speaks no HTTP: the metric counts them
                access_log=False,
                ws="none",
                http=self.protocol,
                server_header=False,
                proxy_headers=False,  # `Forwarded` reads them
                **of_uvicorn,
            )
        )
        for cause in (*CAUSES, "requests_per_address"):
            SERVER_REFUSED.labels(name, cause)
        _allow_files(listen.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, but that a TLS handshake has an end soon, and connections have places."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(STARTUP_FAILURE)
        tls: dict[str, Any] = {}
        if self._certificate is not None:
            self._following = asyncio.create_task(self._certificate.follow(), name="certificate")
            tls = {
                "ssl": self._certificate.context,
                "ssl_handshake_timeout": HANDSHAKE_SECONDS,
                "ssl_shutdown_timeout": GOODBYE_SECONDS,
            }
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(self._connection, sock=listening, backlog=self.config.backlog, **tls)
            for listening in sockets or ()
        ]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._following is not None:
            self._following.cancel()
        await super().shutdown(sockets)

    def _connection(self) -> asyncio.Protocol:
        return self.protocol(
            self._name,
            self._places,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )


def listening_socket(name: Name, where: settings.Listen) -> socket.socket:
    """A bound socket of a server.

    Raises:
        LongwaveError: the port is taken or the address is not ours; the text is for the user.
    """
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        return socket.create_server((where.host, where.port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]  # Python adds the address
        raise LongwaveError(
            f"{name}: cannot listen on {where.host}:{where.port}: {reason}; stop what does, or set {name}.port "
            f"(LONGWAVE_{name.upper()}__PORT)"
        ) from error


def _certificate(name: str, listen: settings.PublicListen) -> ServedCertificate | None:
    if listen.certificate is None or listen.private_key is None:
        return None
    return ServedCertificate(name, Pair(listen.certificate, listen.private_key))


def _surrounded(name: Name, app: ASGIApp, listen: settings.PublicListen, proxies: Networks) -> ASGIApp:
    if not proxies:
        return SafeHeaders(app)

    def refused() -> None:
        SERVER_REFUSED.labels(name, "requests_per_address").inc()

    counted = PerAddress(app, listen.connections_per_address, proxies, refused)
    return Forwarded(SafeHeaders(counted), listen.proxies)


def _allow_files(connections: int) -> None:
    """Let this process open as many files as it may have connections; the usual limit is 1024."""
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        log.warning(
            "this process may open %d files, but wants %d for its connections: raise `ulimit -n`", most, wanted
        )
