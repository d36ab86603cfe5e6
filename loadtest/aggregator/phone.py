"""How callbacks reach the ingress: signed POSTs, visits of short links; repeated until taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from adapters import clock, http
from adapters.aggregators import signing
from adapters.aggregators.settings import HttpBatchSettings
from adapters.errors import LongwaveError
from adapters.settings import Settings
from loadtest.aggregator.callbacks import Channel
from loadtest.aggregator.fates import Event

FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 3.0
GONE: Final = frozenset({404, 405, 410})
"""Answers to a visit after which a person gives up."""


def shared_secret(settings: Settings, name: str = "local") -> bytes:
    """What signs the callbacks of the account `aggregators.NAME`.

    Raises:
        LongwaveError: it is no account of the protocol that the simulated aggregator speaks.
    """
    account = settings.aggregators[name]
    if not isinstance(account, HttpBatchSettings):
        raise LongwaveError(f"aggregators.{name}: the simulated aggregator speaks http-batch, not {account.kind}")
    return account.secret.get_secret_value().encode()


class Phone:
    """Speaks to the ingress at `ingress` (URL) as the aggregator account `name`; `close` when done. `ca`: a file with
    the authority of the ingress, None for the system's."""

    def __init__(self, ingress: str, name: str, secret: bytes, ca: Path | None = None) -> None:
        self._ingress = ingress.rstrip("/")
        self._name = name
        self._secret = secret
        self._session = http.session(connections=128, timeout=15, trust=http.believing(ca))
        self.retries = 0
        self.trouble = ""
        """Why the last attempt failed, "" once one has succeeded."""

    @property
    def channels(self) -> list[Channel]:
        return [
            Channel("receipt", batch=500, parallel=8, send=self._receipts),
            Channel("text", batch=100, parallel=4, send=self._texts),
            Channel("visit", batch=1, parallel=48, send=self._visits),
        ]

    async def close(self) -> None:
        await self._session.close()

    async def _receipts(self, events: list[Event]) -> None:
        items = []
        for event in events:
            message_id, status, code = event.what
            items.append({"id": message_id, "status": status, "code": code, "at": event.due // 1_000_000})
        await self._deliver(f"/v1/receipts/{self._name}", {"receipts": items})

    async def _texts(self, events: list[Event]) -> None:
        items = []
        for event in events:
            text_id, person, sender, text = event.what
            items.append({"id": text_id, "from": person, "to": sender, "text": text, "at": event.due // 1_000_000})
        await self._deliver(f"/v1/inbound/{self._name}", {"texts": items})

    async def _deliver(self, path: str, content: dict[str, Any]) -> None:
        body = orjson.dumps(content)

        async def attempt() -> bool:
            headers = signing.signed(self._secret, clock.now_ms(), body) | {"Content-Type": "application/json"}
            async with self._session.post(self._ingress + path, data=body, headers=headers) as answer:
                text = await answer.text()
                self.trouble = "" if answer.status < 300 else f"{path}: {answer.status} {text[:200]}"
                return answer.status < 300

        await self._insist(attempt)

    async def _visits(self, events: list[Event]) -> None:
        for event in events:
            method, token, agent = event.what

            async def attempt(method: str = method, token: str = token, agent: str = agent) -> bool:
                url, headers = f"{self._ingress}/c/{token}", {"User-Agent": agent}
                async with self._session.request(method, url, headers=headers, allow_redirects=False) as answer:
                    self.trouble = "" if answer.status < 400 else f"/c/{token}: {answer.status}"
                    return answer.status < 400 or answer.status in GONE

            await self._insist(attempt)

    async def _insist(self, attempt: Callable[[], Awaitable[bool]]) -> None:
        """Repeat until it succeeds, with growing waits; only cancelling ends it."""
        wait = FIRST_WAIT
        while True:
            try:
                if await attempt():
                    return
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self.trouble = f"{type(error).__name__}: {error}"
            self.retries += 1
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
