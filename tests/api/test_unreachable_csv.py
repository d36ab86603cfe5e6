"""The export of unreachable numbers holds nothing that a spreadsheet runs, and its numbers stay numbers."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from types import SimpleNamespace

from adapters.clickhouse.unreachable import Listed
from adapters.settings import Settings
from api.routes_unreachable import _csv


def test_formulas_are_neutralised() -> None:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    rows = [
        Listed(12125550123, "landline", at, "demo", "4f7k2q9z"),
        Listed(12125550124, "=cmd|'/c calc'!A1", at, "@account", "+1+2"),
    ]
    shared = SimpleNamespace(settings=Settings())
    text = b"".join(_csv(shared, rows, iter([]))).decode()  # type: ignore[arg-type]
    found = list(csv.DictReader(text.splitlines()))
    assert [one["number"] for one in found] == ["+12125550123", "+12125550124"]
    assert found[1]["reason"] == "'=cmd|'/c calc'!A1"
    assert (found[1]["account"], found[1]["campaign"]) == ("'@account", "'+1+2")
    assert found[0]["reason"] == "landline"
