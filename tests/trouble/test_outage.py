"""The aggregator hangs and is then gone in the middle of a campaign, ClickHouse too for a while: `longwave bench
outage` in short."""

from __future__ import annotations

import json

from loadtest.bench import outage

WAITING = "waiting_for_aggregator:local: "
HANGS = {"no_answer", "no_free_connection"}
GONE = {"connection_lost", "connect", "connect_timeout"}


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
    # It hung, lost its connections when it was killed, was gone: whichever somebody saw, and each is the true cause.
    reported = {part.partition(" (")[0] for reason in details["reasons"] for part in reason.split("; ")}
    causes = {part.removeprefix(WAITING) for part in reported if part.startswith(WAITING)}
    assert causes
    assert causes <= HANGS | GONE, details["reasons"]
    assert {"worker-0", "writer", "ingress", "api", "kafka", "clickhouse", "aggregator"} == details["memory"].keys()
    assert details["seconds_until_sending_again"] < 20
