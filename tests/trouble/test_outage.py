"""The aggregator hangs and is then gone in the middle of a campaign, ClickHouse too for a while: `longwave bench
outage` in short."""

from __future__ import annotations

import json

from loadtest.bench import outage


def test_an_outage_of_the_aggregator_costs_memory_and_people_nothing() -> None:
    result = outage.run(minutes=0.25, recipients=12_000, rate=1500)
    details = result.details
    assert result.ok, json.dumps(details)
    assert all(details["checks"].values())
    assert len(details["checks"]) == 9
    assert details["states"].keys() <= {"delivered", "undelivered", "unknown"}
    assert sum(details["states"].values()) == 12_000
    assert 0 < details["unknown"] <= details["window"]
    assert details["breaker_open_after_s"] < details["suspended_after_s"]
    # Whichever was the last thing to fail when somebody looked.
    hanging = {f"waiting for aggregator local: {why}" for why in ("no-answer", "no-free-connection")}
    assert any(reason.partition(" (")[0] in hanging for reason in details["reasons"]), details["reasons"]
    assert {"worker-0", "writer", "ingress", "api", "kafka", "clickhouse", "aggregator"} == details["memory"].keys()
    assert details["seconds_until_sending_again"] < 20
