"""The whole local stack, for tests that speak to the API as users do."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from adapters.clickhouse import Store
from adapters.settings import Settings, load
from adapters.terminal import UserError
from cli.accounts.book import stored_book
from cli.client import Client, api_of, key_of
from cli.main import run
from devstack import ready, view
from loadtest.bench.stack import add_accounts
from loadtest.sample import accounts as sample
from schemas.accounts import SenderDocument
from tests.stack import environment, running

SCRIPT = """
seed = 5
[errors]
"21614" = 0.01
[receipts]
delivered = 0.9
[receipts.delay]
median = 0.5
least = 0.1
[clicks]
people = 0.2
bots = 0.1
[clicks.delay]
median = 2.5
least = 2.0
"""
PEOPLE = 2000
KEYS: dict[str, str] = {}
"""Address of an API → its first key."""


def authorized(url: str) -> dict[str, str]:
    """The headers with which the API at `url` takes a request."""
    key = next((key for address, key in KEYS.items() if url.startswith(address)), "")
    return {"Authorization": f"Bearer {key}"} if key else {}


def in_minutes(minutes: int) -> str:
    """A time to send at. Up to 15 minutes ahead a campaign is processed at once and waits in its lanes."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Live:
    """A running stack with `PEOPLE` lines of contacts in list `people`, and its API."""

    variables: dict[str, str]
    settings: Settings
    api: Client

    def set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let commands run in this process find the stack."""
        set_all(monkeypatch, self.variables)

    @property
    def key(self) -> str:
        """The stack's first key, which may do everything."""
        return key_of(self.settings)

    def sender(self) -> SenderDocument:
        """The sender of the sample account."""
        found = stored_book(self.settings).sender("demo", "main")
        assert found is not None, "it was added at the start"
        return found

    def pid(self, name: str) -> int:
        actual = view.gather(self.settings.data)
        assert actual is not None
        return next(int(item["pid"]) for item in actual["processes"] if item["name"] == name)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """A process that hangs: it holds its connections and answers nothing."""
        process = psutil.Process(self.pid(name))
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def create(self, **changes: Any) -> dict[str, Any]:
        """A draft to list `people`."""
        made = self.api.send("POST", "/v1/campaigns", orjson.dumps({**spec(), **changes}))
        assert made.get("carried_out") is not False, made
        return made

    def until(self, campaign: str, wanted: Callable[[dict[str, Any]], bool], timeout: float = 90) -> dict[str, Any]:
        """The campaign as soon as `wanted` holds."""
        return eventually(lambda: self.api.get(f"/v1/campaigns/{campaign}"), wanted, timeout)


def spec() -> dict[str, Any]:
    return {
        "name": "Spring sale",
        "tags": ["spring", "sale"],
        "audience": {"lists": ["people"]},
        "messages": [{"text": "Hi {first_name|there}: {link}", "links": {"default": "https://shop.example/"}}],
        "smart_sending_hours": 0,
    }


def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool], timeout: float = 30) -> Any:
    """What `ask` gives as soon as it is `wanted`; the last answer is in the failure."""
    end = time.monotonic() + timeout
    while True:
        actual = ask()
        if wanted(actual):
            return actual
        assert time.monotonic() < end, f"not within {timeout} s; last: {actual}"
        time.sleep(0.2)


@contextlib.contextmanager
def up(folder: Path) -> Iterator[Live]:
    """A stack in `folder` with its contacts."""
    script = folder / "script.toml"
    script.write_text(SCRIPT)
    variables = environment(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        set_all(patch, variables)
        settings = load()
    with running(["up", "--script", str(script)], variables, folder / "up") as child:
        ready.wait_for(
            f"the stack ({folder})",
            lambda: (view.gather(settings.data) or {}).get("state") == "ready",
            lambda: child.poll() is None,
            timeout=240,
        )
        add_accounts(settings, sample.text())
        opted_out = _import(folder, variables)
        eventually(lambda: _recorded(settings), lambda count: count == opted_out)
        KEYS[settings.api.url] = key_of(settings)
        yield Live(variables, settings, api_of(settings))


def set_all(patch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        patch.setenv(name, value)


def _import(folder: Path, variables: dict[str, str]) -> int:
    """How many of the contacts are opted out."""
    file, summary = folder / "people.csv", folder / "import.json"
    with pytest.MonkeyPatch.context() as patch:
        set_all(patch, variables)
        assert run(["sample", "contacts", "--out", str(file), "--count", str(PEOPLE)]) == 0
        assert run(["contacts", "import", str(file), "--list", "people", "--json", str(summary)]) == 0
    return int(orjson.loads(summary.read_bytes())["opted_out"])


def _recorded(settings: Settings) -> int:
    """Opt-outs that ClickHouse knows of: the writer is a moment behind Kafka."""
    return int(Store(settings.clickhouse).rows("SELECT uniqExact(number) FROM consents WHERE state = 'out'")[0][0])


def refusal(call: Callable[[], Any]) -> str:
    """The text with which the API refuses a call."""
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)
