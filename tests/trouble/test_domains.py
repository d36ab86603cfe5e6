"""Domains of links on the whole stack, with senders in two lanes and a worker that is killed: no domain carries more
than it may, the campaign is suspended when all have, and goes on to its end when one is added."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from loadtest.aggregator.record import entries
from tests.trouble.scene import Campaign, Scene, wait_until

# Receipts and clicks play no part; the aggregator is slow enough to be killed in the middle.
SCRIPT = "idempotency_keys = false\nreceipts = false\nlatency = {median = 0.02, sigma = 0.2}\n"
ACCOUNT = "/v1/accounts/linked"
LINK = re.compile(r"http://([^/:]+):\d+/c/")
GO, TO, MORE = "go.localhost", "to-and-fro.localhost", "more.localhost"
LIMITS = {GO: 500, TO: 401}


@pytest.fixture(scope="module")
def stage(scripted_stage: Scene) -> Scene:
    scripted_stage.scripted(SCRIPT)
    scripted_stage.longwave("accounts", "set", "linked", "site_name=Harbor")
    sender = ("number=+18885550109", "segments_per_second=300", "lanes=[0, 1]")
    scripted_stage.longwave("senders", "set", "linked/main", *sender)
    for domain, messages in LIMITS.items():
        scripted_stage.longwave("domains", "add", "linked", domain, "--messages", str(messages))
    return scripted_stage


def arrived(campaign: Campaign) -> dict[str, str]:
    """Message id → the host of its link, of all that reached the aggregator."""
    hosts: dict[str, str] = {}
    for entry in entries(campaign.scene.arrivals.folder):
        for message in entry.batch().messages:
            if message.id.startswith(f"{campaign.id}-"):
                [host] = LINK.findall(message.text)
                assert hosts.setdefault(message.id, host) == host
    return hosts


def used(stage: Scene) -> dict[str, int]:
    """What the lanes have told of each domain."""
    return {item["domain"]: item["used"] for item in stage.api.get(f"{ACCOUNT}/domains")["domains"]}


def alerts(stage: Scene) -> list[dict[str, Any]]:
    return [item for item in stage.api.get(f"{ACCOUNT}/alerts")["alerts"] if item["about"] == "domains_nearly_used"]


def test_no_domain_carries_more_than_it_may_though_the_worker_is_killed(stage: Scene) -> None:
    campaign = stage.draft(2_000, account="linked", sender="main")
    review = stage.api.get(f"/v1/campaigns/{campaign.id}/review")
    assert any("room for 901 more messages and this needs 2,000" in item["what"] for item in review["warnings"])
    stage.api.send("POST", f"/v1/campaigns/{campaign.id}/launch")
    campaign.until_arrived(200)
    stage.kill("worker-0")
    shown = campaign.until("suspended", lambda shown: shown["status"] == "suspended")
    assert shown["reason"] == "domains_used_up:short links of linked"
    wait_until("all of it is used, though it was divided over two lanes", lambda: used(stage) == LIMITS)
    assert [item["subject"] for item in alerts(stage)] == ["short"]

    stage.longwave("domains", "add", "linked", MORE)
    campaign.until("sent", lambda shown: shown["status"] in ("sent", "finished"))
    wait_until("the lanes have told all", lambda: sum(used(stage).values()) == campaign.recipients)
    hosts = arrived(campaign)
    unknown = set(campaign.ids("unknown"))
    counts = Counter(hosts.values())
    for domain, limit in LIMITS.items():
        assert counts[domain] <= limit
    # Whoever is unknown counts for a domain, and may have arrived or not.
    missing = unknown - set(hosts)
    assert len(missing) <= stage.window
    assert sum(counts.values()) + len(missing) == campaign.recipients == sum(used(stage).values())
    if not missing:
        assert counts == used(stage)
    assert stage.arrivals.count(campaign.id) == len(hosts), "nobody got it twice"
    assert stage.letters() == []


def test_without_an_active_domain_a_launch_is_refused_and_others_go_on(stage: Scene) -> None:
    for domain in (GO, TO, MORE):
        stage.longwave("domains", "set", "linked", domain, "active=false")
    linked = stage.draft(100, account="linked", sender="main")
    plain = stage.draft(100, account="linked", sender="main", messages=[{"text": "No link"}])
    refusal = stage.longwave("campaign", "launch", linked.id, code=1)
    assert "there is no domain for short links of linked" in refusal
    stage.api.send("POST", f"/v1/campaigns/{plain.id}/launch")
    plain.until("sent", lambda shown: shown["status"] in ("sent", "finished"))
    assert plain.arrived() == 100
