"""`longwave balance …`, `domains …` and the alerts of `accounts …`, on a running stack."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from cli.main import run
from loadtest.bench.campaigns import wait_until
from schemas.accounts import in_credits
from tests.api.live import Live

ACCOUNT = "cashier"
TOP_UPS = [("top_up", "12.5", "wire"), ("top_up", "-2.25", "")]
Command = Callable[..., str]


@pytest.fixture
def longwave(live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process; what it printed."""
    live.set(monkeypatch)

    def command(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        got = run([*words])
        said, error = capsys.readouterr()
        assert got == code, f"{words}: exit {got}, said {said!r}, error {error!r}"
        return (said + error).strip()

    command("accounts", "set", ACCOUNT, "site_name=Cashier", "billing=prepaid")
    return command


def test_a_balance_is_topped_up_once_for_each_key_and_corrected(longwave: Command) -> None:
    longwave("balance", "top-up", ACCOUNT, "12.5", "--note", "wire", "--key", "order-1")
    said = longwave("balance", "top-up", ACCOUNT, "12.5", "--note", "wire", "--key", "order-1")
    assert said == f"{ACCOUNT}: 12.5 credits added; 12.5 are available"
    assert "-2.25 credits added; 10.25 are available" in longwave("balance", "top-up", ACCOUNT, "-2.25")
    shown = longwave("balance", "show", ACCOUNT).splitlines()
    assert shown == [
        f"{ACCOUNT}: 10.25 credits available (10.25 of balance, 0 reserved for campaigns); pays from it",
        "topped up 10.25, spent 0 on 0 segments",
    ]
    assert json.loads(longwave("balance", "show", ACCOUNT, "--json"))["available"] == "10.25"

    def noted() -> list[tuple[str, str, str]]:
        rows = csv.DictReader(io.StringIO(longwave("balance", "statement", ACCOUNT)))
        return [(row["kind"], row["balance"], row["note"]) for row in rows]

    # The statement is read from ClickHouse, which hears of it a moment later.
    wait_until("the statement has both", lambda: noted() == TOP_UPS, 60)
    month = time.strftime("%Y-%m", time.gmtime())
    assert len(longwave("balance", "invoice", ACCOUNT, "--month", month).splitlines()) == 1, "nothing was sent"


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (("top-up", ACCOUNT, "much"), "amount: "),
        (("top-up", ACCOUNT, "0.0000001"), "finer than a millionth"),
        (("top-up", "nobody-here", "1"), "nobody-here"),
        (("show", "nobody-here"), "nobody-here"),
        (("statement", ACCOUNT, "--from", "yesterday"), "from: "),
        (("invoice", ACCOUNT, "--month", "2026-13"), "month: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_amounts_days_and_names_are_refused_with_what_is_wrong(
    longwave: Command, words: tuple[str, ...], about: str
) -> None:
    assert about in longwave("balance", *words, code=1)


def test_a_launch_without_enough_is_refused_with_the_sum_that_is_missing(longwave: Command, live: Live) -> None:
    longwave("accounts", "set", "broke", "site_name=Broke", "billing=prepaid")
    longwave("senders", "set", "broke/main", "number=+18885550120", "segments_per_second=10")
    body = {"name": "x", "account": "broke", "audience": {"lists": ["people"]}, "messages": [{"text": "Sale today"}]}
    made = live.api.send("POST", "/v1/campaigns", json.dumps(body).encode())
    refusal = longwave("campaign", "launch", made["id"], code=1)
    most = live.api.get(f"/v1/campaigns/{made['id']}/review")["most"]
    assert most > 0
    assert f"balance_short:{in_credits(most)}" in refusal or f"{in_credits(most)} credits" in refusal
    assert live.api.get(f"/v1/campaigns/{made['id']}")["status"] == "draft"


def test_domains_are_added_listed_and_removed(longwave: Command) -> None:
    longwave("accounts", "set", "linker", "site_name=Linker")
    assert "has no domains of its own" in longwave("domains", "list", "linker")
    longwave("domains", "add", "linker", "go.example.com", "--messages", "1000")
    longwave("domains", "add", "linker", "out.example.com", "--opt-out")
    assert "already" in longwave("domains", "add", "linker", "go.example.com", code=1)
    shown = longwave("domains", "list", "linker")
    assert "go.example.com" in shown
    assert "1,000" in shown
    known: list[dict[str, Any]] = json.loads(longwave("domains", "list", "linker", "--json"))["domains"]
    assert [(item["domain"], item["left"]) for item in known] == [("go.example.com", 1000), ("out.example.com", None)]
    assert [item["spec"].get("kind") for item in known][1] == "opt-out"
    longwave("domains", "remove", "linker", "go.example.com")
    assert "go.example.com" not in longwave("domains", "list", "linker")
    assert "no domain" in longwave("domains", "remove", "linker", "go.example.com", code=1)


def test_alerts_are_shown_and_a_test_alert_says_who_got_it(longwave: Command, live: Live) -> None:
    longwave("accounts", "set", "watched", "site_name=Watched", "alerts.webhooks=['http://127.0.0.1:1/hook']")
    assert "had no alert" in longwave("accounts", "alerts", "watched")
    secret = longwave("accounts", "alert-secret", "watched")
    assert secret.startswith("whsec_")
    longwave("accounts", "set", "watched", "alerts.webhook_secret=2")
    assert longwave("accounts", "alert-secret", "watched") != secret
    said = longwave("accounts", "test-alert", "watched", code=1)
    assert "127.0.0.1:1" in said, "nobody listens there"
    wait_until("it is in the list", lambda: "127.0.0.1:1" in longwave("accounts", "alerts", "watched"), 60)
