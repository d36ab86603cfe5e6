"""The port of each process for those who watch it: `/metrics`, `/healthz`, `/readyz`.

It is served by threads, so it answers also while the event loop stands still, and says so.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from adapters.errors import LongwaveError
from adapters.health.state import Health, alive_answer, ready_answer

REQUEST_SECONDS: Final = 5.0
"""How long a client may take with its request; then its connection and thread end."""
CONNECTIONS: Final = 32
"""Requests that are answered at a time; others are closed at once."""
_REASONS: Final = {200: "200 OK", 503: "503 Service Unavailable"}

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def application(health: Health) -> Application:
    """The WSGI application: any path but the two of health is Prometheus' metrics."""
    metrics: Application = make_wsgi_app()
    answers = {"/healthz": alive_answer, "/readyz": ready_answer}

    def answer(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        respond = answers.get(environment.get("PATH_INFO", ""))
        if respond is None:
            return metrics(environment, start_response)
        status, content = respond(health)
        start_response(_REASONS[status], [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [orjson.dumps(content)]

    return answer


def serve(health: Health, host: str, port: int) -> None:
    """Serve in a thread of its own until the process ends.

    Raises:
        LongwaveError: the port is taken, or the address is not of this machine.
    """
    server_class = _ServerV6 if ":" in host else _Server
    try:
        server = make_server(host, port, application(health), server_class, handler_class=_Handler)
    except OSError as error:
        raise LongwaveError(
            f"cannot serve metrics on {host}:{port}: {error.strerror}; stop who has the port, or set metrics_port "
            "(LONGWAVE_METRICS_PORT): worker i takes it + i, the writer - 1, the API - 2, the ingress - 3"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """A request is no event worth a line."""


class _Server(ThreadingWSGIServer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or was too slow, is no error of ours."""


class _ServerV6(_Server):
    address_family = socket.AF_INET6
