"""The API in this process without servers: commands go nowhere, campaigns and figures are what the test says."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import orjson
from fastapi import FastAPI

from adapters.health.state import Health
from adapters.kafka.alerts import AlertsView
from adapters.settings import Settings
from api.keys import Keys
from api.server import create_app
from api.services import Services
from api.web.allowance import Allowance
from api.web.sessions import Sessions
from api.web.streams import Streams
from loadtest.sample import accounts as sample
from pipeline.campaign.statuses import apply
from pipeline.identity.api_keys import KeyText, hash_of, made
from schemas import topics
from schemas.audit import AUDIT, AuditEntry
from schemas.campaign import COMMANDS, CampaignDocument, CampaignSpec, Command
from schemas.keys import SCOPES, ApiKey
from schemas.wire import encode
from tests.account_step import StepInMemory
from tests.ledger_step import LedgerInMemory


def _no_terms(_: CampaignSpec) -> str:
    return "nothing is launched here"


@dataclass
class Fake:
    """The campaigns that are known, and what a coordinator was asked; it carries out `create`,
    `edit` and `delete` by the status machine."""

    known: dict[str, CampaignDocument] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    accounts: StepInMemory = field(default_factory=lambda: StepInMemory(Settings()))
    """With the sample account, and what a worker has made of changes."""

    def __post_init__(self) -> None:
        self.accounts = StepInMemory(Settings(), self.all)
        self.accounts.apply(tomllib.loads(sample.text()))
        self.ledger = LedgerInMemory(Settings(), self.accounts.book)

    def send(self, topic: str, value: bytes, *, key: bytes) -> asyncio.Future[None]:
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent

    async def emit(self, topic: str, value: bytes, *, key: bytes) -> None:
        if topic == topics.ACCOUNT_COMMANDS.name:
            self.accounts.take(value)
            return
        if topic == topics.LEDGER_COMMANDS.name:
            self.ledger.take(value)
            return
        command = COMMANDS.decode(value)
        assert isinstance(command, Command)
        self.commands.append(command)
        if command.action in ("create", "edit", "delete"):
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        transition = apply(self.known.get(command.campaign), command, 1, _no_terms)
        if transition.delete:
            del self.known[command.campaign]
        elif transition.document is not None:
            self.known[command.campaign] = transition.document

    def get(self, campaign: str) -> CampaignDocument | None:
        return self.known.get(campaign)

    def retries(self, campaign: str) -> list[CampaignDocument]:
        known = [document for document in self.known.values() if document.retry is not None]
        return [document for document in known if document.retry and document.retry.of == campaign]

    def all(self) -> list[CampaignDocument]:
        return list(self.known.values())

    async def wait_for(self, campaign: str, wanted: Callable[[Any], bool], timeout: float) -> CampaignDocument | None:
        assert wanted(self.get(campaign))
        return self.get(campaign)


@dataclass
class Audited(Fake):
    """Keeps what is written to the audit log."""

    entries: list[AuditEntry] = field(default_factory=list)

    def send(self, topic: str, value: bytes, *, key: bytes) -> asyncio.Future[None]:
        if topic == topics.AUDIT.name:
            self.entries.append(AUDIT.decode(value))
        return super().send(topic, value, key=key)


def key_like(text: KeyText, **fields: Any) -> ApiKey:
    """What is kept of a key that may do everything, but for `fields`."""
    kept = {"id": text.id, "name": "test", "hash": hash_of(text), "scopes": list(SCOPES), "created": 1}
    return ApiKey(**{**kept, **fields})


KEY = made(bytes(range(30)))
"""The key that `ask` sends."""
FIRST = key_like(KEY)


def served(fake: Fake, own: Sequence[ApiKey] = ()) -> FastAPI:
    """A new API process, so to say, that knows what `fake` knows, and these keys, or else `FIRST`."""

    async def fresh(_: CampaignDocument) -> None:
        return None

    figures = SimpleNamespace(
        latest=lambda _: None,
        rate=lambda _: 0.0,
        history=lambda _: [],
        fresh=fresh,
        problem="",
        down_since=0,
        store=None,
    )
    loading = asyncio.get_running_loop().create_future()
    loading.set_result(None)
    kafka = SimpleNamespace(text="", since=0)
    settings = Settings()
    app = create_app(settings)
    keys = known_keys(settings, *(own or [FIRST]))
    sessions, allowance = Sessions(settings, keys), Allowance(1000)
    app.state.services = Services(
        settings,
        fake,
        fake,
        fake.accounts.book,
        fake.accounts.view,
        fake.ledger.ledger,
        fake.ledger.view,
        read_alerts(settings),
        figures,
        kafka,
        Health("api"),
        None,
        keys,
        sessions,
        allowance,
        Streams(settings.api),
        loading,  # type: ignore[arg-type]
        loading,  # type: ignore[arg-type]
    )
    return app


def read_alerts(settings: Settings) -> AlertsView:
    """The alerts of all accounts, of which there are none, as they are read from Kafka."""
    alerts = AlertsView(settings.kafka)
    alerts._view.ready.set()
    return alerts


def known_keys(settings: Settings, *known: ApiKey) -> Keys:
    """Keys that were read from Kafka."""
    keys = Keys(settings, None)  # type: ignore[arg-type]
    for key in known:
        keys.view.apply(key.id.encode(), encode(key))
    keys.view._view.ready.set()
    return keys


async def ask(app: FastAPI, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    sent = await _sent(app, method, path, body, headers)
    return sent[0]["status"], orjson.loads(b"".join(item.get("body", b"") for item in sent[1:]))


async def raw(
    app: FastAPI, method: str, path: str, body: bytes = b"", *, scheme: str = "http", **headers: str
) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer."""
    sent = await _sent(app, method, path, body, headers, scheme)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return head, b"".join(item.get("body", b"") for item in sent[1:])


async def _sent(
    app: FastAPI, method: str, path: str, body: bytes, headers: dict[str, str], scheme: str = "http"
) -> list[Any]:
    named = {
        "host": "127.0.0.1:18080",
        "content-type": "application/json",
        "authorization": f"Bearer {KEY}",
        **headers,
    }
    # "" sends none.
    named = {name: value for name, value in named.items() if value or name != "authorization"}
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": encoded, "root_path": "", "scheme": scheme, "server": ("127.0.0.1", 18080), "http_version": "1.1",
    }  # fmt: skip
    coming = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent
