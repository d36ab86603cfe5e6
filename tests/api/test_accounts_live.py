"""Accounts that change while everything runs: on a real stack, by the commands that people use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from cli.main import run
from pipeline.accounts.placing import home_lane
from tests.api.live import Live, eventually, refusal

FILE = """
[accounts.corner]
site_name = "Corner"
[accounts.corner.senders.main]
number = "+18885550133"
segments_per_second = 400
lanes = [{lane}]
"""


@pytest.fixture(scope="module")
def file(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An account whose sender is in a lane that no other sender is in."""
    lanes = live.settings.kafka.lanes
    path = tmp_path_factory.mktemp("accounts") / "accounts.toml"
    path.write_text(FILE.format(lane=(home_lane("demo", lanes) + 1) % lanes))
    return path


def longwave(live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    live.set(monkeypatch)
    capsys.readouterr()
    assert run([*words]) == 0
    return capsys.readouterr().out


def numbers(first: int, last: int) -> list[str]:
    """People whom no other test writes to."""
    return [f"+1305555{number}" for number in range(first, last)]


def test_a_file_is_applied_while_everything_runs_and_again_changes_nothing(
    live: Live, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> str:
        return longwave(live, monkeypatch, capsys, *words)

    assert said("accounts", "apply", str(file), "--dry-run").splitlines() == ["+ corner", "+ corner/main"]
    assert "corner" not in said("accounts", "list")
    said("accounts", "apply", str(file))
    assert said("accounts", "apply", str(file)) == "nothing to change: all 2 are as the file says\n"
    file.write_text(file.read_text().replace("= 400", "= 300"))
    assert "~ corner/main\n    segments_per_second: 400.0 → 300.0\n" in said("accounts", "apply", str(file))
    assert "300/s" in said("senders", "list", "corner")
    assert "changed" in said("senders", "set", "corner/main", "segments_per_second=500")
    assert "unchanged" in said("senders", "set", "corner/main", "segments_per_second=500")
    assert "caps.day=2" not in said("accounts", "set", "corner", "caps.day=2", "site_name=Corner & Co")
    shown = orjson.loads(said("accounts", "show", "corner", "--json"))
    assert (shown["spec"]["caps"]["day"], shown["spec"]["site_name"]) == (2, "Corner & Co")


def test_a_campaign_goes_out_from_an_account_that_was_added_since_the_start(
    live: Live, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    longwave(live, monkeypatch, capsys, "accounts", "apply", str(file))
    made = live.create(account="corner", sender="main", audience={"numbers": numbers(1200, 1230)})
    live.api.send("POST", f"/v1/campaigns/{made['id']}/launch")
    over = live.until(made["id"], lambda campaign: campaign["status"] in ("sent", "finished"))
    assert over["figures"]["submitted"] > 20


def test_a_sender_that_is_taken_away_suspends_its_campaign_and_lets_it_go_on_when_it_is_back(
    live: Live, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    longwave(live, monkeypatch, capsys, "accounts", "apply", str(file))
    live.api.send(
        "PUT", "/v1/accounts/corner/senders/main", orjson.dumps({**spec_of(live), "segments_per_second": 2})
    )
    made = live.create(account="corner", sender="main", audience={"numbers": numbers(2000, 2200)})["id"]
    live.api.send("POST", f"/v1/campaigns/{made}/launch")
    live.until(made, lambda campaign: campaign["status"] == "sending")
    assert made in refusal(lambda: live.api.send("DELETE", "/v1/accounts/corner/senders/main"))
    before = spec_of(live)
    live.api.send("DELETE", "/v1/accounts/corner/senders/main", suspend=True)
    held = live.until(made, lambda campaign: campaign["status"] == "suspended")
    assert "sender corner/main" in held["reason_text"]
    live.api.send("PUT", "/v1/accounts/corner/senders/main", orjson.dumps(before))
    live.until(made, lambda campaign: campaign["status"] == "sending")
    live.api.send("POST", f"/v1/campaigns/{made}/cancel")


def spec_of(live: Live) -> dict[str, Any]:
    spec: dict[str, Any] = live.api.get("/v1/accounts/corner/senders/main")["spec"]
    return spec


def test_the_audit_log_says_what_was_there_before_and_after(
    live: Live, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    longwave(live, monkeypatch, capsys, "accounts", "apply", str(file))
    live.api.send("PUT", "/v1/accounts/corner", b'{"site_name": "Before"}')
    live.api.send("PUT", "/v1/accounts/corner", b'{"site_name": "After"}')
    wanted = {
        "before": '{"corner":{"site_name":"Before"}}',
        "after": '{"corner":{"site_name":"After"}}',
        "account": "corner",
    }
    eventually(
        lambda: live.api.get("/v1/audit", size=20)["entries"],
        lambda entries: any(wanted.items() <= entry.items() for entry in entries),
    )
