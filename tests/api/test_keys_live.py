"""Keys on the real stack: made, rotated and revoked while everything runs, masked, bound to an account, recorded."""

from __future__ import annotations

import csv
import io
import time
import urllib.request
from typing import Any

import orjson
import pytest

from cli.client import Client
from cli.main import run
from schemas.keys import Scope
from tests.api.live import Live, eventually, refusal
from tests.api.test_server import ask

REVOKED_WITHIN = 1.0
"""Seconds."""


def make(live: Live, *scopes: Scope, accounts: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    body = {"name": "made", "scopes": scopes, "accounts": accounts, **more}
    return live.api.send("POST", "/v1/keys", orjson.dumps(body))


def client(live: Live, secret: str) -> Client:
    return Client(live.settings.api.url, key=secret)


def test_a_key_is_made_used_rotated_and_revoked(live: Live) -> None:
    made = make(live, "operate", expires_days=1)
    with_key = client(live, made["secret"])
    assert with_key.get("/v1/session")["key"] == made["id"]
    fresh = live.api.send("POST", f"/v1/keys/{made['id']}/rotate", b'{"overlap_hours": 1}')
    assert (fresh["replaces"], fresh["scopes"], fresh["expires"]) == (made["id"], ["operate"], made["expires"])
    assert with_key.get("/v1/session")["key"] == made["id"], "both hold"
    assert client(live, fresh["secret"]).get("/v1/session")["key"] == fresh["id"]
    for key in (made["id"], fresh["id"]):
        live.api.send("DELETE", f"/v1/keys/{key}")
    began = time.monotonic()
    while ask(f"{live.api.url}/v1/session", headers={"Authorization": f"Bearer {fresh['secret']}"})[0] != 401:
        assert time.monotonic() - began < REVOKED_WITHIN
    listed = {key["id"]: key["state"] for key in live.api.get("/v1/keys")["keys"]}
    assert (listed[made["id"]], listed[fresh["id"]]) == ("revoked", "revoked")
    assert made["secret"] not in str(live.api.get("/v1/keys"))
    assert "revoked" in refusal(lambda: live.api.send("POST", f"/v1/keys/{made['id']}/rotate", b"{}"))


def test_the_last_key_that_may_do_everything_stays(live: Live) -> None:
    own = live.api.get("/v1/session")["key"]
    assert "last key" in refusal(lambda: live.api.send("DELETE", f"/v1/keys/{own}"))


def test_a_stream_ends_when_its_key_is_revoked(live: Live) -> None:
    made = make(live, "read")
    request = urllib.request.Request(f"{live.api.url}/v1/live", headers={"Authorization": f"Bearer {made['secret']}"})
    with urllib.request.urlopen(request, timeout=20) as stream:
        assert stream.readline().startswith(b"retry")
        live.api.send("DELETE", f"/v1/keys/{made['id']}")
        began = time.monotonic()
        while stream.readline():
            assert time.monotonic() - began < 5


def test_numbers_are_masked_in_an_export(live: Live) -> None:
    campaign = live.create(name="Masked", audience={"numbers": ["+12125550188"]})["id"]
    live.api.send("POST", f"/v1/campaigns/{campaign}/launch")
    live.until(campaign, lambda shown: shown["recipients"] == 1)
    secret = make(live, "read")["secret"]
    url = f"{live.api.url}/v1/campaigns/{campaign}/export"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {secret}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        (row,) = csv.DictReader(io.StringIO(answer.read().decode()))
    assert row["number"].endswith("+121••••••88")


def test_a_bound_key_sees_its_account_and_nothing_of_all_accounts(live: Live) -> None:
    bound = client(live, make(live, "admin", "numbers", accounts=("demo",))["secret"])
    campaign = live.create(name="Of demo")["id"]
    assert bound.get(f"/v1/campaigns/{campaign}")["name"] == "Of demo"
    number = "+12125550189"
    live.api.send("POST", "/v1/optouts", orjson.dumps({"numbers": [number], "evidence": "wrote"}))
    bound.send("POST", "/v1/optouts", orjson.dumps({"numbers": [number], "evidence": "wrote", "account": "demo"}))
    eventually(lambda: bound.get("/v1/optouts/%2B12125550189"), lambda shown: len(shown["history"]) == 2)
    assert "every account" in refusal(
        lambda: bound.send("POST", "/v1/optouts", orjson.dumps({"numbers": [number], "evidence": "x"}))
    )
    for path in ("/v1/contacts/%2B12125550189", "/v1/unreachable"):
        assert "every account" in refusal(lambda path=path: bound.get(path))  # type: ignore[misc]
    assert {line["account"] for line in bound.get("/v1/inbox", number=number)["lines"]} == {"demo"}
    assert {line["account"] for line in live.api.get("/v1/inbox", number=number)["lines"]} == {"demo", ""}
    assert "may do more" in refusal(
        lambda: bound.send("POST", "/v1/keys", orjson.dumps({"name": "wider", "scopes": ["read"]}))
    )


def test_who_did_what_can_be_read(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = live.create(name="Audited")["id"]
    live.api.send("POST", f"/v1/campaigns/{campaign}/launch")
    live.api.send("POST", f"/v1/campaigns/{campaign}/pause")
    log = eventually(
        lambda: live.api.get("/v1/audit", campaign=campaign)["entries"], lambda entries: len(entries) == 2
    )
    assert [
        (entry["method"], entry["path"].rpartition("/")[2], entry["account"], entry["status"]) for entry in log
    ] == [
        ("POST", "pause", "demo", 200),
        ("POST", "launch", "demo", 200),
    ]
    assert {entry["name"] for entry in log} == {"first"}
    page = live.api.get("/v1/audit", campaign=campaign, size=1)
    (older,) = live.api.get("/v1/audit", campaign=campaign, size=1, cursor=page["next"])["entries"]
    assert older == log[1]
    live.set(monkeypatch)
    assert run(["keys", "audit", "--campaign", campaign]) == 0
    assert f"POST   /v1/campaigns/{campaign}/launch  first (" in capsys.readouterr().out


def test_the_commands(live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    live.set(monkeypatch)
    assert run(["keys", "create", "ci", "--scope", "read", "--account", "demo", "--expires-days", "2"]) == 0
    secret = capsys.readouterr().out.strip()
    with monkeypatch.context() as own:
        own.setenv("LONGWAVE_API_KEY", secret)
        assert run(["campaign", "list"]) == 0
        assert run(["keys", "list"]) == 1
        assert "needs the scope admin" in capsys.readouterr().err
    key_id = secret.split("_")[1]
    assert run(["keys", "list"]) == 0
    assert f"{key_id}  active   ci                    read  demo  until " in capsys.readouterr().out
    assert run(["keys", "revoke", key_id]) == 0
    assert run(["keys", "rotate", key_id]) == 1
    assert run(["keys", "link"]) == 0
    assert "#sign-in=" in capsys.readouterr().out
