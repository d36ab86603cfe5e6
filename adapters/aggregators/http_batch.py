"""The generic HTTP batch protocol: many messages in one signed POST.

Request, signed as `adapters.aggregators.signing` says:

    POST URL
    {"from": "+18885550100", "messages": [{"id": "1a2b3c4d-0-17", "to": "+12125550123", "text": "…"}, …]}

Answer 200, 201, 202 or 207 (they mean the same), one entry per message, by id:

    {"messages": [{"id": "…", "status": "accepted", "aggregator_id": "…"},
                  {"id": "…", "status": "rejected", "code": "30006"},
                  {"id": "…", "status": "throttled", "retry_after": 1.5}]}

An entry that cannot be read leaves its own message unknown and no other. An aggregator with idempotency keys answers
a message id that it has processed with its first answer and does not send it again. The whole table of answers is in
docs/connecting/answers.md.

What may have happened is decided by one fact, not by the kind of error: `_Body.handed_over`, set in the same turn
of the event loop as the one write that carries headers and body to the socket. Until then nothing can have been
processed, whatever the failure (refused, time-out, DNS, TLS, a kept connection that was found closed): NotSent,
"retry". After it, only an answer decides; without a clear one it is MaybeSent, "unknown".

| | outcome |
|---|---|
| any failure before the body was handed to the socket | retry |
| 429, and 503 with Retry-After | retry; the whole account waits until then |
| 408, 425, 503 | retry |
| 307, 308, 401 to 405, 407, 410, 413, 421, 426 | retry, once our settings are corrected (402: the balance) |
| other 4xx but 409, with `{"code": "…"}` if it gives a reason; message answered "rejected" | rejected |
| other status (204, 301 to 303, 409, 5xx); no, half or garbled answer | unknown |
| message missing in the answer, or there twice differently, or with a status that we do not know | unknown |

If the aggregator has a `query_url`, it can be asked what became of messages whose request got no answer:

    POST QUERY_URL
    {"ids": ["1a2b3c4d-0-17", …]}

Answer 200, one entry per id: accepted and rejected as above, `{"id": "…", "status": "not_seen"}` for one that it has
never taken, any other status where it cannot tell. Every other answer means: ask again. "not seen" can be relied on
only once the request cannot arrive any more. So nothing is written to a socket later than `timeout` after `submit`
began, and the connection is closed after twice that time; then the query may follow (`settled_after`). One gap is
left: a process that is stopped between its last look at the clock and the write that follows at once. There the
aggregator refuses the signature, because its timestamp is old.

A health check is the same POST with no messages. Any answer means that the aggregator is there, except 5xx and those
that mean that it takes nothing from us.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import orjson
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

from adapters import clock
from adapters.aggregators import signing
from adapters.aggregators.account import Account
from adapters.aggregators.batch_answer import (
    ANSWERS,
    NOT_PROCESSED,
    all_same,
    batch_outcomes,
    query_outcomes,
    reason_of,
    why_unavailable,
)
from adapters.aggregators.settings import HttpBatchSettings
from adapters.ports import Submission, SubmitOutcome
from schemas.reasons import Reason

IDLE_SECONDS: Final = 3.0
"""A connection idle for longer is not used again: most servers close theirs at 5 s or later, and a POST that meets
a closing connection is unknown."""

CONNECT_SECONDS: Final = 5.0
ANSWER_LIMIT: Final = 4_000_000
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}


class _Body(BytesPayload):
    """The body of one request; knows how far the request came."""

    handed_over = False
    """Whether it was handed to the socket."""
    waits = False
    """Whether the request waits until one of our connections is free."""
    waited = False
    """Whether it ever waited for one."""
    too_late = False
    """Whether it got its connection only after the time in which it may be written."""

    def __init__(
        self,
        content: bytes,
        written: Callable[[], None] = lambda: None,
        until: float = math.inf,
        may_go: Callable[[], bool] = lambda: True,
    ) -> None:
        """`until`: on the clock of `time.perf_counter`; later the body is not written any more."""
        super().__init__(content)
        self._written = written
        self._until = until
        self._may_go = may_go

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        # aiohttp's writer raises before it writes if the transport is closing, and otherwise writes headers and
        # body at once, in one turn of the event loop (nothing may trace what is sent: it would be waited for in
        # between): the check here and that write see the same state.
        if time.perf_counter() > self._until or not self._may_go():
            self.too_late = True  # aiohttp puts an error of its own in the place of this one
            raise aiohttp.ClientConnectionError("too late to be written")
        transport = writer.transport
        self.handed_over = transport is not None and not transport.is_closing()
        await super().write_with_length(writer, content_length)
        self._written()


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


class HttpBatch(Account):
    """An aggregator account that speaks the protocol above (a `ports.AggregatorPort`).

    Made and used in one event loop. aiohttp 3.14 repeats idempotent methods on a stale connection, never POST;
    redirects are not followed, because 307 and 308 would repeat the POST elsewhere.
    """

    def __init__(self, name: str, settings: HttpBatchSettings) -> None:
        """`name` labels the metrics; `settings` is `aggregators.NAME` of the settings."""
        super().__init__(name, settings.capabilities, settings.connections)
        self._url = settings.url
        self._query_url = settings.query_url
        self._timeout = settings.timeout
        self._secret = settings.secret.get_secret_value().encode()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.connections, keepalive_timeout=IDLE_SECONDS),
            # `connect` includes the wait for a free connection, so the total must leave time for the answer:
            # a time-out before the body is handed over costs a retry, one after it an unknown.
            timeout=aiohttp.ClientTimeout(
                total=2 * settings.timeout,
                connect=settings.timeout,
                sock_connect=min(CONNECT_SECONDS, settings.timeout),
                sock_read=settings.timeout,
                ceil_threshold=1e9,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            trust_env=False,
            # aiohttp says the same of an aggregator that cannot be reached and of one that answers on none of ours.
            trace_configs=[_queue_tracing()],
        )

    async def _submit(
        self, sender: str, batch: list[Submission], written: Callable[[], None], may_go: Callable[[], bool]
    ) -> list[SubmitOutcome]:
        """One request; one outcome each, in order (see `ports.AggregatorPort.submit`)."""
        until = time.perf_counter() + self._timeout
        return await self._post(_Body(_encode(sender, batch), written, until, may_go), batch)

    @property
    def settled_after(self) -> float:
        """Seconds (see `ports.AggregatorPort.settled_after`): the time-out of a whole request."""
        return 2 * self._timeout

    async def lookup(self, ids: list[str]) -> list[SubmitOutcome] | str:
        """Ask what became of messages, in one request (see `ports.AggregatorPort.lookup`)."""
        if not self._query_url:
            return [SubmitOutcome("unknown", Reason.NO_QUERY_URL)] * len(ids)
        body = _Body(orjson.dumps({"ids": ids}))
        try:
            async with self._request(self._query_url, body) as answer:
                if answer.status not in ANSWERS:
                    return reason_of(answer.status)
                return query_outcomes(await _read(answer), ids)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _why_unanswered(error, body)

    async def check_health(self) -> str:
        """Post an empty batch, which every aggregator refuses in some way: any answer shows that it is there."""
        body = _Body(_encode("", []))
        try:
            async with self._request(self._url, body) as answer:
                return why_unavailable(answer.status)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _why_unanswered(error, body)

    async def close(self) -> None:
        await self._session.close()

    async def _post(self, body: _Body, batch: list[Submission]) -> list[SubmitOutcome]:
        try:
            async with self._request(self._url, body) as answer:
                retry_after = answer.headers.get("Retry-After", "")
                return batch_outcomes(answer.status, retry_after, await _read(answer), batch)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: a URL or header that aiohttp refuses, a body that does not decompress.
            return all_same(batch, "unknown" if body.handed_over else "retry", _why_unanswered(error, body))

    def _request(self, url: str, body: _Body) -> Any:
        """POST `body`, signed."""
        headers = _JSON | signing.signed(self._secret, clock.now_ms(), body._value)
        return self._session.post(url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=body)


def _encode(sender: str, batch: list[Submission]) -> bytes:
    messages = [{"id": submission.id, "to": f"+{submission.to}", "text": submission.text} for submission in batch]
    return orjson.dumps({"from": sender, "messages": messages})


async def _read(answer: aiohttp.ClientResponse) -> bytes:
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


def _why_unanswered(error: BaseException, body: _Body) -> str:
    """Why there is no answer. It is only a label: the outcome does not depend on it."""
    return _why_lost(error) if body.handed_over else _why_unsent(error, body)


def _why_unsent(error: BaseException, body: _Body) -> str:
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
