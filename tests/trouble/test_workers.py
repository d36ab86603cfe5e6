"""Workers killed, ended and joined while a campaign goes out, and campaigns steered in the middle."""

from __future__ import annotations

import re
import signal
import time
import urllib.request

import pytest

from cli.accounts.book import stored_book
from devstack import ready
from loadtest.bench.lane_log import records
from schemas.lane import Control, Intent, LaneRecord
from tests.trouble.account import accounted
from tests.trouble.scene import Campaign, Scene, wait_until


@pytest.fixture(scope="module")
def stage(shared_stage: Scene) -> Scene:
    return shared_stage


OF_ALL = {"longwave_build_info", "longwave_clock_seconds"}
OF_READERS = {"longwave_worker_ready", "longwave_step_dead_letters_total", "longwave_consumer_lag_records"}
METRICS_OF = {
    "worker-0": {
        *OF_ALL, *OF_READERS, "longwave_lane_queued_recipients", "longwave_senders", "longwave_lane_late_seconds",
        "longwave_lane_messages_total", "longwave_due_to_aggregator_seconds_bucket", "longwave_table_keys",
        "longwave_aggregator_connections_used",
    },
    "writer": {
        *OF_ALL, *OF_READERS, "longwave_freshness_seconds", "longwave_writer_insert_seconds_bucket",
        "longwave_unknown_recipients", "longwave_campaign_freshness_seconds", "longwave_clickhouse_table_rows",
    },
    "api": {*OF_ALL, "longwave_api_requests_total"},
    "ingress": {*OF_ALL, "longwave_ingress_requests_total", "longwave_receipts_total"},
    "aggregator": {"longwave_simulator_requests_total"},
}  # fmt: skip
"""What a process exports, and none of the others but for what several do."""
SHARED = OF_ALL | OF_READERS


def test_a_process_exports_what_it_knows_and_its_figures_are_fresh_while_a_campaign_waits(stage: Scene) -> None:
    with stage.sending(8000) as campaign:
        campaign.until_arrived(500)
        stage.longwave("campaign", "pause", campaign.id)
        series = f'longwave_campaign_residual{{campaign="{campaign.id}"}} 0.0'
        wait_until("the residual is exported", lambda: series in metrics(stage, "writer"))
        time.sleep(5)
        assert freshness(stage) < 4
        pages = {name: metrics(stage, name) for name in METRICS_OF}
        stage.longwave("campaign", "cancel", campaign.id)
        accounted(campaign, ends=("canceled",))
    for name, own in METRICS_OF.items():
        others = set().union(*METRICS_OF.values()) - own - SHARED
        exported = {line.partition("{")[0].partition(" ")[0] for line in pages[name].splitlines()}
        assert own <= exported, name
        assert not others & exported, name


def metrics(stage: Scene, name: str) -> str:
    settings = stage.settings
    at = {
        "worker-0": f"http://127.0.0.1:{settings.metrics_port}",
        "writer": f"http://127.0.0.1:{settings.metrics_port - 1}",
        "api": f"http://127.0.0.1:{settings.metrics_port - 2}",
        "ingress": f"http://127.0.0.1:{settings.metrics_port - 3}",
        "aggregator": settings.aggregator.url,
    }
    with urllib.request.urlopen(f"{at[name]}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def lanes_told_of(stage: Scene, index: int) -> set[int]:
    """Lanes of which a worker exports anything."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{stage.settings.metrics_port + index}/metrics", timeout=30
    ) as answer:
        return {int(lane) for lane in re.findall(r'longwave_lane_\w+{lane="(\d+)"}', answer.read().decode())}


def is_ready(stage: Scene, index: int) -> bool:
    return ready.says_ready(f"http://127.0.0.1:{stage.settings.metrics_port + index}/readyz")


def freshness(stage: Scene) -> float:
    lines = metrics(stage, "writer").splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("longwave_freshness_seconds "))


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
            wait_until("both are ready", lambda: is_ready(stage, 0) and is_ready(stage, 1))
            lanes = {int(lane) for lane in re.findall(r"lane (\d+) is ours", stage.log("worker-1"))}
            assert len(lanes & set(stage.stack.sender().lanes)) == 1
            # What the first had before it lost it is the second's to tell.
            wait_until("each tells of its own lanes", lambda: lanes_told_of(stage, 1) == lanes)
            assert lanes_told_of(stage, 0) == stored_book(stage.settings).carrying() - lanes
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
        paused = campaign.until("nothing is in flight", lambda shown: not shown["figures"]["states"]["in_flight"])
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
    for lane in stage.stack.sender().lanes:
        log = dict(records(stage.settings.kafka.bootstrap, lane))
        held = False
        for record in log.values():
            if isinstance(record, Control) and record.campaign == campaign.id:
                held = record.state in states
            if isinstance(record, Intent):
                (forbidden if held else allowed).update(members(campaign, log, record))
    return (forbidden - allowed) & stage.arrivals.of(campaign.id)


def members(campaign: Campaign, log: dict[int, LaneRecord], intent: Intent) -> set[str]:
    actual: set[str] = set()
    for chunk, start, stop in [
        slice_ for pick in intent.picks if pick.campaign == campaign.id for slice_ in pick.slices
    ]:
        actual |= {f"{campaign.id}-0-{ordinal}" for ordinal in log[chunk].ordinals[start:stop]}  # type: ignore[union-attr]
    return actual
