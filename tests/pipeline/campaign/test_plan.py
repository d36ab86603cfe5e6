"""What a document compiles to, and what is refused before anybody is texted."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from pipeline.campaign.plan import PlanError, compile_plan
from pipeline.limits.smart_sending import message_of
from schemas.campaign import SiteNameRule, Wording
from schemas.lane import Control, LaneRecord
from schemas.wire import Codec, encode
from tests.pipeline.campaigns import HOUR, ID, NOW, TERMS, document, plan


def test_text_is_final_and_links_are_sorted() -> None:
    compiled = plan(
        text="Hi {first_name}: {link} or {link:b}",
        links={"default": "https://example.com/d", "b": "https://example.com/b"},
        opt_out_language="Reply STOP to opt out",
    )
    [message] = compiled.messages
    assert message.lane.text == "Harbor & Pine: Hi {first_name}: {link} or {link:b} Reply STOP to opt out"
    assert message.lane.links == ["b", "default"]
    assert message.urls == ("https://example.com/b", "https://example.com/d")
    assert compiled.fields == ("first_name",)
    assert message_of(message.identity) == (ID, 0)


@pytest.mark.parametrize(
    ("account", "campaign", "replaces"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_characters_are_replaced_as_account_or_campaign_say(
    account: bool, campaign: bool | None, replaces: bool
) -> None:
    terms = replace(TERMS, wording=Wording(site_name="Harbor & Pine", replaces_characters=account))
    [message] = compile_plan(document(replace_characters=campaign), terms).messages
    assert message.lane.replaces_characters is replaces


@pytest.mark.parametrize(("rule", "text"), [("add", "Harbor & Pine: Hi"), ("check", "Hi"), ("off", "Hi")])
def test_the_site_name_goes_in_front_where_the_account_wants_it(rule: SiteNameRule, text: str) -> None:
    terms = replace(TERMS, wording=Wording(site_name="Harbor & Pine", site_name_rule=rule))
    [message] = compile_plan(document(text="Hi"), terms).messages
    assert message.lane.text == text


@pytest.mark.parametrize("rule", get_args(SiteNameRule))
def test_the_bare_site_name_is_an_empty_text_whoever_wrote_it(rule: SiteNameRule) -> None:
    terms = replace(TERMS, wording=Wording(site_name="Harbor & Pine", site_name_rule=rule))
    [message] = compile_plan(document(text="Harbor & Pine: {first_name}"), terms).messages
    assert message.empty is not None
    assert message.empty.are_empty({"first_name": ["Ann", ""]}, 2).tolist() == [False, True]


def test_what_was_launched_keeps_its_wording() -> None:
    launched = document(wording=Wording(site_name="Old", replaces_characters=False))
    [message] = compile_plan(launched, TERMS).messages
    assert message.lane.text == "Old: Hi {first_name|there}"
    assert not message.lane.replaces_characters


def test_settings_travel_in_a_control() -> None:
    settings = plan(priority="urgent", weight=7, deadline="2027-01-15T12:00:00Z", unknown="resend").lane_settings()
    control = Control(campaign=ID, revision=5, state="running", settings=settings, at=NOW)
    decoded = Codec[LaneRecord](LaneRecord).decode(encode(control))
    assert decoded == control
    assert (settings.priority, settings.weight, settings.unknown) == ("urgent", 7, "resend")
    assert settings.deadline == 1_800_014_400_000


@pytest.mark.parametrize(
    ("send_at", "due"),
    [
        (None, NOW),
        ("2027-01-15T10:00:00Z", 1_800_007_200_000),
        ("2027-01-15T05:00:00", 1_800_007_200_000),  # local to the store: New York is five hours behind
        ("2020-01-01T00:00:00Z", NOW),
    ],
)
def test_due_is_send_at_but_not_before_the_launch(send_at: str | None, due: int) -> None:
    assert plan(send_at=send_at).due == due


def test_window_is_in_ms() -> None:
    assert plan(smart_sending_hours=3).window == 3 * HOUR


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"text": "Hi {first_name"}, "messages.0.text: character 4: { is never closed"),
        ({"text": "Go {link}"}, 'messages.0.text: {link} has no address; add links = {default = "https://…"}'),
        ({"text": "Go {link:x}"}, "{link:x} has no address"),
        ({"text": "Hi", "opt_out_language": "Reply {STOP"}, "opt_out_language: character"),
    ],
)
def test_what_cannot_be_sent_is_refused(changes: dict[str, str], text: str) -> None:
    with pytest.raises(PlanError) as refused:
        plan(**changes)
    assert text in str(refused.value)
