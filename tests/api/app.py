"""The API in this process without servers: commands go nowhere, campaigns and figures are what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import orjson
from fastapi import FastAPI

from adapters.health.state import Health
from adapters.settings import Settings
from api.server import create_app
from api.services import Services
from schemas.campaign import COMMANDS, CampaignDocument, Command, Outcome


@dataclass
class Fake:
    """The campaigns that are known, and what a coordinator was asked; it carries out `create` and `delete`."""

    known: dict[str, CampaignDocument] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)

    async def emit(self, topic: str, value: bytes, *, key: bytes) -> None:
        command = COMMANDS.decode(value)
        assert isinstance(command, Command)
        self.commands.append(command)
        if command.action == "delete":
            self.known.pop(command.campaign, None)
        elif command.action == "create":
            assert command.spec is not None
            self.known[command.campaign] = CampaignDocument(
                id=command.campaign, spec=command.spec, status="draft", revision=1, created=1, updated=1,
                outcomes=[Outcome(command=command.id)],
            )  # fmt: skip

    def get(self, campaign: str) -> CampaignDocument | None:
        return self.known.get(campaign)

    def all(self) -> list[CampaignDocument]:
        return list(self.known.values())

    async def wait_for(self, campaign: str, wanted: Callable[[Any], bool], timeout: float) -> CampaignDocument | None:
        assert wanted(self.get(campaign))
        return self.get(campaign)


def served(fake: Fake) -> FastAPI:
    """A new API process, so to say, that knows what `fake` knows."""

    async def fresh(_: CampaignDocument) -> None:
        return None

    figures = SimpleNamespace(
        latest=lambda _: None, rate=lambda _: 0.0, history=lambda _: [], fresh=fresh, problem="", down_since=0
    )
    loading = asyncio.get_running_loop().create_future()
    loading.set_result(None)
    kafka = SimpleNamespace(text="", since=0)
    app = create_app(Settings())
    app.state.services = Services(Settings(), fake, fake, figures, kafka, Health("api"), None, loading)  # type: ignore[arg-type]
    return app


async def ask(app: FastAPI, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    named = {"host": "127.0.0.1:18080", "content-type": "application/json", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": raw, "root_path": "", "scheme": "http", "server": ("127.0.0.1", 18080), "http_version": "1.1",
    }  # fmt: skip
    coming = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], orjson.loads(b"".join(item.get("body", b"") for item in sent[1:]))
