"""Under which names an HTTP server of ours may be asked: a page whose own name leads to us must get nothing."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from adapters.settings import LOOPBACK, Api

_WILDCARDS = frozenset({"0.0.0.0", "::", ""})


class Hosts:
    """The names of one server: where it listens, its public address, and `hosts` of its settings."""

    def __init__(self, listen: Api) -> None:
        public = urlsplit(listen.public_url).hostname or ""
        self._names = LOOPBACK | {name.lower() for name in (listen.host, public, *listen.hosts) if name} - _WILDCARDS
        self._anywhere = listen.host in _WILDCARDS
        self._url = urlsplit(listen.url)

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names us. Where we listen on every address, any address does: an attacker's page can
        make a name of theirs lead here (DNS rebinding), never an address."""
        name = _hostname(host)
        return name in self._names or (self._anywhere and _is_address(name))

    def is_ours_origin(self, origin: str, host: str) -> bool:
        """Whether a page of that Origin is ours, asked as `host`."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.netloc == host or (parts.scheme, parts.netloc) == (self._url.scheme, self._url.netloc)


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
