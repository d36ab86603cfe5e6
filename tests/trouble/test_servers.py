"""Kafka and ClickHouse killed, stopped and away while a campaign goes out."""

from __future__ import annotations

import time

import pytest

from tests.trouble.account import accounted
from tests.trouble.scene import Scene, wait_until

SCRIPT = """
idempotency_keys = false
[receipts]
delivered = 0.9
delay = {median = 0.3, sigma = 0.3}
"""


@pytest.fixture(scope="module")
def stage(scripted_stage: Scene) -> Scene:
    scripted_stage.scripted(SCRIPT)
    return scripted_stage


def test_every_recipient_is_in_one_state_at_every_look(stage: Scene) -> None:
    with stage.sending(6000) as campaign:
        account = accounted(campaign, ends=("finished",))
    assert account.unknown == set()
    assert {"delivered", "undelivered"} == set(account.states)
    looks = [item["looked"] for item in campaign.looks.history]
    assert len({item["figures"]["as_of"] for item in campaign.looks.history if item["figures"]}) >= 10
    assert len({tuple(item["figures"]["states"].values()) for item in campaign.looks.history if item["figures"]}) >= 4
    assert len(looks) >= (looks[-1] - looks[0]) / 5 or not campaign.looks.refused


def test_clickhouse_killed_in_the_middle(stage: Scene) -> None:
    with stage.sending(8000) as campaign:
        campaign.until_arrived(1500)
        stage.kill("clickhouse")
        account = accounted(campaign, ends=("finished",))
    assert account.unknown == set()


def test_clickhouse_hangs_in_the_middle_and_sending_goes_on(stage: Scene) -> None:
    with stage.sending(12_000) as campaign:
        campaign.until_arrived(1500)
        with stage.frozen("clickhouse"):
            begin, before = time.monotonic(), campaign.arrived()
            wait_until("sending goes on", lambda: campaign.arrived() >= before + 5000)
            time.sleep(max(0.0, 12 - (time.monotonic() - begin)))
            shown = campaign.show()
            assert not shown["sources"]["clickhouse"]["ok"]
            assert shown["figures"]["age_seconds"] > 5
            assert shown["figures"]["submitted"] < campaign.arrived()
        account = accounted(campaign, ends=("finished",))
    assert account.unknown == set()


def test_clickhouse_away_when_the_audience_is_to_be_frozen(stage: Scene) -> None:
    draft, other = stage.draft(3000), stage.draft(10)
    with stage.down("clickhouse"), draft.watched():
        stage.command(draft, "launch")
        shown = draft.until("it says what it waits for", lambda shown: bool(shown["reason"]))
        assert (shown["status"], shown["recipients"]) == ("processing", 0)
        assert shown["reason"].startswith("waiting_for_clickhouse:")
        for word in ("review", "launch"):
            said = stage.longwave("campaign", word, other.id, code=1)
            assert said.startswith("error: ClickHouse cannot be reached")
            assert "\n" not in said
    with draft.watched():
        account = accounted(draft, ends=("finished",))
    assert account.shown["reason"] == ""


def test_kafka_killed_in_the_middle(stage: Scene) -> None:
    with stage.sending(10_000) as campaign:
        campaign.until_arrived(2000)
        with stage.down("kafka"):
            said = stage.longwave("campaign", "pause", campaign.id, code=1)
            assert said.startswith("error: Kafka")
            assert "\n" not in said
            campaign.until("the page says so", lambda shown: not shown["sources"]["kafka"]["ok"])
            held = campaign.arrived()
            assert held < campaign.recipients
        account = accounted(campaign, ends=("finished",))
    assert account.unknown == set()
    assert account.shown["finished"]
