"""Looks at one campaign through the API, three a second, all through the trouble."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from adapters.settings import Settings
from adapters.terminal import UserError
from cli.client import api_of

PAUSE = 0.3
"""Seconds between an answer and the next look."""


@dataclass(slots=True)
class Looks:
    """`found` are the answers in order, `refused` the looks that had none (the API or Kafka away)."""

    settings: Settings
    campaign: str
    history: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=f"looks-{self.campaign}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)

    def conserved(self) -> int:
        """How many looks had figures of a frozen audience; each must have had everybody in exactly one state."""
        frozen = [item for item in self.history if item["figures"] and item["figures"]["targeted"]]
        for item in frozen:
            figures = item["figures"]
            assert figures["residual"] == 0, figures
            assert (
                sum(figures["states"].values()) == figures["targeted"] == item["recipients"] or not item["recipients"]
            )
            assert all(count >= 0 for count in figures["states"].values()), figures
        return len(frozen)

    def reasons(self) -> list[str]:
        """The distinct reasons that the campaign showed, in order."""
        return list(dict.fromkeys(item["reason"] for item in self.history if item["reason"]))

    def _run(self) -> None:
        client = api_of(self.settings, timeout=60.0)
        while not self._stop.is_set():
            try:
                self.history.append({**client.get(f"/v1/campaigns/{self.campaign}"), "looked": time.monotonic()})
            except UserError as error:
                self.refused.append(str(error))
            self._stop.wait(PAUSE)
