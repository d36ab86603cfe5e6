"""The ingress killed while receipts come in, and an aggregator that throttles, fails, resets and dies."""

from __future__ import annotations

import pytest

from tests.trouble.account import accounted
from tests.trouble.scene import Scene

ROUGH = """
seed = 13
idempotency_keys = false
latency = {median = 0.03, sigma = 0.5}
[errors]
"30006" = 0.01
[throttle]
rate = 0.05
segments_per_second = 1200
answer = "message"
retry_after = 0.2
[faults]
server_error = 0.02
reset = 0.02
[receipts]
delivered = 0.9
repeated = 0.05
delay = {median = 1.0, sigma = 0.5}
"""


@pytest.fixture(scope="module")
def stage(scripted_stage: Scene) -> Scene:
    scripted_stage.scripted(ROUGH)
    return scripted_stage


def test_a_faulty_aggregator_gets_no_message_twice(stage: Scene) -> None:
    with stage.sending(8000) as campaign:
        account = accounted(campaign, ends=("finished",), refusals=True)
    assert {"delivered", "undelivered", "rejected", "unknown"} == set(account.states)
    assert stage.arrivals.count(campaign.id) > campaign.arrived()
    unknown = {item["reason"] for item in account.shown["figures"]["reasons"] if item["state"] == "unknown"}
    assert unknown <= {"http:500", "connection_lost"}


def test_the_aggregator_killed_in_the_middle(stage: Scene) -> None:
    with stage.sending(8000) as campaign:
        campaign.until_arrived(2000)
        stage.kill("aggregator")
        accounted(campaign, ends=("finished",), refusals=True)


def test_the_ingress_killed_while_receipts_come_in(stage: Scene) -> None:
    with stage.sending(6000) as campaign:
        campaign.until("receipts come in", lambda shown: (shown["figures"] or NONE)["states"]["delivered"] > 300)
        stage.kill("ingress")
        account = accounted(campaign, ends=("finished",), refusals=True)
    assert "accepted" not in account.states


NONE = {"states": {"delivered": 0}}
