"""Ports that are already taken, found before anything starts."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from adapters.terminal import UserError


@dataclass(frozen=True, slots=True)
class Port:
    """A port one of our processes listens on, and the setting that moves it."""

    number: int
    host: str
    setting: str


def check(wanted: Iterable[Port]) -> None:
    """Nothing when every port is free.

    Raises:
        UserError: one line per port that is taken or wanted twice: which, by whom, which setting moves it.
    """
    lines: list[str] = []
    seen: dict[int, Port] = {}
    for port in wanted:
        if port.number in seen:
            lines.append(f"port {port.number} is wanted twice: {seen[port.number].setting} and {port.setting}")
        elif not is_free(port):
            lines.append(
                f"port {port.number} is taken by {holder(port.number)}; stop that, or set {port.setting} "
                f"({variable(port.setting)})"
            )
        seen.setdefault(port.number, port)
    if lines:
        raise UserError("\n".join(lines))


def is_free(port: Port) -> bool:
    """True when we could listen there now."""
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family) as probe:
        # Without this a port in TIME_WAIT, which a server could take, would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError:
            return False
    return True


def free_pair() -> int:
    """A port of 127.0.0.1 that is free as the next one is; the system chooses."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            number: int = probe.getsockname()[1]
        if is_free(Port(number + 1, "127.0.0.1", "")):
            return number


def holder(number: int) -> str:
    """Who listens on a port of this machine, as far as we may see."""
    import psutil

    try:
        for connection in psutil.net_connections("inet"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == number
                and connection.pid
            ):
                return f"pid {connection.pid} ({' '.join(psutil.Process(connection.pid).cmdline())[:100]})"
    except psutil.Error:
        pass
    return "another process (not ours to see: try `ss -ltnp` as root)"


def variable(setting: str) -> str:
    """The environment variable of a setting's dotted name; what follows a blank is a remark."""
    return "LONGWAVE_" + setting.split(" ", maxsplit=1)[0].replace(".", "__").upper()
