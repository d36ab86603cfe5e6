"""Under which names the API may be asked, and by whose pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from adapters.doors.names import Names
from adapters.doors.settings import Api


class Hosts:
    """The names of the API: where it listens, its public address, and `hosts` of its settings."""

    def __init__(self, listen: Api) -> None:
        public = urlsplit(listen.public_url).hostname or ""
        self._names = Names(listen.host, (public, *listen.hosts))
        self._url = urlsplit(listen.url)

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names us."""
        return self._names.has(host)

    def is_ours_origin(self, origin: str, host: str) -> bool:
        """Whether a page of that Origin is ours, asked as `host`."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.netloc == host or (parts.scheme, parts.netloc) == (self._url.scheme, self._url.netloc)
