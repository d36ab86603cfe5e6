"""One HTTP POST to an aggregator, for adapters of every kind that speaks HTTP.

What may have happened is decided by one fact, not by the kind of error: `Body.handed_over`, set in the same turn of
the event loop as the one write that carries headers and body to the socket. Until then nothing can have been
processed, whatever the failure (refused, time-out, DNS, TLS, a kept connection that was found closed): not sent,
"retry". After it, only an answer decides; without a clear one it may have been sent, "unknown".
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

from adapters.aggregators.statuses import NOT_PROCESSED
from adapters.ports import Trip
from schemas.reasons import Reason

IDLE_SECONDS: Final = 3.0
"""A connection idle for longer is not used again: most servers close theirs at 5 s or later, and a POST that meets
a closing connection is unknown."""

CONNECT_SECONDS: Final = 5.0
ANSWER_LIMIT: Final = 4_000_000


class Body(BytesPayload):
    """The body of one request; knows how far the request came."""

    handed_over = False
    """Whether it was handed to the socket."""
    waits = False
    """Whether the request waits until one of our connections is free."""
    waited = False
    """Whether it ever waited for one."""
    too_late = False
    """Whether it got its connection only after the time in which it may be written."""

    def __init__(self, content: bytes, trip: Trip | None = None, until: float = math.inf) -> None:
        """`until`: on the clock of `time.perf_counter`; later the body is not written anymore."""
        super().__init__(content)
        self._trip = trip or Trip()
        self._until = until

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        # aiohttp's writer raises before it writes if the transport is closing, and otherwise writes headers and
        # body at once, in one turn of the event loop (nothing may trace what is sent: it would be waited for in
        # between): the check here and that write see the same state.
        if time.perf_counter() > self._until or not self._trip.may_go():
            self.too_late = True  # aiohttp puts an error of its own in the place of this one
            raise aiohttp.ClientConnectionError("too late to be written")
        transport = writer.transport
        self.handed_over = transport is not None and not transport.is_closing()
        await super().write_with_length(writer, content_length)
        self._trip.was_written()


async def _queue_entered(
    session: aiohttp.ClientSession, context: Any, _: aiohttp.TraceConnectionQueuedStartParams
) -> None:
    body = context.trace_request_ctx
    body.waits = body.waited = True


async def _queue_left(
    session: aiohttp.ClientSession, context: Any, _: aiohttp.TraceConnectionQueuedEndParams
) -> None:
    context.trace_request_ctx.waits = False


def _queue_tracing() -> aiohttp.TraceConfig:
    traced = aiohttp.TraceConfig()
    traced.on_connection_queued_start.append(_queue_entered)
    traced.on_connection_queued_end.append(_queue_left)
    return traced


def open_session(timeout: float, connections: int) -> aiohttp.ClientSession:
    """A session whose requests wait `timeout` s for a connection and as long for the answer; made and used in one
    event loop. aiohttp 3.14 repeats idempotent methods on a stale connection, never POST."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE_SECONDS),
        # `connect` includes the wait for a free connection, so the total must leave time for the answer:
        # a time-out before the body is handed over costs a retry, one after it an unknown.
        timeout=aiohttp.ClientTimeout(
            total=2 * timeout,
            connect=timeout,
            sock_connect=min(CONNECT_SECONDS, timeout),
            sock_read=timeout,
            ceil_threshold=1e9,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        trust_env=False,
        # aiohttp says the same of an aggregator that cannot be reached and of one that answers on none of ours.
        trace_configs=[_queue_tracing()],
    )


def post(session: aiohttp.ClientSession, url: str, body: Body, headers: Mapping[str, str]) -> Any:
    """POST a body; an async context manager of the answer. Redirects are not followed, because 307 and 308 would
    repeat the POST elsewhere."""
    return session.post(url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=body)


async def read_answer(answer: aiohttp.ClientResponse) -> bytes:
    """The body of an answer, b"" where the status alone decides and the rest of the answer was lost.

    Raises:
        ValueError: it is too long, which makes it malformed.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > ANSWER_LIMIT:
                raise ValueError("the answer is too long")
    except (aiohttp.ClientError, OSError, ValueError):
        if answer.status in NOT_PROCESSED or 400 <= answer.status < 500:
            return b""
        raise
    return b"".join(parts)


def why_unanswered(error: BaseException, body: Body) -> str:
    """Why there is no answer. It is only a label: the outcome does not depend on it."""
    return _why_lost(error) if body.handed_over else _why_unsent(error, body)


def _why_unsent(error: BaseException, body: Body) -> str:
    """Why the request never left."""
    if body.too_late:
        return Reason.NO_FREE_CONNECTION if body.waited else Reason.NOT_WRITTEN_IN_TIME
    if body.waits and isinstance(error, TimeoutError):
        return Reason.NO_FREE_CONNECTION
    kinds: tuple[tuple[type[BaseException], Reason], ...] = (
        (aiohttp.ClientConnectorDNSError, Reason.DNS),
        (aiohttp.ClientSSLError, Reason.TLS),
        (aiohttp.ClientConnectorCertificateError, Reason.TLS),
        (aiohttp.ServerFingerprintMismatch, Reason.TLS),
        (TimeoutError, Reason.CONNECT_TIMEOUT),
        (aiohttp.ClientConnectorError, Reason.CONNECT),
        (aiohttp.InvalidURL, Reason.BAD_URL),
    )
    return next((name for kind, name in kinds if isinstance(error, kind)), Reason.NOT_SENT)


def _why_lost(error: BaseException) -> str:
    """Why no answer came to a request that left."""
    if isinstance(error, TimeoutError):
        return Reason.NO_ANSWER
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return Reason.BAD_ANSWER
    return Reason.CONNECTION_LOST
