"""Names and addresses: under which a server may be asked (a page whose own name leads to us must get nothing, DNS
rebinding), and what is counted as one address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from adapters.doors.settings import LOOPBACK

WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})
"""Listening there is listening on every address."""


class Names:
    """The names of a server that listens on `host`: loopback, that host, and `others`."""

    def __init__(self, host: str, others: Iterable[str] = ()) -> None:
        self._names = LOOPBACK | {name.lower() for name in (host, *others) if name} - WILDCARDS
        self._anywhere = host in WILDCARDS

    def has(self, host: str) -> bool:
        """Whether a Host header names us. Where we listen on every address, any address does: an attacker's page can
        make a name of theirs lead here, never an address."""
        name = host_name(host)
        return name in self._names or (self._anywhere and is_address(name))


def host_name(host: str) -> str:
    """The name in a Host header, in lower case; "" if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def group_of(address: str) -> str:
    """What is counted as one address: of IPv6 the /64, which one customer of a provider has at least."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
