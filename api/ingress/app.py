"""The ingress as an ASGI application: routes, failures as answers, metrics.

| request | answer |
|---|---|
| POST /v1/receipts/{aggregator} | 202, 400, 401, 404, 413, 503 |
| POST /v1/inbound/{aggregator} | 202, 400, 401, 404, 413, 503 |
| GET, HEAD /c/{token} | 302, 404, 503 |
| GET, HEAD, POST /o/{token} | 200, 404, 503 |
| GET /healthz | 200 while this process is alive |
| GET /readyz | 200, or 503 with what is not ready |

503 carries Retry-After: Kafka did not acknowledge, so the sender keeps what it sent and tries again.

Any Host name is answered: a STOP may come by a name that is not in the settings, and a page that leads a browser here
has neither signature nor MAC. So all domains of all accounts work, also those that were taken away; but a short link
is not followed on a domain of another account, whose good name it would use.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

from adapters import clock
from adapters.aggregators.factory import make_callbacks
from adapters.doors.names import host_name
from adapters.errors import EmitError
from adapters.health.state import Health, alive_answer, ready_answer
from adapters.ports import Emitter
from adapters.settings import Settings
from api.ingress.clicks import Campaigns, Clicks
from api.ingress.http import (
    RETRY_AFTER_SECONDS,
    Answer,
    Gone,
    Receive,
    Refused,
    Scope,
    Send,
    header,
    json_answer,
    read_body,
    send_answer,
)
from api.ingress.inbound import Inbound
from api.ingress.optouts import OptOutLinks
from api.ingress.receipts import Receipts
from pipeline.accounts.book import Accounts
from schemas.metrics import INGRESS_ITEMS, INGRESS_REQUESTS, INGRESS_SECONDS

log = logging.getLogger(__name__)

_LATER: Final = {"Retry-After": str(RETRY_AFTER_SECONDS)}
_CLIENT_GONE: Final = 499
_ANSWERS: Final = {
    "receipts": (202, 400, 401, 404, 413, 500, 503),
    "inbound": (202, 400, 401, 404, 413, 500, 503),
    "clicks": (302, 404, 500, 503),
    "optouts": (200, 404, 500, 503),
}
"""By kind, as the table above has them: counted from zero, so that an alert sees the first of each."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ingress knows of campaigns and of accounts."""

    campaigns: Campaigns
    accounts: Accounts


class Ingress:
    """The application. `ready` is set once `known` holds what was known at the start; `health` has probes of what it
    needs."""

    def __init__(self, settings: Settings, emitter: Emitter, known: Known, health: Health) -> None:
        self.ready = asyncio.Event()
        self._settings = settings
        self._callbacks = make_callbacks(settings.aggregators)
        campaigns = known.campaigns
        self._receipts = Receipts(known.accounts, emitter, campaigns, self._callbacks)
        self._inbound = Inbound(settings, known.accounts, emitter, self._callbacks)
        key = settings.token_key.get_secret_value().encode()
        self._clicks = Clicks(key, campaigns, emitter)
        self._campaigns = campaigns
        self._accounts = known.accounts
        self._health = health
        health.look(
            "campaigns", lambda: "" if self.ready.is_set() else "campaigns and accounts are being read from Kafka"
        )
        self._optouts = OptOutLinks(key, emitter, self._account_of)
        for kind, statuses in _ANSWERS.items():
            for status in statuses:
                INGRESS_REQUESTS.labels(kind, str(status))

    async def close(self) -> None:
        """Write what is still being gathered."""
        await self._receipts.close()
        await self._clicks.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the ingress speaks HTTP only, not {scope['type']}")
        started = time.perf_counter()
        kind, argument = _route(scope["path"])
        status = _CLIENT_GONE
        try:
            answer = await self._answer_or_error(kind, argument, scope, receive)
            status = answer.status
            await send_answer(send, answer)
        except Gone:
            pass
        finally:
            INGRESS_REQUESTS.labels(kind, str(status)).inc()
            INGRESS_SECONDS.labels(kind).observe(time.perf_counter() - started)

    async def _answer_or_error(self, kind: str, argument: str, scope: Scope, receive: Receive) -> Answer:
        try:
            return await self._answer(kind, argument, scope, receive)
        except Refused as refused:
            return json_answer(refused.status, {"error": refused.reason}, refused.headers)
        except EmitError as error:
            log.warning("%s not taken: %s", kind, error)
            return json_answer(503, {"error": "not recorded yet: try again"}, _LATER)
        except (Gone, asyncio.CancelledError):
            raise
        except Exception:
            # A defect. The sender is asked to repeat the request. That doubles nothing: a rejected item is
            # the same dead letter when it comes again.
            log.exception("%s failed", kind)
            return json_answer(500, {"error": "a defect of ours: it is in our log; try again later"}, _LATER)

    async def _answer(self, kind: str, argument: str, scope: Scope, receive: Receive) -> Answer:
        match kind:
            case "receipts" | "inbound":
                _require_method(scope, "POST")
                return await self._callback(kind, argument, scope, receive)
            case "clicks":
                _require_method(scope, "GET", "HEAD")
                return await self._click(argument, scope)
            case "optouts":
                _require_method(scope, "GET", "HEAD", "POST")
                return await self._opt_out(argument, scope)
            case "health":
                return json_answer(*alive_answer(self._health))
            case "readiness":
                return self._readiness()
        raise Refused(404, "no such address")

    async def _callback(self, kind: str, aggregator: str, scope: Scope, receive: Receive) -> Answer:
        if kind == "inbound" and not self.ready.is_set():
            # Whose a sender is decides whom a STOP is for.
            raise Refused(503, "starting: try again", _LATER)
        body = await self._genuine_body(aggregator, scope, receive)
        taker = self._receipts if kind == "receipts" else self._inbound
        taken = await taker.take(body, clock.now_ms(), aggregator)
        INGRESS_ITEMS.labels(kind).inc(taken.count)
        return json_answer(202, taken.answer())

    async def _genuine_body(self, aggregator: str, scope: Scope, receive: Receive) -> bytes:
        """The body of a callback that only the aggregator named in the path can have made."""
        callbacks = self._callbacks.get(aggregator)
        if callbacks is None:
            raise Refused(404, f"no aggregator {aggregator!r} is configured")
        body = await read_body(scope, receive)
        if wrong := callbacks.verify(lambda name: header(scope, name), body, clock.now_ms()):
            raise Refused(401, wrong)
        return body

    async def _click(self, token: str, scope: Scope) -> Answer:
        if not self.ready.is_set():
            raise Refused(503, "starting: try again", _LATER)
        agent = header(scope, "user-agent") or ""
        owner = self._accounts.domain_owner(host_name(header(scope, "host") or ""))
        answer = await self._clicks.follow(token, scope["method"], agent, clock.now_ms(), _purpose(scope), owner)
        INGRESS_ITEMS.labels("clicks").inc()
        return answer

    async def _opt_out(self, token: str, scope: Scope) -> Answer:
        if scope["method"] != "POST":
            return self._optouts.ask(token)
        answer = await self._optouts.opt_out(token, header(scope, "user-agent") or "", clock.now_ms())
        INGRESS_ITEMS.labels("optouts").inc()
        return answer

    def _account_of(self, campaign: str) -> str:
        """The account of a campaign; "" (every account) where it is not known, or the setting wants it so."""
        document = self._campaigns.get(campaign)
        if document is None or self._settings.consent.scope == "global":
            return ""
        return document.account

    def _readiness(self) -> Answer:
        status, content = ready_answer(self._health)
        return json_answer(status, content, _LATER if status == 503 else None)


def _route(path: str) -> tuple[str, str]:
    """(kind, argument) of a path; kind "other" where there is nothing, so that metrics keep few labels."""
    match path.split("/")[1:]:
        case ["v1", ("receipts" | "inbound") as name, argument] if argument:
            return name, argument
        case ["c", argument] | ["c", argument, ""]:
            return "clicks", argument
        case ["o", argument] | ["o", argument, ""]:
            return "optouts", argument
        case ["healthz"]:
            return "health", ""
        case ["readyz"]:
            return "readiness", ""
        case ["metrics"]:
            return "metrics", ""
    return "other", ""


def _purpose(scope: Scope) -> str:
    """The purpose that a request states: browsers and apps that fetch ahead state it in one of these headers."""
    names = ("sec-purpose", "purpose", "x-purpose", "x-moz")
    return next((value for name in names if (value := header(scope, name))), "")


def _require_method(scope: Scope, *methods: str) -> None:
    if scope["method"] not in methods:
        raise Refused(405, f"only {' and '.join(methods)}", {"Allow": ", ".join(methods)})
