"""The port of each process for those who watch it: `/metrics`, `/healthz`, `/readyz`.

It is served by threads, so it answers also while the event loop stands still, and says so.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from adapters.doors.headers import SAFE_HEADERS
from adapters.doors.names import Names, host_name, is_address
from adapters.doors.places import Places
from adapters.doors.proxies import Networks
from adapters.errors import LongwaveError
from adapters.health.state import Health, alive_answer, ready_answer
from schemas.metrics import SERVER_REFUSED

REQUEST_SECONDS: Final = 5.0
"""How long a request and its answer may take; then the connection and its thread end."""
CONNECTIONS: Final = 32
"""Requests that are answered at a time; others are closed at once,"""
PER_ADDRESS: Final = 16
"""and those from one address."""
HEADERS: Final = 100
"""Of a request, at most."""
_REASONS: Final = {200: "200 OK", 403: "403 Forbidden", 503: "503 Service Unavailable"}
_CAUSES: Final = ("connections", "connections_per_address", "slow", "host")

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def application(health: Health, names: Names) -> Application:
    """The WSGI application: any path but the two of health is Prometheus' metrics."""
    metrics: Application = make_wsgi_app()
    answers = {"/healthz": alive_answer, "/readyz": ready_answer}

    def answer(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]]) -> object:
            return start_response(status, [*headers, *SAFE_HEADERS.items()])

        if not _is_ours(names, environment.get("HTTP_HOST")):
            SERVER_REFUSED.labels("metrics", "host").inc()
            return _json(start, 403, {"error": "refused: this server has no such name; see metrics_hosts"})
        respond = answers.get(environment.get("PATH_INFO", ""))
        return metrics(environment, start) if respond is None else _json(start, *respond(health))

    return answer


def _is_ours(names: Names, host: str | None) -> bool:
    """Whether a Host header may be ours. No browser omits it, and nobody can register a name without a dot, which
    containers give each other."""
    return host is None or names.has(host) or is_address(host_name(host)) or "." not in host_name(host)


def _json(start: StartResponse, status: int, content: dict[str, Any]) -> list[bytes]:
    start(_REASONS[status], [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [orjson.dumps(content)]


def serve(health: Health, host: str, port: int, hosts: Iterable[str] = ()) -> None:
    """Serve in a thread of its own until the process ends. `hosts`: further names under which it may be asked.

    Raises:
        LongwaveError: the port is taken, or the address is not of this machine.
    """
    for cause in _CAUSES:
        SERVER_REFUSED.labels("metrics", cause)
    server_class = _ServerV6 if ":" in host else _Server
    asked = application(health, Names(host, hosts))
    try:
        server = make_server(host, port, asked, server_class, handler_class=_Handler)
    except OSError as error:
        raise LongwaveError(
            f"cannot serve metrics on {host}:{port}: {error.strerror}; stop who has the port, or set metrics_port "
            "(LONGWAVE_METRICS_PORT): worker i takes it + i, the writer - 1, the API - 2, the ingress - 3"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def parse_request(self) -> bool:
        """Libraries (clickhouse-connect) raise the limit of `http.client` for the whole process."""
        if not super().parse_request():
            return False
        if len(self.headers) > HEADERS:
            self.send_error(431)
            return False
        return True

    def end_headers(self) -> None:
        """Of the answers that the library gives by itself: a request line or a head that is too long."""
        for name, value in SAFE_HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """A request is no event worth a line."""


class _Server(ThreadingWSGIServer):
    """Each request has a thread, up to the limits. A client that sends a byte now and then never meets a socket's
    time-out, so who is too slow is ended from outside."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = threading.Lock()
        self._since: dict[Any, float] = {}
        """By connection, since when it is open (monotonic seconds)."""
        self._places = Places(CONNECTIONS, PER_ADDRESS, Networks(()))
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            too_many = self._places.take(client_address[0])
            if too_many is None:
                self._since[request] = monotonic()
        if too_many is not None:
            SERVER_REFUSED.labels("metrics", too_many).inc()
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._since.pop(request, None)
                self._places.give_back(client_address[0])

    def service_actions(self) -> None:
        """Called twice a second: end who is too slow."""
        overdue = monotonic() - _Handler.timeout
        with self._lock:
            slow = [request for request, since in self._since.items() if since < overdue]
            for request in slow:
                del self._since[request]
        for request in slow:
            SERVER_REFUSED.labels("metrics", "slow").inc()
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or was too slow, is no error of ours."""


class _ServerV6(_Server):
    address_family = socket.AF_INET6
