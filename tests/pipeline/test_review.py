"""The review before a launch: problems, warnings, segments and cost over given facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.review import AccountFacts, AudienceFacts, Review, instant, review
from schemas.campaign import CampaignSpec

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
ACCOUNT = AccountFacts(
    site_name="Harbor & Pine",
    store_zone="America/New_York",
    prices={"US": 10_000, "FR": 80_000},
    price_default=40_000,
    segments_per_second=100.0,
    link="http://127.0.0.1:18081/c/" + "0" * 23,
)
PEOPLE = AudienceFacts(
    recipients=1000,
    countries={"US": 900, "FR": 100},
    with_value={"first_name": 900},
    sample=[{"first_name": "Ann"}] * 9 + [{}],
)


def reviewed(audience: AudienceFacts = PEOPLE, account: AccountFacts | None = ACCOUNT, **changes: Any) -> Review:
    values = {"name": "x", "audience": {"lists": ["a"]}, "messages": [{"text": "Hi"}], **changes}
    return review(CampaignSpec.model_validate(values), account, "" if account else "no account", audience, NOW)


def whats(findings: tuple[Any, ...]) -> str:
    return "; ".join(f"{one.where}: {one.what}" for one in findings)


def test_nothing_wrong_gives_exact_segments_and_cost_for_a_fixed_text() -> None:
    found = reviewed()
    assert (found.problems, found.warnings) == ((), ())
    assert (found.recipients, found.segments, found.seconds) == (1000, 1000, 10.0)
    assert found.cost == 900 * 10_000 + 100 * 80_000
    assert found.texts[0].example == "Harbor & Pine: Hi"


def test_recipients_of_no_known_country_cost_the_default() -> None:
    assert reviewed(AudienceFacts(recipients=3, countries={"US": 1})).cost == 10_000 + 2 * 40_000


def test_two_parts_cost_twice_and_are_a_warning() -> None:
    found = reviewed(messages=[{"text": "a" * 161}])
    assert found.segments == 2000
    assert "100% of the texts take more than one segment of 160" in whats(found.warnings)


def test_one_character_outside_gsm7_is_named() -> None:
    found = reviewed(messages=[{"text": "ç" + "a" * 80}])
    assert found.texts[0].encoding == "ucs2"
    assert "'ç' is not in GSM-7" in whats(found.warnings)


@pytest.mark.parametrize(
    ("text", "problem", "warning"),
    [
        ("Hi {first_name}", "", "100 recipients have no {first_name}"),
        ("Hi {first_name|you}", "", ""),
        ("Hi {nobody_has_it}", "no contact of the audience has a value of {nobody_has_it}", ""),
        ("Hi {nobody_has_it|you}", "", "everybody gets its default"),
        ("Hi {", "never closed", ""),
        ("Go {link}", "{link} leads nowhere", ""),
        ("Go {link:shop}", "{link:shop} leads nowhere", ""),
    ],
)
def test_templates(text: str, problem: str, warning: str) -> None:
    found = reviewed(messages=[{"text": text}])
    assert bool(found.problems) == bool(problem)
    assert problem in whats(found.problems)
    assert bool(found.warnings) == bool(warning)
    assert warning in whats(found.warnings)


@pytest.mark.parametrize(
    ("changes", "problem", "warning"),
    [
        ({"send_at": "2026-11-21T10:59:00Z"}, "send_at: 2026-11-21 10:59 UTC is past", ""),
        ({"send_at": "2026-11-21T11:30:00Z"}, "", "is just past"),
        ({"send_at": "2026-11-21T07:30:00"}, "", ""),  # 12:30 UTC in New York
        ({"deadline": "2026-11-21T12:00:00Z"}, "deadline: 2026-11-21 12:00 UTC is past", ""),
        ({"send_at": "2026-11-22T12:00:00Z", "deadline": "2026-11-22T12:00:00Z"}, "is not after send_at", ""),
        ({"send_at": "2026-11-22T12:00:00Z", "deadline": "2026-11-22T12:01:00Z"}, "", ""),
    ],
)
def test_times(changes: dict[str, str], problem: str, warning: str) -> None:
    found = reviewed(**changes)
    assert bool(found.problems) == bool(problem)
    assert problem in whats(found.problems)
    assert bool(found.warnings) == bool(warning)
    assert warning in whats(found.warnings)


def test_audience_and_account() -> None:
    assert "no list 'b'" in whats(reviewed(AudienceFacts(recipients=0, unknown_lists=["b"])).problems)
    assert "nobody to send to: a hold" in whats(reviewed(AudienceFacts(recipients=0)).problems)
    assert "sender: no account" in whats(reviewed(account=None).problems)
    refused = [(f"{n}", "not_possible") for n in range(7)]
    assert "7 left out: '0' (not_possible)" in whats(
        reviewed(AudienceFacts(recipients=1, refused_numbers=refused)).warnings
    )


def test_local_times_around_changes_of_clocks() -> None:
    # 2026-11-01 01:30 comes twice in New York: the first is meant. 2026-03-08 02:30 does not come: it is 03:30.
    assert instant(datetime(2026, 11, 1, 1, 30), "America/New_York") == 1_793_511_000_000  # noqa: DTZ001
    assert instant(datetime(2026, 3, 8, 2, 30), "America/New_York") == 1_772_955_000_000  # noqa: DTZ001
