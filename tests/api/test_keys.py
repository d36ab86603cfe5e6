"""The API's lock: every route with no key, a wrong one, one that may do too little, and one of another account."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from msgspec.structs import replace

from adapters.clock import now_ms
from adapters.private_files import FIRST_KEY, read_password
from adapters.settings import Settings
from api.keys import Keys
from api.routes import keys as key_routes
from api.web import guard
from api.web.allowance import GUESSES, Allowance
from api.web.sessions import COOKIE, LINK_SECONDS
from pipeline.identity.api_keys import KEY_OCTETS, KeyText, made, state
from schemas.campaign import CampaignDocument
from schemas.keys import ApiKey
from tests.api.app import FIRST, KEY, Audited, Fake, ask, key_like, raw, served

CAMPAIGN = "0000abcd"
SPEC = {
    "name": "Secret sale",
    "account": "demo",
    "audience": {"numbers": ["+12125550123"]},
    "messages": [{"text": "Hi"}],
}
_octets = itertools.count(1)


def new_key(**fields: Any) -> tuple[KeyText, ApiKey]:
    text = made(next(_octets).to_bytes(KEY_OCTETS, "big"))
    return text, key_like(text, **fields)


def bearer(text: KeyText | str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


@pytest.fixture
def fake() -> Fake:
    document = CampaignDocument(id=CAMPAIGN, spec=SPEC, status="draft", revision=1, created=1, updated=1)
    return Audited({CAMPAIGN: document})


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every (method, path) under /v1, with a campaign and a number in place of the parameters."""
    for template, methods in app.openapi()["paths"].items():
        if template.startswith("/v1/"):
            path = (
                template.replace("{campaign}", CAMPAIGN)
                .replace("{number}", "%2B12125550123")
                .replace("{key}", KEY.id)
                .replace("{account}", "demo")
                .replace("{sender}", "main")
                .replace("{name}", "default")
                .replace("{domain}", "go.example")
            )
            for method in methods:
                yield method.upper(), path


async def test_no_route_answers_without_a_key(fake: Fake) -> None:
    app = served(fake)
    tried = 0
    for method, path in routes(app):
        if guard.is_open(method, path):
            continue
        for headers in ({"authorization": ""}, {"authorization": "Basic eDp5"}, bearer("lw_nonsense")):
            app.state.services.allowance.__init__(1000)
            status, answer = await ask(app, method, path, b"{}", **headers)
            assert (status, "error" in answer) == (401, True), (method, path, headers)
            tried += 1
    assert tried >= 3 * 30
    assert guard.is_open("POST", "/v1/session"), "signing in needs none"


async def test_no_route_shows_or_changes_anything_of_another_account(fake: Fake) -> None:
    text, other = new_key(accounts=["elsewhere"])
    app = served(fake, [FIRST, other])
    # They answer, with what is the key's own: some from ClickHouse (test_keys_live.py).
    own = {
        "/v1/session", "/v1/session/links", "/v1/keys", "/v1/vocabulary", "/v1/audit", "/v1/live", "/v1/replies",
        "/v1/optouts/export", "/v1/inbox", "/v1/optouts/%2B12125550123", "/v1/optouts/%2B12125550123/holds",
    }  # fmt: skip
    before = len(fake.accounts.commands), len(fake.ledger.commands)
    tried = 0
    for method, path in routes(app):
        if guard.is_open(method, path) or (path in own and (method, path) not in FORBIDDEN):
            continue
        body = _body(path)
        status, answer = await ask(app, method, path + _query(path), body, **bearer(text))
        if (method, path) == ("GET", "/v1/campaigns"):
            assert (status, answer["campaigns"], answer["total"]) == (200, [], 0)
        elif (method, path) in EMPTY:
            assert (status, answer.get("accounts", answer.get("prices"))) == (200, [])
        else:
            assert status in (403, 404), (method, path, status, answer)
        assert "Secret" not in str(answer)
        assert "2125550123" not in str(answer).replace(path, "")
        tried += 1
    assert tried >= 30
    assert fake.commands == []
    assert (len(fake.accounts.commands), len(fake.ledger.commands)) == before
    assert await ask(app, "GET", "/v1/keys", **bearer(text)) == (200, {"keys": [_shown(other)]}), "only its own"


EMPTY = {("GET", "/v1/accounts"), ("GET", "/v1/prices")}
FORBIDDEN = {("POST", "/v1/keys"), ("DELETE", "/v1/optouts/%2B12125550123")}


def _query(path: str) -> str:
    """What a route must be asked with."""
    if "/statement" in path:
        return "?from=2026-01-01&to=2026-01-31"
    return "?month=2026-01" if path.endswith("/invoice.csv") else ""


def _body(path: str) -> bytes:
    if path.startswith("/v1/contacts"):
        return orjson.dumps({"evidence": "x"})
    if path.endswith("/resolve"):
        return orjson.dumps({"as": "not-sent"})
    if path.endswith("/retry-failed"):
        return orjson.dumps({"states": ["rejected"]})
    if path == "/v1/campaigns/apply":
        return orjson.dumps({**SPEC, "key": "sale"})
    if path.startswith(("/v1/campaigns", "/v1/forecast")):
        return orjson.dumps(SPEC)
    if path == "/v1/optouts":
        return orjson.dumps({"numbers": ["+12125550123"], "evidence": "x", "account": "demo"})
    if path.endswith("/holds"):
        return orjson.dumps({"decision": "out"})
    if path.endswith("/top-ups"):
        return orjson.dumps({"amount": "1"})
    if path == "/v1/accounts/apply":
        return orjson.dumps({"accounts": {"demo": {}}})
    if path.startswith("/v1/prices"):
        return orjson.dumps({"prices": [{"from": "2026-01-01", "country": "US", "price": 1}]})
    if path.endswith("/senders/main"):
        return orjson.dumps({"number": "+18885550199"})
    if path.startswith("/v1/accounts"):
        return b"{}"
    if path == "/v1/keys":
        return orjson.dumps({"name": "x", "scopes": ["read"]})
    return b"{}" if path.endswith("/rotate") else orjson.dumps({"evidence": "x", "account": "demo"})


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id, "name": "test", "scopes": list(key.scopes), "accounts": list(key.accounts), "state": "active",
        "created": "1970-01-01T00:00:00.001Z", "by": "", "expires": None, "revoked": None, "revoked_by": "",
        "replaces": "",
    }  # fmt: skip


@pytest.mark.parametrize("scope", ["read", "operate", "admin", "numbers"])
async def test_a_key_does_what_its_scope_is_for_and_no_more(fake: Fake, scope: str) -> None:
    text, limited = new_key(scopes=[scope])
    app = served(fake, [FIRST, limited])
    may = {"read": {"read"}, "operate": {"read", "operate"}, "admin": {"read", "operate", "admin"}, "numbers": set()}
    for method, path in routes(app):
        if guard.is_open(method, path):
            continue
        wanted = guard.needed(method, path)
        if wanted in may[scope]:
            continue
        status, answer = await ask(app, method, path, b"{}", **bearer(text))
        assert (status, f"needs the scope {wanted}" in answer["error"]) == (403, True), (method, path)
    assert fake.commands == []


def test_the_scopes_of_routes() -> None:
    assert guard.needed("GET", "/v1/campaigns") == "read"
    assert guard.needed("POST", "/v1/forecast") == "read"
    assert guard.needed("POST", "/v1/campaigns") == guard.needed("DELETE", "/v1/contacts/+1") == "operate"
    assert guard.needed("GET", "/v1/keys") == guard.needed("GET", "/v1/audit") == "admin"
    assert guard.needed("POST", "/v1/keys/0000abcd/rotate") == "admin"
    assert guard.needed("GET", "/v1/accounts/demo") == guard.needed("GET", "/v1/prices") == "read"
    for path in (
        "/v1/accounts/demo",
        "/v1/accounts/demo/senders/main",
        "/v1/accounts/demo/domains/go.example",
        "/v1/prices/default",
    ):
        assert guard.needed("PUT", path) == guard.needed("DELETE", path) == "admin"
    assert guard.needed("POST", "/v1/accounts/apply") == "admin"


async def test_typed_numbers_are_masked_for_whoever_may_not_see_them(fake: Fake) -> None:
    text, blind = new_key(scopes=["read"])
    app = served(fake, [FIRST, blind])
    path = f"/v1/campaigns/{CAMPAIGN}"
    assert (await ask(app, "GET", path))[1]["spec"]["audience"]["numbers"] == ["+12125550123"]
    assert (await ask(app, "GET", path, **bearer(text)))[1]["spec"]["audience"]["numbers"] == ["+121••••••23"]
    for refused in ("/v1/contacts/%2B12125550123", "/v1/inbox", "/v1/unreachable", "/v1/optouts/export"):
        status, answer = await ask(app, "GET", refused, **bearer(text))
        assert (status, "scope numbers" in answer["error"]) == (403, True), refused


@pytest.mark.parametrize("how", ["expired", "revoked", "unknown", "changed"])
async def test_a_key_that_does_not_hold_opens_nothing(fake: Fake, how: str) -> None:
    text, key = new_key()
    kept = {
        "expired": [replace(key, expires=now_ms() - 1)],
        "revoked": [replace(key, revoked=now_ms())],
        "unknown": [],
        "changed": [replace(key, hash="0" * 64)],
    }[how]
    app = served(fake, [FIRST, *kept])
    status, answer = await ask(app, "GET", "/v1/campaigns", **bearer(text))
    assert (status, answer["error"]) == (401, guard.WRONG_KEY)


async def test_after_wrong_keys_an_address_is_locked_and_a_session_goes_on(fake: Fake) -> None:
    app = served(fake)
    _, session, cookie = await sign_in(app)
    for _ in range(GUESSES.amount):
        assert (await ask(app, "GET", "/v1/campaigns", **bearer(made(bytes([7]) * 30))))[0] == 401
    status, answer = await ask(app, "GET", "/v1/campaigns")
    assert (status, "too many wrong keys" in answer["error"]) == (429, True), "the right key too"
    head, _ = await raw(app, "GET", "/v1/campaigns")
    assert 0 < int(head["retry-after"]) <= GUESSES.get_expiry()
    assert (await ask(app, "POST", "/v1/session", orjson.dumps({"secret": str(KEY)}), authorization=""))[0] == 429
    assert (await ask(app, "GET", "/v1/campaigns", authorization="", cookie=cookie))[0] == 200
    assert session["key"] == KEY.id


async def test_a_key_may_ask_only_so_often(fake: Fake) -> None:
    text, other = new_key()
    app = served(fake, [FIRST, other])
    app.state.services.allowance.__init__(3)
    assert [(await ask(app, "GET", "/v1/campaigns"))[0] for _ in range(4)] == [200, 200, 200, 429]
    assert (await ask(app, "GET", "/v1/campaigns", **bearer(text)))[0] == 200, "another key is not to blame"


def test_an_allowance_comes_back() -> None:
    allowance = Allowance(1)
    assert allowance.request("a") == 0
    assert allowance.request("a") == 1
    assert allowance.seconds_locked("x") == 0


async def test_however_many_keys_there_are_one_can_be_revoked_but_none_made(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, other = new_key()
    app = served(fake, [FIRST, other])
    monkeypatch.setattr(key_routes, "MOST", 2)
    changed: list[ApiKey] = []

    async def change(_: Any, key: ApiKey) -> None:
        changed.append(key)

    monkeypatch.setattr(app.state.services.keys.view, "change", change)
    assert (await ask(app, "POST", "/v1/keys", b'{"name": "x", "scopes": ["read"]}'))[0] == 409
    assert (await ask(app, "DELETE", f"/v1/keys/{text.id}"))[0] == 200
    assert [(key.id, bool(key.revoked)) for key in changed] == [(text.id, True)]


# Signing in


async def sign_in(app: FastAPI, scheme: str = "http", **body: str) -> tuple[dict[str, str], dict[str, Any], str]:
    """(headers of the answer, the answer, the cookie as a browser sends it)"""
    sent = orjson.dumps({"by": "key", "secret": str(KEY), **body})
    named = {"authorization": "", "origin": f"{scheme}://127.0.0.1:18080"}
    head, answer = await raw(app, "POST", "/v1/session", sent, scheme=scheme, **named)
    return head, orjson.loads(answer), head.get("set-cookie", "").partition(";")[0]


async def test_a_browser_signs_in_and_its_changes_carry_the_csrf_token(fake: Fake) -> None:
    app = served(fake)
    head, session, cookie = await sign_in(app)
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in head["set-cookie"].split(";")}
    assert cookie.startswith(f"{COOKIE}=")
    assert str(KEY.secret) not in cookie
    browser = {"authorization": "", "cookie": cookie, "origin": "http://127.0.0.1:18080"}
    assert (await ask(app, "GET", "/v1/session", **browser))[1]["csrf"] == session["csrf"]
    body = orjson.dumps(SPEC)
    for wrong in ({}, {"longwave-csrf": "x"}, {"longwave-csrf": ""}, {"longwave-csrf": "é"}):
        assert (await ask(app, "POST", "/v1/campaigns", body, **browser, **wrong))[0] == 403
    assert fake.commands == []
    assert (await ask(app, "POST", "/v1/campaigns", body, **browser, **{"longwave-csrf": session["csrf"]}))[0] == 201
    assert fake.commands[0].by == "page (key test)"


async def test_a_session_ends_with_its_key_and_its_time(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    app = served(fake)
    _, _, cookie = await sign_in(app)
    services = app.state.services
    browser = {"authorization": "", "cookie": cookie}
    assert (await ask(app, "GET", "/v1/campaigns", **browser))[0] == 200
    monkeypatch.setattr(services.sessions, "seconds", -1)
    assert (await ask(app, "GET", "/v1/campaigns", **browser))[0] == 401, "too old"
    monkeypatch.undo()
    assert (await ask(app, "GET", "/v1/campaigns", **browser))[0] == 200
    services.keys.view._records[KEY.id] = replace(FIRST, revoked=1)
    assert (await ask(app, "GET", "/v1/campaigns", **browser))[0] == 401, "revoked"


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "eyJrZXkiOiJ4In0.x.y", "W10.x.y", "bnVsbA.x.y"])
async def test_a_forged_cookie_opens_nothing(fake: Fake, cookie: str) -> None:
    app = served(fake)
    assert (await ask(app, "GET", "/v1/campaigns", authorization="", cookie=f"{COOKIE}={cookie}"))[0] == 401


async def test_a_link_signs_in_once(fake: Fake) -> None:
    app = served(fake)
    status, link = await ask(app, "POST", "/v1/session/links")
    assert status == 201
    address, _, token = link["url"].partition("#sign-in=")
    assert address == "http://127.0.0.1:18080/"
    _, session, cookie = await sign_in(app, by="link", secret=token)
    assert session["key"] == KEY.id
    assert (await ask(app, "GET", "/v1/session", authorization="", cookie=cookie))[0] == 200
    head, again, _ = await sign_in(app, by="link", secret=token)
    assert "used" in again["error"]
    assert "set-cookie" not in head
    _, forged, _ = await sign_in(app, by="link", secret=cookie.partition("=")[2])
    assert "error" in forged, "a session's cookie is no link"


async def test_a_used_link_is_remembered_for_as_long_as_it_would_hold(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = served(fake).state.services.sessions
    clock = [1000.0]
    monkeypatch.setattr("api.web.sessions.monotonic", lambda: clock[0])
    used = [sessions.link(FIRST) for _ in range(3)]
    for link in used:
        assert sessions.use_link(link) == FIRST
        clock[0] += 100
    clock[0] = 1000.0 + LINK_SECONDS
    assert [sessions.use_link(link) for link in used] == [None] * 3
    assert len(sessions._used) == 3
    clock[0] = 1250.0 + LINK_SECONDS
    sessions.use_link("forged")
    assert sessions._used == {}


async def test_the_cookie_is_for_https_where_the_browser_came_by_it(fake: Fake) -> None:
    app = served(fake)
    for scheme, is_secure in (("http", False), ("https", True)):
        head, _, _ = await sign_in(app, scheme)
        assert ("Secure" in {part.strip() for part in head["set-cookie"].split(";")}) is is_secure


# The first key


class Log:
    """Topic `keys` as several processes read and write it: one order for all, after a moment."""

    def __init__(self) -> None:
        self.views: list[Keys] = []
        self.records: list[tuple[bytes, bytes]] = []

    async def emit(self, topic: str, value: bytes, *, key: bytes) -> None:
        self.records.append((key, value))
        await asyncio.sleep(0)
        for one in self.views:
            one.view.apply(key, value)


def process(log: Log, data: Path) -> Keys:
    """The keys of a process that has read the log to its end."""
    keys = Keys(Settings(data=data), log)  # type: ignore[arg-type]
    for key, value in log.records:
        keys.view.apply(key, value)
    keys.view._view.ready.set()
    log.views.append(keys)
    return keys


def holding(keys: Keys) -> list[str]:
    return [key.id for key in keys.view.all() if state(key, now_ms()) == "active"]


async def test_processes_of_one_machine_that_start_at_once_make_one_first_key(tmp_path: Path) -> None:
    log = Log()
    processes = [process(log, tmp_path) for _ in range(4)]
    await asyncio.gather(*(keys.ready() for keys in processes))
    written = read_password(tmp_path / FIRST_KEY)
    for keys in processes:
        assert keys.holder(written) is not None
        assert len(holding(keys)) == 1


async def test_processes_of_several_machines_that_start_at_once_make_one_first_key(tmp_path: Path) -> None:
    log = Log()
    folders = [tmp_path / str(machine) for machine in range(4)]
    processes = [process(log, folder) for folder in folders]
    await asyncio.gather(*(keys.ready() for keys in processes))
    texts = [text for folder in folders if (text := read_password(folder / FIRST_KEY))]
    assert len(texts) == 1, "a key that holds nowhere is in no file"
    late = process(log, tmp_path / "late")
    await late.ready()
    for keys in (*processes, late):
        assert (keys.holder(texts[0]) is not None, len(holding(keys))) == (True, 1)
    assert read_password(tmp_path / "late" / FIRST_KEY) == ""


async def test_a_process_that_ended_after_its_claim_locks_nobody_out(tmp_path: Path) -> None:
    log = Log()
    first = process(log, tmp_path)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(first.view, "change", _ends)
    with pytest.raises(SystemExit):
        await first.ready()
    monkey.undo()
    again = process(log, tmp_path)
    await again.ready()
    assert again.holder(read_password(tmp_path / FIRST_KEY)) is not None


async def _ends(*_: Any) -> None:
    raise SystemExit


# The audit log


async def test_changes_exports_and_refusals_are_recorded_and_reading_is_not(fake: Fake) -> None:
    assert isinstance(fake, Audited)
    text, limited = new_key(scopes=["read"], name="reader")
    app = served(fake, [FIRST, limited])
    await ask(app, "GET", "/v1/campaigns")
    await ask(app, "POST", "/v1/campaigns", orjson.dumps(SPEC), longwave_by="maria")
    await ask(app, "POST", f"/v1/campaigns/{CAMPAIGN}/pause", **bearer(text))
    await ask(app, "GET", "/v1/contacts/+12125550123", **bearer(text))
    await ask(app, "GET", "/v1/campaigns", **bearer("lw_nonsense"))
    await ask(app, "GET", "/v1/campaigns", authorization="")
    said = [(e.name, e.who, e.method, e.path, e.account, e.campaign, e.status) for e in fake.entries]
    assert said == [
        ("test", "maria", "POST", "/v1/campaigns", "", "", 201),
        ("reader", "", "POST", f"/v1/campaigns/{CAMPAIGN}/pause", "demo", CAMPAIGN, 403),
        ("reader", "", "GET", "/v1/contacts/+121…23", "", "", 403),
        ("", "", "GET", "/v1/campaigns", "", "", 401),
    ]
    assert not [entry for entry in fake.entries if KEY.secret in str(entry) or text.secret in str(entry)]


async def test_another_keys_idempotent_answer_is_not_replayed(fake: Fake) -> None:
    text, other = new_key()
    app = served(fake, [FIRST, other])
    body = orjson.dumps(SPEC)
    first = (await ask(app, "POST", "/v1/campaigns", body, idempotency_key="same"))[1]["id"]
    assert (await ask(app, "POST", "/v1/campaigns", body, idempotency_key="same"))[1]["id"] == first
    assert (await ask(app, "POST", "/v1/campaigns", body, idempotency_key="same", **bearer(text)))[1]["id"] != first
