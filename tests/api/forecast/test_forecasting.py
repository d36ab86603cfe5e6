"""The horizon of a forecast begins when the campaign may begin, and whoever asks is told what lies beyond it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from adapters.settings import Settings
from api.forecast.forecasting import HORIZON_DAYS, forecast_json, forecast_of
from api.terms import Installed
from cli.campaign.wording import _forecast_lines
from cli.forecast.command import lines
from pipeline.eligibility.rehearsal import Crowd
from schemas.campaign import CampaignSpec
from schemas.times import iso_or_none
from tests.accounts import book

START = datetime(2026, 11, 26, 10, tzinfo=UTC)
NOW = int(START.timestamp()) * 1000
DAY = 86_400_000
INSTALLED = Installed(Settings(), book())


def spec(**changes: object) -> CampaignSpec:
    said = {"name": "Ahead", "audience": {"lists": ["people"]}, "messages": [{"text": "Hi"}], **changes}
    return CampaignSpec.model_validate(said)


def crowd(recipients: int) -> Crowd:
    return Crowd(("America/New_York",), ("US", "NY"), recipients, recipients)


def test_a_campaign_that_is_sent_in_two_months_has_a_finish() -> None:
    later = START + timedelta(days=60)
    actual = forecast_of(INSTALLED, spec(send_at=later), [crowd(1000)], NOW)
    assert actual.finish is not None
    assert actual.finish >= int(later.timestamp()) * 1000
    assert actual.horizon == int(later.timestamp()) * 1000 + HORIZON_DAYS * DAY


def test_what_lies_beyond_the_horizon_is_said_by_the_answer_and_by_the_commands() -> None:
    actual = forecast_of(INSTALLED, spec(), [crowd(20_000_000_000)], NOW)
    answer = forecast_json("Ahead", "20,000,000,000 contacts", actual, {})
    assert (answer["finish"], answer["beyond_horizon"]) == (None, True)
    assert answer["horizon"] == iso_or_none(NOW + 30 * DAY)
    assert "the finish is later than the 30 days of the forecast" in answer["why"]
    reached = answer["recipients"] - answer["unreached"]
    said = "\n".join(lines(answer))
    assert f"after 2026-12-26T10:00:00.000Z, the end of the forecast; {reached:,} are submitted by then" in said
    assert f"{answer['unreached']:,} after the end of the forecast" in said
    assert "not reached" not in said
    review = "\n".join(_forecast_lines(asdict(actual)))
    assert "it will still be running at 2026-12-26 10:00 UTC, where the forecast ends" in review
