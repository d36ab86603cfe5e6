"""Waiting until a server answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from adapters import http
from adapters.terminal import UserError


def wait_for(
    what: str, ready: Callable[[], bool], alive: Callable[[], bool] = lambda: True, *, timeout: float = 60.0
) -> float:
    """Poll `ready` until it is true; gives the seconds it took.

    Raises:
        UserError: `alive` became false, or `timeout` seconds passed.
    """
    start = time.monotonic()
    while not ready():
        if not alive():
            raise UserError(f"{what} ended before it was ready")
        if time.monotonic() - start > timeout:
            raise UserError(f"{what} was not ready after {timeout:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - start


def kafka_answers(bootstrap: str) -> bool:
    """True when a broker gives its metadata (an open port alone is not yet a broker)."""
    from adapters.kafka import admin

    return any(port_open(*split_address(server)) for server in bootstrap.split(",")) and admin.answers(bootstrap)


def says_ready(url: str) -> bool:
    """True when the process beside us whose `/readyz` is `url` says that it can do its work."""
    return http.page(url, trust=http.believing_all()) != ""  # 503 is an empty page


def port_open(host: str, port: int) -> bool:
    """True when something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def split_address(address: str) -> tuple[str, int]:
    """`host:port` as a pair.

    Raises:
        UserError: it is not of that form.
    """
    host, _, port = address.strip().rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"`{address}` is not an address of the form host:port (kafka.bootstrap)")
    return host, int(port)
