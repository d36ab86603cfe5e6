"""When each recipient is due: on their own clock, outside of quiet hours, never past the deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from pipeline.campaign.plan import CampaignPlan, compile_plan
from pipeline.campaign.when import PASSED, LocalTime
from pipeline.eligibility.decide import decide
from pipeline.eligibility.optouts import OptOuts
from pipeline.timing.quiet_hours import QuietHours
from schemas.campaign import CampaignSpec
from schemas.chunk import RecipientChunk
from schemas.lane import Work
from tests.pipeline.campaigns import ID, TERMS, document, spec

EVENING = datetime(2027, 1, 15, 1, 30, tzinfo=UTC)
"""Thursday 20:30 in New York, 17:30 in Los Angeles, 07:00 in Kolkata on Friday."""
PEOPLE = (
    (12_125_550_100, "US", "NY"),
    (13_105_550_101, "US", "CA"),
    (919_810_000_102, "IN", ""),
    (13_055_550_103, "US", "FL"),
)


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def local(text: str, zone: str) -> int:
    return ms(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def planned(
    launched: datetime = EVENING, policy: Any = "store", quiet: Any = "cautious", **changes: Any
) -> CampaignPlan:
    terms = replace(TERMS, quiet=QuietHours(quiet), unknown_zone=policy)
    return compile_plan(document(launched=ms(launched), **changes), terms)


def chunk(people: tuple[tuple[int, str, str], ...] = PEOPLE, zone: str = "") -> RecipientChunk:
    return RecipientChunk(
        campaign=ID,
        revision=2,
        message=0,
        first=0,
        numbers=[number for number, _, _ in people],
        zones=[zone],
        zone=[0] * len(people),
        countries=[country for _, country, _ in people],
        country=list(range(len(people))),
        regions=[region for _, _, region in people],
        region=list(range(len(people))),
        fields={},
    )


def dues(work: Work) -> dict[int, tuple[int, str]]:
    """Number -> (due, why)."""
    runs = [
        (due, why)
        for (count, due), why in zip(work.dues, work.reasons or [""] * len(work.dues), strict=True)
        for _ in range(count)
    ]
    return dict(zip(work.numbers, runs, strict=True))


def test_recipients_in_quiet_hours_wait_for_their_own_morning() -> None:
    [(_, work)] = decide(chunk(), planned(), {}, OptOuts(), ms(EVENING)).work
    assert dues(work) == {
        12_125_550_100: (ms(EVENING), ""),
        13_105_550_101: (ms(EVENING), ""),
        919_810_000_102: (local("2027-01-15T09:00", "Asia/Kolkata"), "quiet_hours"),
        13_055_550_103: (local("2027-01-15T08:00", "America/New_York"), "quiet_hours"),  # Florida ends at 20:00
    }
    assert dict(zip(work.numbers, (work.zones[index] for index in work.zone), strict=True)) == {
        12_125_550_100: "US-NY America/New_York",
        13_105_550_101: "US-CA America/Los_Angeles",
        919_810_000_102: "IN Asia/Calcutta",
        13_055_550_103: "US-FL America/New_York",
    }


def test_a_transactional_message_goes_at_any_hour_and_without_a_zone() -> None:
    people = ((12_125_550_100, "US", "FL"), (888_100_000_000, "", ""))
    plan = planned(policy="skip", transactional=True)
    [(_, work)] = decide(chunk(people), plan, {}, OptOuts(), ms(EVENING)).work
    assert {due for due, _ in dues(work).values()} == {ms(EVENING)}
    assert len(work.numbers) == 2


def test_a_recipient_of_unknown_zone_is_skipped_or_gets_store_time() -> None:
    nowhere = ((8_881_000_000_000, "", ""),)
    skipped = decide(chunk(nowhere), planned(policy="skip"), {}, OptOuts(), ms(EVENING))
    assert [group.reason for status in skipped.statuses for group in status.groups] == ["unknown_zone"]
    [(_, work)] = decide(chunk(nowhere), planned(), {}, OptOuts(), ms(EVENING)).work
    assert work.zones == [" America/New_York"]


def test_the_zone_of_the_contact_wins() -> None:
    [(_, work)] = decide(chunk(PEOPLE[:1], zone="Asia/Tokyo"), planned(), {}, OptOuts(), ms(EVENING)).work
    assert work.zones == ["US-NY Asia/Tokyo"]


def test_due_past_the_deadline_is_due_at_the_deadline_where_the_lane_lets_it_expire() -> None:
    deadline = datetime(2027, 1, 15, 3, 0, tzinfo=UTC)
    [(_, work)] = decide(chunk(), planned(deadline=deadline.isoformat()), {}, OptOuts(), ms(EVENING)).work
    assert dues(work)[919_810_000_102] == (ms(deadline), "quiet_hours")
    assert dues(work)[12_125_550_100] == (ms(EVENING), "")


@pytest.mark.parametrize(
    ("if_passed", "new_york"),
    [
        ("next_day", local("2027-01-15T18:00", "America/New_York")),
        ("at_once", ms(EVENING)),
        ("skip", None),
    ],
)
def test_a_local_time_is_on_each_clock(if_passed: str, new_york: int | None) -> None:
    plan = planned(send_at="2027-01-14T18:00:00", local_time=True, if_passed=if_passed)
    decision = decide(chunk(PEOPLE[:2]), plan, {}, OptOuts(), ms(EVENING))
    actual = dues(decision.work[0][1])
    assert actual[13_105_550_101] == (local("2027-01-14T18:00", "America/Los_Angeles"), "")
    assert actual.get(12_125_550_100, (None, ""))[0] == new_york
    reasons = [group.reason for status in decision.statuses for group in status.groups]
    assert reasons == ([] if new_york else ["local_time_passed"])


def test_a_local_time_that_falls_into_the_night_waits_for_the_morning() -> None:
    plan = planned(send_at="2027-01-15T22:00:00", local_time=True)
    [(_, work)] = decide(chunk(PEOPLE[:1]), plan, {}, OptOuts(), ms(EVENING)).work
    assert dues(work)[12_125_550_100] == (local("2027-01-16T08:00", "America/New_York"), "quiet_hours")


def test_of_several_zones_the_last_to_get_there_counts() -> None:
    both = ("America/New_York", "America/Los_Angeles")
    at = LocalTime(datetime(2027, 1, 15, 10, 0), "skip")  # noqa: DTZ001 - on each recipient's own clock
    assert at.due(both, ms(EVENING)) == local("2027-01-15T10:00", "America/Los_Angeles")
    assert at.due(both, local("2027-01-15T10:01", "America/Los_Angeles")) == PASSED


def test_a_local_time_long_ago_is_the_next_one_to_come() -> None:
    at = LocalTime(datetime(2020, 2, 29, 10, 0), "next_day")  # noqa: DTZ001
    assert at.due(("America/New_York",), ms(EVENING)) == local("2027-01-15T10:00", "America/New_York")


def test_a_local_time_that_the_change_of_clocks_leaves_out() -> None:
    at = LocalTime(datetime(2027, 3, 14, 2, 30), "skip")  # noqa: DTZ001
    assert at.due(("America/New_York",), 0) == local("2027-03-14T03:30", "America/New_York")


@pytest.mark.parametrize("send_at", [None, "2027-01-15T10:00:00Z"])
def test_a_local_time_has_no_offset(send_at: str | None) -> None:
    with pytest.raises(ValidationError, match="local_time = true needs a send_at without an offset"):
        CampaignSpec.model_validate({**spec(), "send_at": send_at, "local_time": True})


@pytest.mark.parametrize("hours_late", [1, 3])
def test_work_that_is_judged_late_says_when_it_was_planned(hours_late: int) -> None:
    """Machines were down when the campaign was due. Who could have gone then is late, though it is night by now; who
    could not waits for the morning and is not."""
    plan = planned()
    now = ms(EVENING) + hours_late * 3_600_000
    [(_, work)] = decide(chunk(), plan, {}, OptOuts(), now).work
    actual = dues(work)
    assert work.at == now
    assert actual[13_105_550_101] == (plan.due, ""), "California is awake"
    assert actual[12_125_550_100][0] == plan.due, "New York sleeps since nine"
    morning = local("2027-01-15T08:00", "America/New_York")
    assert actual[13_055_550_103] == (morning, "quiet_hours"), "Florida slept already"
    assert actual[919_810_000_102][0] == local("2027-01-15T09:00", "Asia/Kolkata")
