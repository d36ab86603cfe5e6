"""`longwave bench query` on a small campaign: a result of the agreed shape, with figures that add up."""

from __future__ import annotations

import json
from pathlib import Path

from loadtest.bench.query import READS, run

RECIPIENTS = 20_000


def test_the_bench_measures_a_campaign_with_all_states(tmp_path: Path) -> None:
    result = run(RECIPIENTS)
    result.write(tmp_path / "query.json")
    written = json.loads((tmp_path / "query.json").read_text())
    assert set(written) == {
        "name", "figure", "unit", "limit", "ratio", "required", "ok", "inputs", "machine", "details"
    }  # fmt: skip
    assert result.figure > 0
    assert result.details["residual"] == 0
    assert all(result.details["states"].values())
    assert sum(result.details["states"].values()) == RECIPIENTS
    assert result.details["views_ms"].keys() == {what for what, _, _ in READS}
    assert all(taken > 0 for taken in result.details["views_ms"].values())
