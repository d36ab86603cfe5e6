"""The command line of a running stack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.main import run
from tests.api.live import Live


@pytest.fixture
def stack(live: Live, monkeypatch: pytest.MonkeyPatch) -> Live:
    live.set(monkeypatch)
    return live


class Terminal:
    """Runs `longwave campaign …`; `said` and `error` are what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.said = self.error = ""

    def __call__(self, *words: str, code: int = 0) -> str:
        self._capsys.readouterr()
        got = run(["campaign", *words])
        self.said, self.error = self._capsys.readouterr()
        assert got == code, f"{words}: exit {got}, said {self.said!r}, error {self.error!r}"
        return self.said.strip()

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json", "-"))


@pytest.fixture
def campaign(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)
