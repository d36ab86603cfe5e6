"""The review promises what then happens, skip by skip and to the credit; who reached nobody looks like it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.clock import now_ms
from cli.main import run
from loadtest.bench.review import compare
from pipeline.accounts.prices import built_in
from tests.api.live import Live, in_minutes, refusal, spec

TEXT = "Hi {first_name|there} of {city}, our sale ends on Sunday: {link}"


def sale(**changes: Any) -> dict[str, Any]:
    return {**spec(), "messages": [{"text": TEXT, "links": {"default": "https://shop.example/"}}], **changes}


def test_the_review_is_what_happens(live: Live) -> None:
    first = compare(live.api, sale(name="First", smart_sending_hours=24))
    # Receipts say who cannot be reached, which the next review must not meet half-way.
    live.until(first.id, lambda shown: shown["status"] == "finished")
    again = compare(live.api, sale(name="Again", smart_sending_hours=24))
    for item in (first, again):
        assert item.promised == item.happened, item
        assert item.sendable == item.handed_over, item
        assert item.off <= 0.01, item
    assert first.promised["opted_out"] > 20
    # Whoever the aggregator refused gave their reservation back; everybody else is held back.
    assert again.promised["smart_sending"] > 1800


def test_typed_numbers_cost_what_their_countries_cost(live: Live) -> None:
    numbers = ["+33612345678", "+919876543210", "+447911123456", "+13055550100", "+4915123456789"]
    wanted = sum(built_in().of(country, now_ms()) for country in ("FR", "IN", "GB", "US", "DE")) / 1e6
    actual = compare(live.api, {**sale(name="Typed", audience={"numbers": numbers}), "messages": [{"text": "Sale"}]})
    assert actual.cost == pytest.approx(wanted)
    assert actual.ok, actual


@pytest.mark.parametrize(("replaces", "segments"), [(True, 1), (False, 2)])
def test_replaced_characters_are_shown_before_and_save_segments(live: Live, replaces: bool, segments: int) -> None:
    message = {"text": "It’s " + "x" * 80}
    audience = {"numbers": ["+13055550131", "+13055550132"]}
    body = {**sale(name="Typography", audience=audience, smart_sending_hours=0), "messages": [message]}
    made = live.create(**{**body, "replace_characters": replaces})["id"]
    [text] = live.api.get(f"/v1/campaigns/{made}/review")["texts"]
    assert text["histogram"] == [[segments, 2]]
    assert text["replaced"] == ([{"character": "’", "by": "'", "texts": 2}] if replaces else [])
    assert "’" in text["in_text"] or replaces
    actual = compare(live.api, {**body, "replace_characters": replaces})
    assert actual.cost == pytest.approx(2 * segments * built_in().of("US", now_ms()) / 1e6)
    assert actual.ok, "billed as it was reviewed"


def test_a_campaign_that_would_reach_nobody_is_refused_and_looks_like_it(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live.set(monkeypatch)
    numbers = [f"+1305555{number}" for number in range(1110, 1120)]
    body = {**sale(name="Twice", audience={"numbers": numbers}, smart_sending_hours=24), "messages": [{"text": "Hi"}]}
    made = live.api.send("POST", "/v1/campaigns", orjson.dumps(body))["id"]
    live.api.send("POST", f"/v1/campaigns/{made}/launch", b"")
    assert live.until(made, lambda shown: shown["status"] == "finished")["outcome"] == ""
    # Whoever was refused may be sent to again, and whoever was not reached has another reason.
    live.api.download(f"/v1/campaigns/{made}/export", tmp_path / "rows.csv", format="csv", state=["delivered"])
    body["audience"] = {"numbers": [row["number"] for row in csv.DictReader((tmp_path / "rows.csv").open())][:2]}
    again = live.api.send("POST", "/v1/campaigns", orjson.dumps(body))["id"]
    assert run(["campaign", "review", again]) == 1
    out = capsys.readouterr().out
    assert "0 of 2 recipients will get the message" in out
    assert "problem: audience: none of 2 recipients will get the message: 2 smart_sending" in out
    assert "none of 2" in refusal(lambda: live.api.send("POST", f"/v1/campaigns/{again}/launch", b""))
    assert run(["campaign", "launch", again, "--allow-empty", "--wait"]) == 0
    assert "reached nobody" in capsys.readouterr().out
    shown = live.until(again, lambda shown: shown["outcome"] == "reached nobody")
    assert shown["outcome_why"] == "2 of 2 skipped, most of them because: smart sending: too close to another message"


def test_a_campaign_that_is_scheduled_before_it_counts_as_if_it_had_reserved(live: Live) -> None:
    body = {**sale(audience={"numbers": ["+13055550122", "+33612345679"]}), "messages": [{"text": "Hi"}]}
    first = live.create(**{**body, "name": "Soon", "send_at": in_minutes(60)})["id"]
    live.api.send("POST", f"/v1/campaigns/{first}/launch", b"")
    assert live.api.get(f"/v1/campaigns/{first}")["status"] == "scheduled"
    later = live.create(**{**body, "name": "Later", "send_at": in_minutes(90), "smart_sending_hours": 24})["id"]
    now = live.create(**{**body, "name": "Now", "smart_sending_hours": 24})["id"]
    assert live.api.get(f"/v1/campaigns/{later}/review")["skipped"] == {"smart_sending": 2}
    # Who is sent to at once reserves before it.
    assert live.api.get(f"/v1/campaigns/{now}/review")["sendable"] == 2
    live.api.send("POST", f"/v1/campaigns/{first}/cancel", b"")
    assert live.api.get(f"/v1/campaigns/{later}/review")["sendable"] == 2


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        ({"text": "Hi {{first_name}}"}, "messages.0.text", "write {first_name}"),
        ({"text": "Hi *|FNAME|*"}, "messages.0.text", "write {first_name}"),
        (
            {"text": "{link}", "links": {"default": "https://shop.example/?p={phone}"}},
            "messages.0.links.default",
            "{phone} is not filled in where a link leads",
        ),
    ],
)
def test_a_draft_with_another_systems_placeholder_is_not_made(
    live: Live, message: dict[str, Any], field: str, said: str
) -> None:
    body = orjson.dumps({**spec(), "messages": [message]})
    text = refusal(lambda: live.api.send("POST", "/v1/campaigns", body))
    assert f"{field}: " in text
    assert said in text
