"""The review before a launch: problems, warnings, segments and cost over given facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from pipeline.accounts.domains import Pool
from pipeline.campaign.terms import Terms
from pipeline.content.outgoing import compile_lane_message, everywhere
from pipeline.content.text_estimate import Culprit, Replaced, TextEstimate, TextSurvey
from pipeline.content.texts import NOBODY_REACHED, Finding
from pipeline.eligibility.rehearsal import Rehearsal
from pipeline.insight.review import AudienceFacts, Rehearsed, Review, review
from pipeline.timing.tz import HOUR, instant
from schemas.campaign import CampaignSpec, SiteNameRule, Wording
from schemas.lane import LaneMessage
from tests.pipeline.campaigns import TERMS

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
LAUNCHED = replace(TERMS, lateness=2 * HOUR)
PEOPLE = AudienceFacts(recipients=1000, with_value={"first_name": 900}, attributes=["city", "first_name"])
ALL_GO = Rehearsal(recipients=1000, going=1000, segments=1000, cost=900 * 10_000 + 100 * 80_000)
ONE_PART = TextEstimate(
    example="Harbor & Pine: Hi", encoding="gsm7", units=17, mean_parts=1.0, most_parts=1, recipients=1000, over_one=0,
    histogram=((1, 1000),), replaced=(), in_text=(), in_values=(), forced=0, samples=(),
)  # fmt: skip


def reviewed(
    audience: AudienceFacts = PEOPLE,
    terms: Terms | None = LAUNCHED,
    outcome: Rehearsal = ALL_GO,
    text: TextEstimate = ONE_PART,
    **changes: Any,
) -> Review:
    values = {"name": "x", "audience": {"lists": ["a"]}, "messages": [{"text": "Hi"}], **changes}
    acted = Rehearsed(outcome=outcome, texts=(text,)) if terms and audience.recipients else None
    spec = CampaignSpec.model_validate(values)
    return review(spec, terms, [] if terms else [Finding("sender", "no account")], audience, acted, NOW)


def whats(findings: tuple[Any, ...]) -> str:
    return "; ".join(f"{finding.where}: {finding.what}" for finding in findings)


def test_nothing_wrong_gives_the_figures_of_the_rehearsal() -> None:
    actual = reviewed()
    assert (actual.problems, actual.warnings) == ((), ())
    assert (actual.recipients, actual.sendable, actual.segments, actual.seconds) == (1000, 1000, 1000, 10.0)
    assert actual.cost == 900 * 10_000 + 100 * 80_000
    assert actual.texts[0].example == "Harbor & Pine: Hi"


@pytest.mark.parametrize(
    ("outcome", "problem", "warning"),
    [
        (
            Rehearsal(recipients=1960, skipped=Counter(smart_sending=1950, opted_out=10)),
            "none of 1,960 recipients will get the message: 1,950 smart_sending, 10 opted_out",
            "",
        ),
        (Rehearsal(recipients=10, expiring=10), "none of 10 recipients will get the message: 10 deadline", ""),
        (
            Rehearsal(recipients=100, skipped=Counter(a=30, b=20, c=10, d=5), going=35, segments=35),
            "",
            "65 of 100 recipients (65%) will get nothing: 30 a, 20 b, 10 c and 1 more reason",
        ),
        (Rehearsal(recipients=100, skipped=Counter(opted_out=49), going=51, segments=51), "", ""),
    ],
)
def test_a_campaign_that_reaches_few_or_no_recipients_gets_a_warning(
    outcome: Rehearsal, problem: str, warning: str
) -> None:
    actual = reviewed(outcome=outcome)
    assert actual.skipped == dict(outcome.skipped)
    assert [problem.code for problem in actual.problems] == ([NOBODY_REACHED] if problem else [])
    assert problem in whats(actual.problems)
    assert bool(actual.warnings) == bool(warning)
    assert warning in whats(actual.warnings)


def test_who_has_no_price_is_named_and_forbids_a_launch_that_nobody_else_would_get() -> None:
    some = reviewed(outcome=Rehearsal(recipients=100, skipped=Counter(no_price=10), going=90, segments=90))
    assert "10 recipients are skipped: the account's price list has no price" in whats(some.warnings)
    assert some.problems == ()
    nobody = reviewed(outcome=Rehearsal(recipients=100, skipped=Counter(no_price=60, opted_out=40)))
    (problem,) = nobody.problems
    assert problem.what.startswith("nobody who could get it has a price")
    assert problem.code != NOBODY_REACHED, "launch --allow-empty does not help"


def survey_of(text: str, first_names: list[str], *, replaces: bool = False) -> TextEstimate:
    renderer = compile_lane_message(LaneMessage(text=text, links=[], replaces_characters=replaces))
    counted = TextSurvey(renderer, everywhere("https://hp.example"))
    fields = {"first_name": first_names}
    counted.add(
        fields, renderer.segments(fields, len(first_names), everywhere("")), np.ones(len(first_names), np.bool_)
    )
    return counted.estimate()


def test_one_character_of_a_few_is_not_blamed_on_all() -> None:
    names = ["Ann"] * 97 + ["Łukasz", "Ayşe", "Ş"]
    text = survey_of("a" * 80 + " {first_name}", names)
    assert (text.over_one, text.forced, text.recipients, text.in_text) == (3, 3, 100, ())
    said = [warning.what for warning in reviewed(text=text).warnings]
    assert said[0] == "3 of 100 texts take more than one segment of 160 characters: 1.03 on average, 2 at most"
    assert said[1].startswith(
        "3 recipients (3.0%) have 70 characters a segment and not 160, because of their own values: "
    )
    for part in (
        "'Ł' in first_name (1, 1.0%)",
        "'ş' in first_name (1, 1.0%)",
        "first_name 'Łukasz', first_name 'Ayşe'",
    ):
        assert part in said[1]


def test_a_character_that_the_author_wrote_is_named_as_such() -> None:
    text = survey_of("ç" + "a" * 80, ["Ann"] * 5)
    assert (text.over_one, text.in_text, text.forced) == (5, ("ç",), 0)
    [said] = [warning.what for warning in reviewed(text=text).warnings]
    assert "5 of 5 texts take more than one segment: 2.00 on average" in said
    assert "the text itself has 'ç', not in GSM-7, so that all texts (100%)" in said


def test_what_is_replaced_is_named_and_not_blamed() -> None:
    names = ["O’Neil"] * 2 + ["Ann"] * 6 + ["Łukasz", "O’Łuk"]
    text = survey_of("It’s " + "a" * 80 + " {first_name}", names, replaces=True)
    assert text.replaced == (Replaced(character="’", by="'", texts=8),)
    assert text.histogram == ((1, 8), (2, 2))
    assert text.in_text == ()
    assert (text.forced, text.in_values) == (2, (Culprit(character="Ł", attribute="first_name", recipients=2),))
    said = whats(reviewed(text=text).warnings)
    assert "2 of 10 texts take more than one segment" in said
    assert "'Ł' in first_name (2, 20.0%)" in said
    kept = survey_of("It’s " + "a" * 80 + " {first_name}", names)
    assert (kept.replaced, kept.histogram, kept.in_text) == ((), ((2, 10),), ("’",))
    in_links = survey_of("It’s " + "a" * 60 + " https://shop.example/a–b", names, replaces=True)
    assert (in_links.replaced, in_links.in_text) == ((), ("–",)), "a link keeps its dash, so that nothing helps"


def test_texts_that_would_be_skipped_are_not_counted_as_replaced() -> None:
    renderer = compile_lane_message(LaneMessage(text="{first_name}", links=[], replaces_characters=True))
    counted = TextSurvey(renderer, everywhere(""))
    fields = {"first_name": ["It’s", "“a”", "b"]}
    counted.add(fields, renderer.segments(fields, 3, everywhere("")), np.array([True, False, True]))
    text = counted.estimate()
    assert (text.replaced, text.histogram) == ((Replaced(character="’", by="'", texts=1),), ((1, 2),))


def test_long_texts_of_plain_characters_blame_no_character() -> None:
    text = survey_of("{first_name}", ["x" * 161, "y"])
    assert (text.over_one, text.most_parts, text.example) == (1, 2, "x" * 161)
    assert [warning.what for warning in reviewed(text=text).warnings] == [
        "1 of 2 texts take more than one segment of 160 characters: 1.50 on average, 2 at most"
    ]
    # A foreign character that costs nobody a segment is not worth a warning.
    assert reviewed(text=survey_of("Hi {first_name}", ["Łukasz"])).warnings == ()


@pytest.mark.parametrize(
    ("text", "problem", "warning"),
    [
        ("Hi {first_name}", "", "100 recipients have no {first_name}"),
        ("Hi {first_name|you}", "", ""),
        ("Hi {nobody_has_it}", "no contact of the audience has a value of {nobody_has_it}", ""),
        ("Hi {nobody_has_it|you}", "", "all recipients get its default"),
        ("Hi {", "never closed", ""),
        ("Go {link}", "{link} has no address", ""),
        ("Go {link:shop}", "{link:shop} has no address", ""),
    ],
)
def test_templates(text: str, problem: str, warning: str) -> None:
    actual = reviewed(messages=[{"text": text}])
    assert bool(actual.problems) == bool(problem)
    assert problem in whats(actual.problems)
    assert bool(actual.warnings) == bool(warning)
    assert warning in whats(actual.warnings)


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
    actual = reviewed(**changes)
    assert bool(actual.problems) == bool(problem)
    assert problem in whats(actual.problems)
    assert bool(actual.warnings) == bool(warning)
    assert warning in whats(actual.warnings)


@pytest.mark.parametrize(
    ("rule", "text", "warns"),
    [
        ("check", "Sale today", True),
        ("check", "Sale at HARBOR & PINE today", False),
        ("check", "Sale at Harbor & Pinewood", True),
        ("check", "Sale, {first_name|dear}! Harbor & Pine", False),
        ("add", "Sale today", False),
        ("off", "Sale today", False),
    ],
)
def test_a_text_without_the_site_name_is_reported_where_the_account_wants_it(
    rule: SiteNameRule, text: str, warns: bool
) -> None:
    terms = replace(LAUNCHED, wording=Wording(site_name="Harbor & Pine", site_name_rule=rule))
    audience = replace(PEOPLE, with_value={"first_name": 1000})
    actual = reviewed(audience, terms, messages=[{"text": text}])
    assert actual.problems == ()
    assert [("does not say who sends it" in warning.what) for warning in actual.warnings] == [True] * warns


def test_audience_and_account() -> None:
    assert "no list 'b'" in whats(reviewed(AudienceFacts(recipients=0, unknown_lists=["b"])).problems)
    assert "no recipients: a have" in whats(reviewed(AudienceFacts(recipients=0)).problems)
    assert "sender: no account" in whats(reviewed(terms=None).problems)
    refused = [*((f"{n}", "not_possible") for n in range(7)), ("33612345678", "no_country")]
    said = whats(reviewed(AudienceFacts(recipients=1, refused_numbers=refused)).warnings)
    assert "7 left out: '0', '1', '2', '3', '4' and 2 more: the number has too few or too many digits" in said
    assert "1 left out: '33612345678': without + a number may be another person's" in said


def test_local_times_around_changes_of_clocks() -> None:
    # 2026-11-01 01:30 comes twice in New York: the first is meant. 2026-03-08 02:30 does not come: it is 03:30.
    assert instant(datetime(2026, 11, 1, 1, 30), "America/New_York") == 1_793_511_000_000  # noqa: DTZ001
    assert instant(datetime(2026, 3, 8, 2, 30), "America/New_York") == 1_772_955_000_000  # noqa: DTZ001


@pytest.mark.parametrize(("transactional", "words"), [(False, "more than 2 hours late"), (True, "however late")])
def test_it_says_what_becomes_of_a_message_that_downtime_makes_late(transactional: bool, words: str) -> None:
    assert words in reviewed(transactional=transactional).lateness
    assert reviewed(terms=None).lateness == ""


@pytest.mark.parametrize(
    ("pool", "problem", "warning"),
    [
        (Pool("short", 500, 500), "all domains for short links have reached their limit; add a domain", ""),
        (Pool("short", 500, 700), "all domains for short links have reached their limit", ""),
        (Pool("short", 1500, 501), "", "room for 999 more messages and this needs 1,000"),
        (Pool("short", 1500, 500), "", ""),
        (Pool("short", None, 10**9), "", ""),
        (Pool("opt-out", 5, 5), "", ""),
    ],
    ids=["used up", "used beyond it", "one is short", "just enough", "no limit", "not the kind of its links"],
)
def test_a_used_up_pool_of_domains_is_a_problem_and_a_small_one_a_warning(
    pool: Pool, problem: str, warning: str
) -> None:
    message = {"text": "Sale: {link}", "links": {"default": "https://shop.example"}}
    actual = reviewed(terms=replace(LAUNCHED, pools=(pool,)), messages=[message])
    assert problem in whats(actual.problems)
    assert warning in whats(actual.warnings)
    assert (bool(actual.problems), bool(actual.warnings)) == (bool(problem), bool(warning))
