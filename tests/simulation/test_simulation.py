"""The simulation: the same for the same seed, residual 0 at every look, and the forecast agrees with it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.settings import Settings
from api.forecast.forecasting import forecast_of
from api.terms import Installed
from cli.campaign.spec_file import read_campaign
from cli.main import run
from cli.simulate.setup import launches_of
from loadtest.aggregator.script import Script
from loadtest.sample.campaigns import texts
from schemas.campaign import CampaignSpec
from simulation.facts import rehearsed
from simulation.run import Conditions, Outcome, simulate
from tests.accounts import book

HOUR = 3_600_000
CALM = Script.model_validate({"latency": {"median": 0.05}, "receipts": {"delay": {"median": 2}}})
CAMPAIGNS = Path(__file__).parents[2] / "loadtest" / "sample" / "campaigns"
NOON = int(datetime(2026, 11, 17, 17, tzinfo=UTC).timestamp() * 1000)
"""Tuesday noon in New York: nobody's holiday."""


def installed(
    rate: float = 5000.0, quiet: str = "none", lanes: tuple[int, ...] = (0,), lateness_hours: float = 2
) -> Installed:
    return Installed(
        Settings(),
        book(f"""
[accounts.demo]
site_name = "Harbor & Pine"
quiet_reading = "{quiet}"
lateness_hours = {lateness_hours}
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = {rate}
lanes = {list(lanes)}
"""),
    )


def spec(**changes: Any) -> CampaignSpec:
    given = {"name": "x", "audience": {"lists": ["a"]}, "messages": [{"text": "Hi {first_name|there}"}], **changes}
    return CampaignSpec.model_validate(given)


def ran(held: Installed, *specs: CampaignSpec, n: int = 3000, start: int = NOON, **more: Any) -> Outcome:
    script = more.pop("script", CALM)
    return simulate(launches_of(held, specs, n, seed=1), Conditions(script, 1, start, **more))


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    command = ["simulate", str(CAMPAIGNS / "loyalty.toml"), "--recipients", "1000", "--start", "2026-11-17T12:00"]
    for name, hashing in (("a", "1"), ("b", "2")):
        out = [f"--json={tmp_path / name}.json", f"--chart={tmp_path / name}.svg", "--seed", "7"]
        env = {**os.environ, "PYTHONHASHSEED": hashing}
        subprocess.run([sys.executable, "-m", "cli.main", *command, *out], check=True, env=env, capture_output=True)
    assert run([*command, f"--json={tmp_path / 'c'}.json", "--seed", "8"]) == 0
    for kind in ("json", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert (tmp_path / "a.json").read_bytes() != (tmp_path / "c.json").read_bytes()
    result = orjson.loads((tmp_path / "a.json").read_bytes())
    assert result["worst_residual"] == 0
    assert sum(result["states"].values()) == result["targeted"] == 1000
    assert sum(result["skips"].values()) == result["states"]["skipped"] > 0
    assert result["clicked"]["people"] > 20
    assert result["clicked"]["bots"] > 10
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()[:600]


def test_every_look_balances_through_throttling_errors_and_a_deadline() -> None:
    rough = Script.model_validate(
        {
            "latency": {"median": 0.08, "sigma": 0.8},
            "errors": {"30006": 0.05},
            "throttle": {"rate": 0.1, "retry_after": 0.5},
            "faults": {"server_error": 0.05},
            "outages": [{"start": 2, "duration": 3}],
            "receipts": {"delivered": 0.8, "delay": {"median": 1, "sigma": 0.5}},
        }
    )
    held = installed(rate=100.0, lanes=(0, 1))
    deadline = datetime.fromtimestamp(NOON / 1000 + 25, UTC)
    actual = ran(held, spec(deadline=deadline), script=rough, exact=True)
    figures = actual.tallies[0].figures()
    assert {sample.residual for sample in actual.timelines[0].samples} == {0}
    assert figures.states["expired"] > 100
    assert min(figures.states[state] for state in ("rejected", "unknown", "delivered", "undelivered")) > 0
    assert sum(figures.states.values()) == 3000
    assert figures.accepted_ever / 25 < 100, "never above the limit"


def test_a_stop_holds_back_everything_that_waits_in_any_lane() -> None:
    talkative = Script.model_validate(
        {"latency": {"median": 0.05}, "replies": {"stop": 0.3, "other": 0.1, "delay": {"median": 30, "sigma": 0.5}}}
    )
    later = datetime.fromtimestamp(NOON / 1000 + 600, UTC)
    first, second = spec(smart_sending_hours=0), spec(name="later", smart_sending_hours=0, send_at=later)
    actual = ran(installed(lanes=(0, 1)), first, second, script=talkative)
    said = actual.texts[0]
    assert said["opted_out"] == said["stop"] == pytest.approx(900, rel=0.15)
    assert said["other"] == pytest.approx(300, rel=0.2)
    before, after = (tally.figures() for tally in actual.tallies)
    # The second campaign waited in its lanes meanwhile: these are dropped there, with the reason that they have.
    assert after.reasons["skipped"]["opted_out"] == before.reasons["skipped"]["opted_out"] + said["opted_out"]
    assert after.states["accepted"] == before.states["accepted"] - said["opted_out"]
    assert before.residual == after.residual == 0
    assert ran(installed(lanes=(0, 1)), first, second, script=talkative).texts == actual.texts


def test_an_outage_opens_the_breaker_and_costs_nobody_a_message() -> None:
    away = Script.model_validate({"latency": {"median": 0.05}, "outages": [{"start": 5, "duration": 300}]})
    held = installed(rate=100.0)
    actual = ran(held, spec(), script=away, exact=True)
    figures, (timeline,) = actual.tallies[0].figures(), actual.timelines
    assert actual.outages == 1
    assert {sample.residual for sample in timeline.samples} == {0}
    during = {
        sample.states.get("accepted", 0) for sample in timeline.samples if NOON + 7_000 < sample.at < NOON + 304_000
    }
    assert len(during) == 1, "nothing is taken while it is away"
    waiting = {
        sample.states.get("in_flight", 0) for sample in timeline.samples if NOON + 12_000 < sample.at < NOON + 304_000
    }
    assert waiting == {0}, "and nobody is handed over to it"
    undisturbed = ran(held, spec(), exact=True)
    assert figures.states["accepted"] == undisturbed.tallies[0].figures().accepted_ever
    late = actual.tallies[0].last_handed - undisturbed.tallies[0].last_handed
    assert 299_000 < late < 315_000, "the outage, and at most one pause between two health checks"
    assert undisturbed.outages == 0


def test_recipients_who_would_be_too_late_after_an_outage_expire_during_it() -> None:
    away = Script.model_validate({"latency": {"median": 0.05}, "outages": [{"start": 5, "duration": 3 * 3600}]})
    actual = ran(installed(rate=100.0), spec(), script=away, exact=True)
    figures, (timeline,) = actual.tallies[0].figures(), actual.timelines
    assert figures.reasons["expired"].keys() == {"too_late"}
    assert figures.states["expired"] + figures.states["accepted"] + figures.states["skipped"] == figures.targeted
    assert {sample.residual for sample in timeline.samples} == {0}
    expired = [sample.at - NOON for sample in timeline.samples if sample.states.get("expired", 0)]
    assert 2 * HOUR < min(expired) < 2 * HOUR + 10 * 60_000, "two hours after the outage began, not when it ends"
    assert figures.states["accepted"] < 1000, "what went before it"
    patient = installed(rate=100.0, lateness_hours=0)
    assert not ran(patient, spec(), script=away, exact=True).tallies[0].figures().states["expired"]


def test_clicks_come_from_recipients_of_a_message_with_a_link() -> None:
    curious = Script.model_validate(
        {
            "latency": {"median": 0.05},
            "receipts": {"delivered": 0.5, "delay": {"median": 2}},
            "clicks": {"people": 0.4, "bots": 0.2},
        }
    )
    linked = spec(messages=[{"text": "Look: {link}", "links": {"default": "https://shop.example/"}}])
    with_link, without = (
        ran(installed(), item, script=curious).tallies[0].figures() for item in (linked, spec(smart_sending_hours=0))
    )
    assert with_link.events["clicked"]["person"] == pytest.approx(0.4 * with_link.states["delivered"], rel=0.15)
    bots = sum(count for reason, count in with_link.events["clicked"].items() if reason != "person")
    assert bots == pytest.approx(0.2 * with_link.accepted_ever, rel=0.15)
    assert with_link.residual == 0
    assert without.events == {}


def test_large_slices_give_the_course_that_productions_own_give() -> None:
    held = installed(rate=30.0)
    fine, coarse = ran(held, spec(), exact=True), ran(held, spec(), n=12_000)
    assert (fine.coarse, coarse.coarse) == (False, True)
    per_recipient = [(item.tallies[0].last_handed - NOON) / len(item.tallies[0].state) for item in (fine, coarse)]
    assert per_recipient[1] == pytest.approx(per_recipient[0], rel=0.01)


def test_nobody_is_sent_to_outside_of_the_allowed_hours() -> None:
    evening = NOON + 8 * HOUR  # 20:00 in New York; an hour later only the west is open
    actual = ran(installed(rate=0.2, quiet="cautious"), spec(), start=evening, n=4000)
    (timeline,) = actual.timelines
    handed = [
        (sample.at, sum(sample.zones["America/New_York"].get(s, 0) for s in ("accepted", "delivered", "undelivered")))
        for sample in timeline.samples
    ]
    closed = [count for at, count in handed if evening + HOUR + 60_000 <= at < evening + 12 * HOUR]
    assert len(set(closed)) == 1, "from 21:00 to 8:00 nothing goes to New York"
    assert handed[-1][1] > closed[0]


@pytest.mark.parametrize("name", sorted(texts()))
@pytest.mark.parametrize(("quiet", "start"), [("none", NOON), ("cautious", NOON + 7 * HOUR)])
def test_the_forecast_is_within_five_percent_of_the_simulation(
    name: str, quiet: str, start: int, record_property: Any
) -> None:
    held, written = installed(rate=0.4, quiet=quiet, lanes=(0, 1)), read_campaign(CAMPAIGNS / name)
    (launch,) = launches_of(held, [written], 8_000, seed=3)
    actual = simulate([launch], Conditions(CALM, 1, start))
    simulated = (actual.tallies[0].last_handed - start) / 1000
    crowds = rehearsed(launch.audience, actual.plans[0], start).crowds.values()
    ahead = forecast_of(held, written, crowds, start, latency=0.05)
    assert ahead.seconds is not None
    off = abs(ahead.seconds / simulated - 1)
    record_property(
        "tried", f"forecast of {name}, quiet hours {quiet}: {off:.2%} off the simulated {simulated:,.0f} s"
    )
    assert off <= 0.05, ahead.why
    assert ahead.unreached == 0


def test_campaigns_that_share_a_lane_take_the_time_that_the_forecast_says() -> None:
    from pipeline.insight.forecast import CompetingCampaign, Precedence
    from pipeline.lane.scheduler import rank_of

    held, mine, other = installed(rate=10.0), spec(weight=1), spec(name="other", weight=3, smart_sending_hours=0)
    launches = launches_of(held, [mine.model_copy(update={"smart_sending_hours": 0}), other], 6000, seed=1)
    actual = simulate(launches, Conditions(CALM, 1, NOON))
    acted = rehearsed(launches[0].audience, actual.plans[0], NOON)
    competitor = CompetingCampaign("other", acted.segments, Precedence(rank_of("normal", None), 3))
    ahead = forecast_of(held, mine, acted.crowds.values(), NOON, [competitor], latency=0.05)
    assert ahead.seconds == pytest.approx((actual.tallies[0].last_handed - NOON) / 1000, rel=0.05)
    assert "other campaigns on its lanes add" in ahead.why


def test_a_deadline_leaves_as_many_unreached_as_the_simulation() -> None:
    held = installed(rate=5.0, quiet="cautious")
    deadline = datetime.fromtimestamp(NOON / 1000 + 1200, UTC)
    written = spec(deadline=deadline)
    (launch,) = launches_of(held, [written], 10_000, seed=1)
    actual = simulate([launch], Conditions(CALM, 1, NOON))
    expired = actual.tallies[0].figures().states["expired"]
    crowds = rehearsed(launch.audience, actual.plans[0], NOON).crowds.values()
    ahead = forecast_of(held, written, crowds, NOON, latency=0.05)
    assert ahead.unreached == pytest.approx(expired, rel=0.05)
    assert "are not reached before the deadline" in ahead.why
    assert ahead.finish is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["simulate", "nowhere.toml"], "cannot read nowhere.toml"),
        (["simulate", str(CAMPAIGNS / "loyalty.toml"), "--chart", "x.gif"], "FILE.svg or FILE.png"),
        (["simulate", str(CAMPAIGNS / "loyalty.toml"), "--recipients", "5", "--start", "soon"], "not a time"),
        (["forecast", "nowhere.toml"], "cannot read nowhere.toml"),
        (["forecast", str(CAMPAIGNS / "loyalty.toml"), "--recipients", "5", "--start", "soon"], "not a time"),
        (["explain", "nothing!", "+12125550100"], "no campaign 'nothing!'"),
        (["explain", "0000000a", "call me"], "is not a telephone number"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
