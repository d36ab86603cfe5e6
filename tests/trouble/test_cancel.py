"""A campaign canceled in the middle, whose reservations go to the next; and unknown messages resolved by a person."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.trouble.account import accounted
from tests.trouble.scene import MESSAGE, Campaign, Scene

SLOW = "idempotency_keys = false\nreceipts = false\nlatency = {median = 0.4}\n"
"""So slow that something is in flight at every moment."""
HOURS = {"smart_sending_hours": 8}


@pytest.fixture(scope="module")
def stage(scripted_stage: Scene) -> Scene:
    scripted_stage.scripted(SLOW)
    return scripted_stage


def launched(stage: Scene, recipients: int, audience: dict[str, Any]) -> Campaign:
    body = {"name": "after", "audience": audience, "messages": [MESSAGE], **HOURS}
    made = stage.api.send("POST", "/v1/campaigns", json.dumps(body).encode())
    # The review may come before the last places are given back.
    stage.api.send("POST", f"/v1/campaigns/{made['id']}/launch", allow_empty=True)
    return Campaign(stage, made["id"], recipients)


def numbers(stage: Scene, campaign: Campaign, state: str) -> dict[str, dict[str, str]]:
    """The rows of the export in a state, by number."""
    file = stage.data / f"{campaign.id}-{state}-rows.csv"
    stage.longwave("campaign", "export", campaign.id, "--state", state, "--out", str(file))
    with file.open(newline="") as rows:
        return {row["number"]: row for row in csv.DictReader(rows)}


def listed(stage: Scene, arguments: list[str]) -> str:
    """A file that names the numbers."""
    file = stage.data / f"numbers-{len(arguments)}-{arguments[0]}.txt"
    file.write_text("".join(f"{number}\n" for number in arguments))
    return str(file)


def not_sent_on_the_page(stage: Scene, campaign: str, count: int) -> None:
    """Resolve whoever is unknown as not sent, by the button in the campaign's panel."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        page = browser.new_page()
        page.goto(stage.longwave("keys", "link").strip())
        page.locator(f'#rows tr[data-id="{campaign}"]').click()
        page.click('#panel [data-action="resolve"]')
        expect(page.locator("#confirm-text")).to_contain_text(f"{count:,} messages have no known outcome")
        page.check('#confirm-text input[value="not-sent"]')
        page.click("#confirm-yes")
        expect(page.locator("#toast")).to_contain_text(f"{count:,} resolved")
        browser.close()


def test_a_cancel_frees_those_who_got_nothing_for_the_next_campaign_and_nobody_else(stage: Scene) -> None:
    with stage.sending(7000, **HOURS) as first:
        first.until_arrived(600)
        # On a busy machine a command takes longer to start than all of them to be sent.
        assert stage.api.send("POST", f"/v1/campaigns/{first.id}/cancel")["status"] == "canceled"
        before = accounted(first, ends=("canceled",))
    assert set(before.states) == {"accepted", "canceled"}
    for word in ("launch", "cancel"):
        assert "it can only be duplicated" in stage.longwave("campaign", word, first.id, code=1)
    lists = before.shown["spec"]["audience"]["lists"]
    second = launched(stage, 7000, {"lists": lists})
    with second.watched():
        after = accounted(second)
    assert after.states == {"accepted": before.states["canceled"], "skipped": before.states["accepted"]}
    assert numbers(stage, second, "accepted").keys() == numbers(stage, first, "canceled").keys()
    said = stage.longwave("campaign", "cancel", second.id, code=1)
    assert "all messages were submitted; it can only be duplicated" in said


def test_unknown_messages_are_listed_and_resolved_by_a_person(stage: Scene) -> None:
    with stage.sending(9000, **HOURS) as campaign:
        campaign.until_arrived(1000)
        early = stage.longwave("campaign", "resolve", campaign.id, "--as", "sent", code=1)
        assert "the outcome of its unknown messages may still arrive" in early
        stage.kill("worker-0")
        before = accounted(campaign)
        unknown = numbers(stage, campaign, "unknown")
        assert len(unknown) == before.states["unknown"] > 10
        assert {row["reason"] for row in unknown.values()} == {"owner_lost"}
        assert all(row["unknown_at"] for row in unknown.values())
        sent, again, rest = sorted(unknown)[::3], sorted(unknown)[1::3], sorted(unknown)[2::3]
        words = ("campaign", "resolve", campaign.id, "--as")
        file = listed(stage, sent)
        assert f"{len(sent)} resolved as sent" in stage.longwave(*words, "sent", "--numbers", file)
        draft = stage.longwave(*words, "resend", "--numbers", listed(stage, again)).splitlines()[1]
        campaign.until("the page knows who is left", lambda shown: shown["figures"]["states"]["unknown"] == len(rest))
        not_sent_on_the_page(stage, campaign.id, len(rest))
        shown = campaign.until("nobody is unknown", lambda shown: not shown["figures"]["states"]["unknown"])
    figures = shown["figures"]
    assert figures["residual"] == 0
    assert campaign.looks.conserved() > 0
    assert figures["states"]["accepted"] == before.states["accepted"] + len(sent)
    assert figures["states"]["rejected"] == len(again) + len(rest)
    assert figures["segments"] - before.shown["figures"]["segments"] == sum(
        int(unknown[number]["segments"]) for number in sent
    )
    assert {row["reason"] for row in numbers(stage, campaign, "rejected").values()} == {"operator_not_sent"}
    assert [(item["as"], item["recipients"]) for item in shown["resolved"]] == [
        ("sent", len(sent)),
        ("not-sent", len(again)),
        ("not-sent", len(rest)),
    ]
    assert all(item["by"] and item["at"] for item in shown["resolved"])
    said = stage.longwave(*words, "sent", "--numbers", file, code=1)
    assert f"{len(sent)} of {len(sent)} are not unknown" in said
    assert "nothing to resolve" in stage.longwave(*words, "sent", code=1)
    stage.longwave("campaign", "launch", draft)
    resent = Campaign(stage, draft, len(again))
    with resent.watched():
        assert accounted(resent).states == {"accepted": len(again)}
