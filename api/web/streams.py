"""How many live pages may be open: each holds a connection for as long as it is shown."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from adapters.doors.settings import Api
from api.web.refusal import ApiError
from schemas.metrics import SERVER_REFUSED, STREAMS


class Streams:
    """Counts the open streams of each key. Half of all connections stay free for requests."""

    def __init__(self, listen: Api) -> None:
        self._per_key = listen.streams_per_key
        self._all = listen.connections // 2
        self._open: Counter[str] = Counter()
        STREAMS.set(0)
        for cause in ("streams", "streams_per_key"):
            SERVER_REFUSED.labels("api", cause)

    def check(self, key_id: str) -> None:
        """Refuse one more stream of a key, where there are too many.

        Raises:
            ApiError: 429, with which limit.
        """
        if self._open[key_id] >= self._per_key:
            SERVER_REFUSED.labels("api", "streams_per_key").inc()
            raise ApiError(429, f"this key has {self._per_key} live pages open: close one (api.streams_per_key)")
        if self._open.total() >= self._all:
            SERVER_REFUSED.labels("api", "streams").inc()
            raise ApiError(429, "too many live pages are open on this server: try again in a moment")

    @contextlib.contextmanager
    def opened(self, key_id: str) -> Iterator[None]:
        """A stream of a key, while it is open."""
        self._open[key_id] += 1
        STREAMS.set(self._open.total())
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]
            STREAMS.set(self._open.total())
