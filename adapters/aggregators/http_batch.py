"""The generic HTTP batch protocol: many messages in one signed POST.

Request, signed as `adapters.aggregators.signing` says:

    POST URL
    {"from": "+18885550100", "messages": [{"id": "1a2b3c4d-0-17", "to": "+12125550123", "text": "…"}, …]}

Where messages of a batch come from several senders, each message has its own "from" instead.

Answer 200, 201, 202 or 207 (they mean the same), one entry per message, by id:

    {"messages": [{"id": "…", "status": "accepted", "aggregator_id": "…"},
                  {"id": "…", "status": "rejected", "code": "30006"},
                  {"id": "…", "status": "throttled", "retry_after": 1.5}]}

An entry that cannot be read leaves its own message unknown and no other. A refused batch may give its reason as
`{"code": "…"}`. An aggregator with idempotency keys answers a message id that it has processed with its first answer
and does not send it again.

docs/connecting/answers.md has the whole table of answers and outcomes. `adapters.aggregators.statuses` decides by the
HTTP status, `batch_answer` by the entry of each message, and `request` what may have happened without an answer.

An answer may say how long ago the batch arrived, `Server-Timing: taken;dur=18.2` (milliseconds, W3C Server Timing).
A rate limit counts a batch from its arrival, which is otherwise known to lie between the request and its answer only:
without it, an aggregator that answers after 100 ms is used to 91 % of its limit.

If the aggregator has a `query_url`, it can be asked what became of messages whose request got no answer:

    POST QUERY_URL
    {"ids": ["1a2b3c4d-0-17", …]}

Answer 200, one entry per id: accepted and rejected as above, `{"id": "…", "status": "not_seen"}` for one that it has
never taken, any other status where it cannot tell. Every other answer means: ask again. "not seen" can be relied on
only once the request cannot arrive anymore. So nothing is written to a socket later than `timeout` after `submit`
began, and the connection is closed after twice that time; then the query may follow (`settled_after`). One gap is
left: a process that is stopped between its last look at the clock and the write that follows at once. There the
aggregator refuses the signature, because its timestamp is old.

A health check is the same POST with no messages. Any answer means that the aggregator is there, except 5xx and those
that mean that it takes nothing from us.
"""

from __future__ import annotations

import time
from typing import Any, Final

import aiohttp
import orjson

from adapters import clock
from adapters.aggregators import signing
from adapters.aggregators.account import Account
from adapters.aggregators.batch_answer import batch_outcomes, query_outcomes
from adapters.aggregators.request import Body, open_session, post, read_answer, why_unanswered
from adapters.aggregators.server_timing import seconds_taken
from adapters.aggregators.settings import HttpBatchSettings
from adapters.aggregators.statuses import ANSWERS, all_same, reason_of, why_unavailable
from adapters.ports import Submission, SubmitOutcome, Trip
from schemas.reasons import Reason

_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}


class HttpBatch(Account):
    """An aggregator account that speaks the protocol above (a `ports.AggregatorPort`); made and used in one event
    loop."""

    def __init__(self, name: str, settings: HttpBatchSettings) -> None:
        """`name` labels the metrics; `settings` is `aggregators.NAME` of the settings."""
        super().__init__(name, settings.capabilities, settings.connections)
        self._url = settings.url
        self._query_url = settings.query_url
        self._timeout = settings.timeout
        self._secret = settings.secret.get_secret_value().encode()
        self._session = open_session(settings.timeout, settings.connections)

    async def _submit(self, batch: list[Submission], trip: Trip) -> list[SubmitOutcome]:
        """One request; one outcome each, in order (see `ports.AggregatorPort.submit`)."""
        until = time.perf_counter() + self._timeout
        return await self._post(Body(_encode(batch), trip, until), batch, trip)

    @property
    def settled_after(self) -> float:
        """Seconds (see `ports.AggregatorPort.settled_after`): the time-out of a whole request."""
        return 2 * self._timeout

    async def lookup(self, ids: list[str]) -> list[SubmitOutcome] | str:
        """Ask what became of messages, in one request (see `ports.AggregatorPort.lookup`)."""
        if not self._query_url:
            return [SubmitOutcome("unknown", Reason.NO_QUERY_URL)] * len(ids)
        body = Body(orjson.dumps({"ids": ids}))
        try:
            async with self._request(self._query_url, body) as answer:
                if answer.status not in ANSWERS:
                    return reason_of(answer.status)
                return query_outcomes(await read_answer(answer), ids)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return why_unanswered(error, body)

    async def check_health(self) -> str:
        """Post an empty batch, which every aggregator refuses in some way: any answer shows that it is there."""
        body = Body(_encode([]))
        try:
            async with self._request(self._url, body) as answer:
                return why_unavailable(answer.status)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return why_unanswered(error, body)

    async def close(self) -> None:
        await self._session.close()

    async def _post(self, body: Body, batch: list[Submission], trip: Trip) -> list[SubmitOutcome]:
        try:
            async with self._request(self._url, body) as answer:
                retry_after = answer.headers.get("Retry-After", "")
                taken = seconds_taken(answer.headers.getall("Server-Timing", ()))
                arrived = time.monotonic() - taken
                outcomes = batch_outcomes(answer.status, retry_after, await read_answer(answer), batch)
                trip.took = time.monotonic() - arrived if taken else 0.0
                return outcomes
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: a URL or header that aiohttp refuses, a body that does not decompress.
            return all_same(batch, "unknown" if body.handed_over else "retry", why_unanswered(error, body))

    def _request(self, url: str, body: Body) -> Any:
        """POST `body`, signed."""
        headers = _JSON | signing.signed(self._secret, clock.now_ms(), body._value)
        return post(self._session, url, body, headers)


def _encode(batch: list[Submission]) -> bytes:
    senders = {submission.sender for submission in batch}
    messages = [{"id": submission.id, "to": f"+{submission.to}", "text": submission.text} for submission in batch]
    if len(senders) <= 1:
        return orjson.dumps({"from": "".join(senders), "messages": messages})
    for submission, message in zip(batch, messages, strict=True):
        message["from"] = submission.sender
    return orjson.dumps({"messages": messages})
