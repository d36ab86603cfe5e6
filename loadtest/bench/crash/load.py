"""Campaigns one after the other, so that every lane has something to send all the time, and a look at each."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from adapters.settings import Settings
from adapters.terminal import UserError
from cli.client import api_of
from loadtest.bench.campaigns import TEXT

PERIOD: Final = 0.5


class Load:
    """Keeps `backlog` recipients waiting in campaigns to the list `audience`, from a thread of its own, and looks
    several times a second whether everybody of every running campaign is in exactly one state."""

    def __init__(self, settings: Settings, audience: str, recipients: int, policy: str, backlog: int) -> None:
        self._client = api_of(settings, timeout=15.0)
        self._audience = audience
        self._recipients = recipients
        self._policy = policy
        self._backlog = backlog
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.taken: Callable[[], int] = lambda: 0
        """How many messages the aggregator has taken so far."""
        self.campaigns: list[str] = []
        self.shown: dict[str, dict[str, Any]] = {}
        """The newest answer of the API about each campaign."""
        self.looks = 0
        self.refused = 0
        """Looks and launches that nobody answered (the API or what it needs was down)."""
        self.unbalanced: list[dict[str, Any]] = []
        """Figures that did not add up."""

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    def look(self) -> None:
        """One look at each campaign that is not finished yet."""
        for campaign in self.campaigns:
            if self.shown.get(campaign, {}).get("status") == "finished":
                continue
            with self._answered():
                self._take(self._client.get(f"/v1/campaigns/{campaign}"))

    def states(self, *names: str) -> int:
        """Recipients that were in these states at the last look."""
        return sum(
            shown["figures"]["states"][name] for shown in self.shown.values() for name in names if shown["figures"]
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            if len(self.campaigns) * self._recipients - self.taken() < self._backlog:
                with self._answered():
                    self._launch()
            self.look()
            self._stop.wait(PERIOD)

    def _launch(self) -> None:
        message = {"text": TEXT, "links": {"default": "https://shop.example/sale"}}
        spec = {
            "name": f"crash {len(self.campaigns)}",
            "audience": {"lists": [self._audience]},
            "unknown": self._policy,
        }
        body = orjson.dumps({**spec, "messages": [message], "smart_sending_hours": 0})
        campaign = self._client.send("POST", "/v1/campaigns", body)["id"]
        while not self._stop.is_set():
            with self._answered():
                self._client.send("POST", f"/v1/campaigns/{campaign}/launch", b"")
            # An answer that was lost says nothing: what the campaign shows does.
            with self._answered():
                if self._client.get(f"/v1/campaigns/{campaign}")["status"] != "draft":
                    self.campaigns.append(campaign)
                    return
            time.sleep(PERIOD)

    def _take(self, shown: dict[str, Any]) -> None:
        self.shown[shown["id"]] = shown
        figures = shown["figures"]
        if not figures or not figures["targeted"]:
            return
        self.looks += 1
        if figures["residual"] or sum(figures["states"].values()) != figures["targeted"]:
            self.unbalanced.append({"campaign": shown["id"], **figures})

    @contextlib.contextmanager
    def _answered(self) -> Any:
        try:
            yield
        except UserError:
            self.refused += 1
