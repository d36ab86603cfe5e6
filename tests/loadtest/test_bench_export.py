"""`longwave bench export` on a small campaign: all rows in each format, and memory that is bounded."""

from __future__ import annotations

from api.exporting import PAGES
from loadtest.bench.export import CLIENT_MB, SERVER_MB, run

RECIPIENTS = 300_000


def test_the_bench_exports_all_rows_in_each_format() -> None:
    result = run(RECIPIENTS)
    assert result.limit is not None
    assert 0 < result.figure < 10 * result.limit
    for kind in PAGES:
        row = result.details[kind]
        assert row["rows_per_second"] >= result.figure
        assert 0 < row["server_mb"] <= SERVER_MB
        assert row["client_mb"] <= CLIENT_MB
    assert result.ok
    assert 0 < result.details["retry_list"]["recipients"] < RECIPIENTS
