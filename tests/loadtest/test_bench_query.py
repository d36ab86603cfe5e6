"""`longwave bench query` on a small campaign: a result of the agreed shape, with figures that add up."""

from __future__ import annotations

import json
from pathlib import Path

from loadtest.bench_query import run

RECIPIENTS = 20_000


def test_the_bench_measures_a_campaign_with_all_states(tmp_path: Path) -> None:
    result = run(RECIPIENTS, tmp_path / "query.json")
    assert json.loads((tmp_path / "query.json").read_text()) == result
    assert list(result)[:7] == ["name", "figure", "unit", "limit", "ratio", "required", "ok"]
    assert result["figure"] > 0
    details = result["details"]
    assert details["residual"] == 0
    assert all(details["states"].values())
    assert sum(details["states"].values()) == RECIPIENTS
