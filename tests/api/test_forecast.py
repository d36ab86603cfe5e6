"""A forecast of a campaign that nobody has made: by the API and by the command, from the contacts of the stack."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from cli.main import run
from tests.api.live import Live, refusal, spec

TOML = """
name = "Ahead"
[audience]
lists = ["people"]
[[messages]]
text = "Hi {first_name|there}"
"""


def test_json_and_toml_get_the_same_forecast_from_the_contacts(live: Live) -> None:
    start = "2026-11-27T09:00:00"
    reported = live.api.send("POST", "/v1/forecast", TOML.encode(), "application/toml", start=start)
    body = {"name": "Ahead", "audience": {"lists": ["people"]}, "messages": [{"text": "Hi {first_name|there}"}]}
    assert live.api.send("POST", "/v1/forecast", orjson.dumps(body), start=start) == reported
    assert reported["begin"] == "2026-11-27T14:00:00.000Z", "nine o'clock in New York"
    assert reported["finish"] > reported["begin"]
    assert 1800 < reported["recipients"] < 2000
    assert reported["audience"] == f"{reported['recipients'] + sum(reported['skipped'].values()):,} contacts"
    # Numbers may be unreachable by what other tests sent.
    assert "opted_out" in reported["skipped"]
    assert set(reported["skipped"]) <= {"opted_out", "unreachable"}
    assert sum(zone["recipients"] for zone in reported["zones"]) == reported["recipients"]
    assert reported["why"].startswith("main 5000 segments/s: needs")


def test_the_command_says_what_the_api_knows(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live.set(monkeypatch)
    file, result = tmp_path / "ahead.toml", tmp_path / "ahead.json"
    file.write_text(TOML)
    assert run(["forecast", str(file), "--json", str(result)]) == 0
    reported = orjson.loads(result.read_bytes())
    said = capsys.readouterr()
    assert f"Ahead: {reported['recipients']:,} recipients" in said.out
    assert reported["finish"] in said.out
    assert f"Ahead: {reported['audience']}" in said.err
    file.write_text(TOML.replace("first_name|there", "first_name"))
    assert run(["forecast", str(file.with_name("nowhere.toml"))]) == 1
    assert "cannot read" in capsys.readouterr().err
    file.write_text(TOML.replace('"people"', '"nobody"'))
    assert run(["forecast", str(file)]) == 1
    assert f"{file}: audience: no recipients on nobody; import contacts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "start", "said"),
    [
        ({"audience": {"lists": ["nowhere"]}}, "", "no recipients on nowhere"),
        ({"account": "none"}, "", "there is no account 'none'"),
        ({"messages": [{"text": "Hi {first_name"}]}, "", "messages.0.text"),
        ({"smart_sending_hours": 500}, "", "smart_sending_hours"),
        ({}, "soon", "start: 'soon' is not a time"),
    ],
)
def test_what_cannot_be_forecast_is_refused_with_the_reason(
    live: Live, changes: dict[str, object], start: str, said: str
) -> None:
    body = orjson.dumps({**spec(), **changes})
    assert said in refusal(lambda: live.api.send("POST", "/v1/forecast", body, start=start))
