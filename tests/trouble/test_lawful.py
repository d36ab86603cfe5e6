"""On the real stack: who sleeps waits and says why, a campaign for later waits as scheduled."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.clock import now_ms
from pipeline.campaign.when import LEAD_MS
from pipeline.timing.quiet_hours import QuietHours
from tests.trouble.scene import Campaign, Scene

PLACE = ("US", "NY")
TEN_MINUTES = 600_000
AWAKE, ASLEEP = 60, 40


@pytest.fixture(scope="module")
def stage(shared_stage: Scene) -> Scene:
    return shared_stage


def zone_that(is_awake: bool) -> str:
    """A zone whose clock allows messages now and for ten minutes, or forbids them for as long."""
    quiet, now = QuietHours("cautious"), now_ms()
    for hours in range(-12, 13):
        zone = f"Etc/GMT{hours:+d}" if hours else "Etc/GMT"
        start, end = quiet.window(now, (zone,), PLACE)
        if is_awake and start == now and end > now + TEN_MINUTES:
            return zone
        if not is_awake and start > now + TEN_MINUTES:
            return zone
    raise AssertionError("it is neither day nor night anywhere on earth")


@pytest.fixture(scope="module")
def people(stage: Scene) -> dict[int, str]:
    """Number -> zone, imported as list `night`."""
    zones = [zone_that(True)] * AWAKE + [zone_that(False)] * ASLEEP
    numbers = {12_125_550_100 + index: zone for index, zone in enumerate(zones)}
    file = Path(stage.data) / "night.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["phone", "first_name", "zone"])
        rows.writerows([f"+{number}", "Ann", zone] for number, zone in numbers.items())
    stage.longwave("contacts", "import", str(file), "--list", "night")
    return numbers


def launched(stage: Scene, **spec: object) -> Campaign:
    draft = stage.draft(1, account="lawful", audience={"lists": ["night"]}, **spec)
    draft.recipients = AWAKE + ASLEEP
    stage.api.send("POST", f"/v1/campaigns/{draft.id}/launch")
    return draft


def test_recipients_in_quiet_hours_wait_with_the_reason_and_are_canceled_with_the_others(
    stage: Scene, people: dict[int, str]
) -> None:
    campaign = launched(stage)
    with campaign.watched():
        shown = campaign.until(
            "the others got it",
            lambda shown: bool(shown["figures"]) and shown["figures"]["states"]["accepted"] == AWAKE,
        )
        assert shown["figures"]["states"]["delayed"] == ASLEEP
        reasons = [item for item in shown["figures"]["reasons"] if item["state"] == "delayed"]
        assert reasons == [{"state": "delayed", "reason": "quiet_hours", "count": ASLEEP}]
        awake, asleep = min(people), max(people)
        assert "held until" in stage.longwave("explain", campaign.id, f"+{asleep}")
        assert "held until" not in stage.longwave("explain", campaign.id, f"+{awake}")
        stage.longwave("campaign", "cancel", campaign.id)
        campaign.until("the sleepers are canceled", lambda shown: shown["figures"]["states"]["canceled"] == ASLEEP)
    assert campaign.looks.conserved() > 0
    assert campaign.arrived() == AWAKE


def test_transactional_messages_go_at_any_hour(stage: Scene, people: dict[int, str]) -> None:
    campaign = launched(stage, transactional=True)
    campaign.until_arrived(len(people))


def test_a_campaign_for_later_is_scheduled_and_then_waits_in_its_lanes(stage: Scene, people: dict[int, str]) -> None:
    at = datetime.fromtimestamp((now_ms() + LEAD_MS + 8000) / 1000, UTC).isoformat()
    campaign = launched(stage, send_at=at, transactional=True)
    shown = campaign.until("it is scheduled", lambda shown: shown["status"] == "scheduled")
    assert not shown["figures"] or not shown["figures"]["targeted"]
    campaign.until(
        "all wait", lambda shown: bool(shown["figures"]) and shown["figures"]["states"]["delayed"] == len(people)
    )
    stage.longwave("campaign", "cancel", campaign.id)
    campaign.until("all are canceled", lambda shown: shown["figures"]["states"]["canceled"] == len(people))
    assert campaign.arrived() == 0


def test_a_scheduled_campaign_can_be_taken_back_and_deleted(stage: Scene, people: dict[int, str]) -> None:
    at = datetime.fromtimestamp((now_ms() + 2 * LEAD_MS) / 1000, UTC).isoformat()
    campaign = launched(stage, send_at=at)
    campaign.until("it is scheduled", lambda shown: shown["status"] == "scheduled")
    stage.longwave("campaign", "cancel", campaign.id)
    campaign.until("it is a draft again", lambda shown: shown["status"] == "draft")
