"""HTTP/1.1 on one connection, with an end to everything that a client can draw out or pile up.

| what | limit | answer | cause in `longwave_server_refused_total` |
|---|---|---|---|
| connections, all | `connections` | 503 | `connections` |
| connections from one address | `connections_per_address` | 429 | `connections_per_address` |
| address of a request | `URL_BYTES` | 414 | `url` |
| headers of a request | `HEADERS`, `HEAD_BYTES` together | 431 | `head` |
| time for a head, from its first byte | `HEAD_SECONDS` | 408 | `slow_head` |
| time for a body, from its head | `BODY_SECONDS` | 408 | `slow_body` |
| time in which a client reads nothing | `READ_SECONDS` | closed | `slow_reader` |
| a connection without a request | `HEAD_SECONDS`, later uvicorn's keep-alive time | closed | – |
| what is no HTTP | | 400 | `no_http` |

uvicorn's own `limit_concurrency` is not used: past it every request is refused, also those on connections of people
who were there before.
"""

from __future__ import annotations

import asyncio
import http
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.doors.headers import SAFE_HEADERS
from adapters.doors.places import Places
from schemas.metrics import SERVER_REFUSED

HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 30.0
READ_SECONDS: Final = 30.0
CLOSING_SECONDS: Final = 2.0
"""How long a client may go on sending after a refusal: a connection that is closed while it does loses the answer."""
TURNING_SECONDS: Final = 1.0
"""How long a client for whom there is no place may take to say its request, for the same reason."""
URL_BYTES: Final = 8_192
HEADERS: Final = 100
HEAD_BYTES: Final = 32_768
"""Bytes of all headers of a request, names and values."""

_ANSWERS: Final = {
    "connections": (503, "the server has too many connections: try again in a moment"),
    "connections_per_address": (429, "too many connections from this address: close some, then try again"),
    "url": (414, f"the address of the request is longer than {URL_BYTES:,} bytes: put long lists into the body"),
    "head": (431, f"the request has more than {HEADERS} headers, or more than {HEAD_BYTES:,} bytes of them"),
    "slow_head": (408, "the request did not arrive completely in time; send it again"),
    "slow_body": (408, "the request did not arrive completely in time; send it again"),
    "no_http": (400, "this is no request of HTTP/1.1"),
}
CAUSES: Final = (*_ANSWERS, "slow_reader")


def answer_of(cause: str) -> bytes:
    """The whole answer to a client that is refused."""
    status, text = _ANSWERS[cause]
    body = orjson.dumps({"error": text, "fields": []})
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **({"retry-after": "2"} if status in (429, 503) else {}),
        **SAFE_HEADERS,
    }
    head = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n{head}\r\n".encode() + body


class TooLarge(Exception):
    """A request's head passes a limit; ends the parsing. Never leaves this module."""


class DoorProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the limits above; a request that comes in one piece, as most do, starts no timer."""

    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS
    read_seconds = READ_SECONDS

    def __init__(self, server: str, places: Places, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._name = server
        self._places = places
        self._has_place = False
        self._stage = "head"
        """head, body, whole (being answered, or idle), turned away, or ended (refused)."""
        self._has_begun = False
        """Whether anything of a request came that is not whole."""
        self._cause = "no_http"
        """Why the head that is being parsed is refused, if it is."""
        self._heads = 0
        self._head_bytes = 0
        self._unparsed = 0
        """Bytes of a header that goes on and on: the parser gives a header when it is whole."""
        self._timed = ""
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        too_many = self._places.take(self._address)
        if too_many is None:
            self._has_place = True
        else:
            self._stage, self._cause = "turned away", too_many
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._has_place:
            self._has_place = False
            self._places.give_back(self._address)
        self._stage = "whole"
        self._watch()
        self._stop_reading_timer()
        super().connection_lost(exc)

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(self.read_seconds, self._reads_nothing)

    def resume_writing(self) -> None:
        self._stop_reading_timer()
        super().resume_writing()

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _reads_nothing(self) -> None:
        SERVER_REFUSED.labels(self._name, "slow_reader").inc()
        self.transport.abort()

    # A request

    def data_received(self, data: bytes) -> None:
        if self._stage == "turned away":
            self._refuse(self._cause)
            return
        if self._stage == "ended":
            return
        if self._stage == "whole" and self._is_answered():
            self._stage = "head"
        before, heads = self._stage, self._heads
        self._has_begun = True
        super().data_received(data)
        if before == self._stage == "head" and heads == self._heads:
            self._unparsed += len(data)
            if self._unparsed > HEAD_BYTES + URL_BYTES:
                self._refuse("head")
        self._watch()

    def on_message_begin(self) -> None:
        self._stage, self._cause, self._has_begun = "head", "no_http", True
        self._heads += 1
        self._head_bytes = self._unparsed = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > URL_BYTES:
            self._cause = "url"
            raise TooLarge

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES or len(self.headers) >= HEADERS:
            self._cause = "head"
            raise TooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stage = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stage, self._has_begun = "whole", False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls it when the parser gives up, or `on_url` and `on_header` do."""
        self._refuse(self._cause)

    # Refusals

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _may_answer(self) -> bool:
        """Whether the next answer that the client expects is the one to what is refused."""
        if self._stage == "body":
            return not self._is_answered() and not self.cycle.response_started
        return self._is_answered()

    def _watch(self) -> None:
        """One timer for the stage that is under way."""
        if self._stage == self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed = self._stage
        seconds = {"head": self.head_seconds, "body": self.body_seconds, "turned away": TURNING_SECONDS}
        if self._stage in seconds:
            self._timer = self.loop.call_later(seconds[self._stage], self._late)
        elif self._stage == "ended":
            self._timer = self.loop.call_later(CLOSING_SECONDS, self.transport.abort)

    def _late(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()  # its last answer waits for a client that reads nothing
        elif self._stage == "turned away":
            self._refuse(self._cause)
        elif self._has_begun:
            self._refuse("slow_head" if self._stage == "head" else "slow_body")
        else:
            self.transport.close()

    def _refuse(self, cause: str) -> None:
        """Answer, if the client waits for no other answer, and end the connection."""
        SERVER_REFUSED.labels(self._name, cause).inc()
        if self._may_answer():
            self.transport.write(answer_of(cause))
        if self.cycle is not None:
            # What the application still says to this connection must not follow the refusal.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._stage = "ended"
        self._watch()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            # What still comes is thrown away until the client closes, or the timer ends it.
            self.flow.resume_reading()
        else:
            self.transport.close()
