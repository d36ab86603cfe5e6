"""Workers killed, ended and joined while a campaign goes out, and campaigns steered in the middle."""

from __future__ import annotations

import signal

import pytest

from loadtest.bench.lane_log import records
from schemas.lane import Control, Intent, LaneRecord
from tests.trouble.account import accounted
from tests.trouble.scene import Campaign, Scene, wait_until


@pytest.fixture(scope="module")
def stage(shared_stage: Scene) -> Scene:
    return shared_stage


def test_worker_killed_in_the_middle(stage: Scene) -> None:
    with stage.sending(8000) as campaign:
        campaign.until_arrived(2000)
        stage.kill("worker-0")
        account = accounted(campaign)
    assert len(account.unknown) <= stage.window
    assert set(account.states) <= {"accepted", "unknown"}
    assert campaign.ids("unknown").keys() == account.unknown


def test_worker_ended_by_sigterm_finishes_what_it_has_in_hand(stage: Scene) -> None:
    with stage.sending(8000) as campaign:
        campaign.until_arrived(2000)
        pid = stage.signal("worker-0", signal.SIGTERM)
        stage.restarted("worker-0", pid)
        account = accounted(campaign)
    assert stage.entry("worker-0")["last_exit"] == 0
    assert account.states == {"accepted": campaign.recipients}


def test_a_second_worker_joins_and_is_killed(stage: Scene) -> None:
    # More than can be sent while a worker starts on a busy machine; the rest is canceled at the end.
    with stage.sending(60_000) as campaign:
        campaign.until_arrived(1000)
        with stage.another_worker(1) as second:
            wait_until("the second worker owns a lane", lambda: "is ours, epoch" in stage.log("worker-1"))
            campaign.until_arrived(campaign.arrived() + 2000)
            owned = stage.log("worker-0").count("is ours, epoch")
            second.kill()
            wait_until("the first has both again", lambda: stage.log("worker-0").count("is ours, epoch") >= owned + 2)
            campaign.until_arrived(campaign.arrived() + 2000)
        assert campaign.arrived() < campaign.recipients
        stage.longwave("campaign", "cancel", campaign.id)
        account = accounted(campaign, ends=("canceled",))
    assert len(account.unknown) <= stage.window
    assert set(account.states) <= {"accepted", "unknown", "canceled"}


def test_pause_and_resume(stage: Scene) -> None:
    # The command itself takes seconds on a busy machine, in which the campaign must not end.
    with stage.sending(15_000) as campaign:
        campaign.until_arrived(1000)
        assert "paused" in stage.longwave("campaign", "pause", campaign.id)
        paused = campaign.until("nothing is in flight", lambda one: not one["figures"]["states"]["in_flight"])
        assert paused["status"] == "paused"
        held = campaign.arrived()
        assert held < campaign.recipients
        assert "resumed" in stage.longwave("campaign", "resume", campaign.id)
        account = accounted(campaign)
    assert account.states == {"accepted": campaign.recipients}
    assert not submitted_after_control(stage, campaign, {"paused"})


def test_cancel_is_exact_and_final(stage: Scene) -> None:
    with stage.sending(25_000) as campaign:
        campaign.until_arrived(1500)
        assert "canceled" in stage.longwave("campaign", "cancel", campaign.id)
        account = accounted(campaign, ends=("canceled",))
    assert set(account.states) == {"accepted", "canceled"}
    assert account.states["canceled"] > 0
    assert not submitted_after_control(stage, campaign, {"canceled"})
    for word in ("resume", "pause", "launch"):
        said = stage.longwave("campaign", word, campaign.id, code=1)
        assert f"error: campaign {campaign.id} is canceled" in said
    assert campaign.arrived() == account.states["accepted"]


def submitted_after_control(stage: Scene, campaign: Campaign, states: set[str]) -> set[str]:
    """Message ids of INTENTs that the lanes' logs have while a CONTROL of these states holds, and that the
    aggregator has from no other INTENT."""
    forbidden: set[str] = set()
    allowed: set[str] = set()
    for lane in stage.settings.accounts["demo"].senders["main"].lanes:
        log = dict(records(stage.settings.kafka.bootstrap, lane))
        held = False
        for record in log.values():
            if isinstance(record, Control) and record.campaign == campaign.id:
                held = record.state in states
            if isinstance(record, Intent) and record.campaign == campaign.id:
                (forbidden if held else allowed).update(members(campaign, log, record))
    return (forbidden - allowed) & stage.arrivals.of(campaign.id)


def members(campaign: Campaign, log: dict[int, LaneRecord], intent: Intent) -> set[str]:
    found: set[str] = set()
    for chunk, start, stop in intent.slices:
        found |= {f"{campaign.id}-0-{ordinal}" for ordinal in log[chunk].ordinals[start:stop]}  # type: ignore[union-attr]
    return found
