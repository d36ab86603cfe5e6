"""Whom `retry-failed` takes: those who were refused, not delivered to, or expired because machines were down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from api import exporting
from api.routes.changing import _failed_numbers


def test_it_takes_recipients_who_were_too_late_and_not_those_past_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def tables(store: Any, campaign: str, states: list[str]) -> list[pa.Table]:
        asked.append(states)
        rows = [
            (1, "rejected", "30006"),
            (2, "undelivered", ""),
            (3, "expired", "deadline"),
            (4, "expired", "too_late"),
        ]
        return [pa.table(dict(zip(("number", "state", "reason"), map(list, zip(*rows, strict=True)), strict=True)))]

    monkeypatch.setattr(exporting, "tables", tables)
    shared: Any = SimpleNamespace(figures=SimpleNamespace(store=None))
    assert _failed_numbers(shared, "abcdefgh") == [1, 2, 4]
    assert asked == [["rejected", "undelivered", "expired"]]
