"""Ends requests whose head or body does not arrive in time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
"""A request's head is whole that long after the connection or its first byte,"""
BODY_SECONDS: Final = 30.0
"""and its body that long after the head."""
_LATE: Final = b'{"error":"the request did not arrive completely in time; send it again","fields":[]}'
_LATE_HEAD: Final = (
    f"content-type: application/json\r\ncontent-length: {len(_LATE)}\r\nconnection: close\r\n\r\n".encode()
)


class DeadlineProtocol(HttpToolsProtocol):
    """uvicorn's protocol with both deadlines; a request that comes in one piece, as most do, starts no timer."""

    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._stage = "head"
        self._timed = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stage = "whole"
        self._watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._stage == "whole" and self._is_answered():
            self._stage = "head"
        super().data_received(data)
        self._watch()

    def on_message_begin(self) -> None:
        self._stage = "head"
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stage = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stage = "whole"
        super().on_message_complete()

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        """One timer for the stage that is under way."""
        if self._stage == self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed = self._stage
        if self._stage != "whole":
            seconds = self.head_seconds if self._stage == "head" else self.body_seconds
            self._timer = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self._stage == "body" and not self.cycle.response_started:
            head = (
                f"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {len(_LATE)}\r\n"
            )
            self.transport.write(head.encode() + b"connection: close\r\n\r\n" + _LATE)
        self.transport.close()
