"""Accounts, senders and prices over HTTP, through the step and the book that a worker and Kafka stand for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from pipeline.accounts.placing import home_lane
from schemas.campaign import COMMANDS, CampaignDocument, LaunchedSender, Suspension
from schemas.lane import LANES, AccountTerms, SenderTerms
from tests.api.app import KEY, Audited, Fake, ask, key_like, raw, served

SPEC = {"name": "Sale", "account": "demo", "audience": {"lists": ["a"]}, "messages": [{"text": "Hi"}]}
NUMBER = {"number": "+18885550177", "segments_per_second": 3}


@pytest.fixture
def fake() -> Audited:
    return Audited()


async def etag(app: FastAPI, path: str) -> str:
    head, _ = await raw(app, "GET", path)
    return head["etag"]


async def put(app: FastAPI, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    return await ask(app, "PUT", path, orjson.dumps(body), **headers)


def terms(fake: Fake) -> list[AccountTerms | SenderTerms]:
    records = [LANES.decode(item.value) for item in fake.accounts.outputs if item.topic == "lanes"]
    return [record for record in records if isinstance(record, AccountTerms | SenderTerms)]


async def test_an_account_and_a_sender_are_made_changed_and_removed(fake: Audited) -> None:
    app = served(fake)
    assert (await put(app, "/v1/accounts/shop", {"site_name": "Shop"}))[0] == 200
    status, sender = await put(app, "/v1/accounts/shop/senders/main", NUMBER)
    assert (status, sender["lanes"], sender["spec"]["kind"]) == (200, [home_lane("shop", 8)], "toll-free")
    assert [(type(record), record.rate) for record in terms(fake)[-2:]] == [
        (AccountTerms, 1_000_000),
        (SenderTerms, 3),
    ]
    listed = (await ask(app, "GET", "/v1/accounts"))[1]["accounts"]
    assert [(item["account"], item["senders"]) for item in listed] == [("demo", 1), ("shop", 1)]
    assert (await put(app, "/v1/accounts/shop", {"site_name": "Shoes"}))[1]["spec"]["site_name"] == "Shoes"
    assert await ask(app, "DELETE", "/v1/accounts/shop") == (200, {"id": "shop", "deleted": True})
    assert (await ask(app, "GET", "/v1/accounts/shop/senders/main"))[0] == 404
    assert (await ask(app, "DELETE", "/v1/accounts/shop"))[0] == 404
    assert (await put(app, "/v1/accounts/shop", {}))[0] == 200, "it can be made again"
    assert (await ask(app, "GET", "/v1/accounts/shop/senders"))[1]["senders"] == [], "without its old senders"


async def test_of_two_who_saw_the_same_the_later_is_refused(fake: Audited) -> None:
    app, other = served(fake), served(fake)
    seen = await etag(app, "/v1/accounts/demo")
    assert (await put(app, "/v1/accounts/demo", {"site_name": "A"}, if_match=seen))[0] == 200
    status, answer = await put(other, "/v1/accounts/demo", {"site_name": "B"}, if_match=seen)
    assert (status, "in the meantime" in answer["error"]) == (412, True)
    assert (await ask(other, "GET", "/v1/accounts/demo"))[1]["spec"]["site_name"] == "A"
    assert (await put(other, "/v1/accounts/demo", {"site_name": "C"}))[0] == 200, "who says nothing overwrites"
    assert (await put(other, "/v1/accounts/demo", {}, if_none_match="*"))[0] == 412
    assert (await put(other, "/v1/accounts/new", {}, if_none_match="*"))[0] == 200
    assert (await put(other, "/v1/accounts/demo", {}, if_match='"x"'))[0] == 422


async def test_the_step_refuses_the_later_of_two_that_two_apis_let_through(fake: Audited) -> None:
    app = served(fake)
    before = len(fake.accounts.commands)
    assert (await put(app, "/v1/accounts/demo", {"site_name": "A"}))[0] == 200
    # What another API, which has not read of this change yet, would have sent.
    command = orjson.loads(fake.accounts.commands[before])
    command |= {"id": "other", "changes": [{**command["changes"][0], "spec": {"site_name": "B"}}]}
    fake.accounts.take(orjson.dumps(command))
    answer = await fake.accounts.view.answer("demo", "other", 1)
    assert answer.verdict == "stale"
    account = fake.accounts.book.account("demo")
    assert account is not None
    assert account.spec.site_name == "A"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/accounts/demo", {"color": 1}, "color"),
        ("/v1/accounts/demo", {"price_list": "none"}, "price list"),
        (
            "/v1/accounts/demo",
            {"quiet_hours": {"US": {"mon-fri": "00:00-24:00"}}, "quiet_reading": "common"},
            "quiet",
        ),
        ("/v1/accounts/demo/senders/x", {"number": "12"}, "number"),
        ("/v1/accounts/demo/senders/x", {**NUMBER, "segments_per_second": 0}, "longwave senders remove"),
        ("/v1/accounts/demo/senders/x", {**NUMBER, "aggregator": "nobody"}, "there is local"),
        ("/v1/accounts/demo/senders/x", {**NUMBER, "lanes": [99]}, "lane 99"),
        ("/v1/accounts/demo/senders/x", {**NUMBER, "kind": "short-code"}, "toll-free"),
        ("/v1/prices/x", {"prices": [{"from": "2026-01-01", "country": "US", "price": "0.00000001"}]}, "millionth"),
    ],
)
async def test_what_is_wrong_is_refused_in_words(fake: Audited, path: str, body: Any, said: str) -> None:
    status, answer = await put(served(fake), path, body)
    assert (status, said in answer["error"]) == (422, True), answer


async def test_a_sender_that_campaigns_wait_on_is_not_removed_unless_they_are_suspended(fake: Audited) -> None:
    fake.known["0000abcd"] = CampaignDocument(
        id="0000abcd", spec={**SPEC, "sender": "main"}, status="sending", revision=3, created=1, updated=1,
        lanes=[home_lane("demo", 8)],
        senders=[LaunchedSender(sender="main", country="US", lanes=[home_lane("demo", 8)], rate=100.0)],
    )  # fmt: skip
    app = served(fake)
    for path in ("/v1/accounts/demo/senders/main", "/v1/accounts/demo"):
        status, answer = await ask(app, "DELETE", path)
        assert (status, "0000abcd" in answer["error"]) == (409, True)
    assert (await ask(app, "DELETE", "/v1/accounts/demo/senders/main?suspend=true"))[0] == 200
    assert terms(fake)[-1].removed  # type: ignore[union-attr]
    (output,) = [item for item in fake.accounts.outputs if item.topic == "commands"]
    suspension = COMMANDS.decode(output.value)
    assert isinstance(suspension, Suspension)
    assert (suspension.campaign, suspension.suspended, suspension.reason) == (
        "0000abcd", True, "sender_removed:demo/main",
    )  # fmt: skip


FILE = {
    "accounts": {"demo": {"site_name": "New"}, "shop": {"price_list": "eu", "senders": {"main": NUMBER}}},
    "prices": {"eu": [{"from": "2026-01-01", "country": "FR", "price": "0.07"}]},
}


async def test_a_file_is_applied_once_and_shows_what_it_changes(fake: Audited) -> None:
    app = served(fake)
    body = orjson.dumps(FILE)
    _, tried = await ask(app, "POST", "/v1/accounts/apply?dry_run=true", body)
    assert (tried["dry_run"], tried["refused"]) == (True, [])
    assert {item["key"]: item["what"] for item in tried["changes"]} == {
        "prices:eu": "added", "demo": "changed", "shop": "added", "shop/main": "added",
    }  # fmt: skip
    assert (await ask(app, "GET", "/v1/accounts/shop"))[0] == 404, "a dry run changes nothing"
    status, applied = await ask(app, "POST", "/v1/accounts/apply", body)
    assert (status, applied["refused"], applied["carried_out"]) == (200, [], True)
    assert next(item for item in applied["changes"] if item["key"] == "demo")["fields"] == {
        "site_name": ["Harbor & Pine", "New"]
    }
    written = len(fake.accounts.commands)
    _, again = await ask(app, "POST", "/v1/accounts/apply", body)
    assert {item["what"] for item in again["changes"]} == {"same"}
    assert len(fake.accounts.commands) == written


async def test_what_a_file_has_wrong_is_named_and_nothing_of_it_is_done(fake: Audited) -> None:
    app, before = served(fake), len(fake.accounts.commands)
    body = orjson.dumps({"accounts": {"a": {"color": 1}, "b": {"senders": {"x": {"number": "1"}}}}})
    status, answer = await ask(app, "POST", "/v1/accounts/apply", body)
    assert (status, [field["field"] for field in answer["fields"]]) == (
        422,
        ["accounts.a.color", "accounts.b.senders.x"],
    )
    assert (await ask(app, "POST", "/v1/accounts/apply", b"["))[0] == 422
    assert (await ask(app, "POST", "/v1/accounts/apply", b"[]"))[0] == 422
    assert len(fake.accounts.commands) == before


async def test_what_is_refused_of_a_file_leaves_the_rest(fake: Audited) -> None:
    body = {"accounts": {"a": {"senders": {"x": {**NUMBER, "aggregator": "no"}}}, "b": {}}}
    _, answer = await ask(served(fake), "POST", "/v1/accounts/apply", orjson.dumps(body))
    assert [item["key"] for item in answer["refused"]] == ["a"]
    assert fake.accounts.book.names() == ["b", "demo"]


async def test_prices_are_made_changed_and_removed(fake: Audited) -> None:
    app = served(fake)
    assert (await ask(app, "GET", "/v1/prices/default"))[1]["built_in"]
    prices = {"prices": [{"from": "2026-01-01", "country": "US", "price": "0.02"}]}
    status, made = await put(app, "/v1/prices/default", prices)
    assert (status, made["built_in"], made["prices"][0]["price"]) == (200, False, "0.02")
    assert (await put(app, "/v1/prices/default", prices, if_match='"1"'))[0] == 412
    assert fake.accounts.book.prices_of("demo").of("US", 1_800_000_000_000) == 20_000
    assert (await put(app, "/v1/prices/eu", prices))[0] == 200
    assert (await put(app, "/v1/accounts/demo", {"price_list": "eu"}))[0] == 200
    status, answer = await ask(app, "DELETE", "/v1/prices/eu")
    assert (status, "demo" in answer["error"]) == (409, True)
    assert (await ask(app, "DELETE", "/v1/prices/default"))[0] == 200
    assert (await ask(app, "GET", "/v1/prices/default"))[1]["built_in"]


async def test_every_change_is_in_the_audit_log_with_what_was_there_before(fake: Audited) -> None:
    app = served(fake)
    await put(app, "/v1/accounts/demo", {"site_name": "A"})
    await put(app, "/v1/accounts/demo", {"site_name": "A"})
    await put(app, "/v1/accounts/demo/senders/new", NUMBER)
    await ask(app, "DELETE", "/v1/accounts/demo/senders/new")
    await put(app, "/v1/accounts/demo", {"color": 1})
    said = [(entry.account, entry.status, entry.before, entry.after) for entry in fake.entries]
    number = '{"demo/new":{"number":"+18885550177","kind":"toll-free","country":"US","segments_per_second":3.0}}'
    assert said[0] == ("demo", 200, '{"demo":{"site_name":"Harbor & Pine"}}', '{"demo":{"site_name":"A"}}')
    assert said[1] == ("", 200, "", ""), "nothing was changed"
    assert said[2][:3] == ("demo", 200, "")
    assert said[3] == ("demo", 200, number, "")
    assert said[4] == ("", 422, "", "")


async def test_phone_numbers_of_alerts_are_masked_without_the_scope(fake: Audited) -> None:
    spec = {"alerts": {"numbers": ["+12125550123"]}}
    assert (await put(served(fake), "/v1/accounts/demo", spec))[1]["spec"]["alerts"]["numbers"] == ["+12125550123"]
    blind = served(fake, [key_like(KEY, scopes=["admin"])])
    assert (await ask(blind, "GET", "/v1/accounts/demo"))[1]["spec"]["alerts"]["numbers"] == ["+121••••••23"]
    _, applied = await ask(blind, "POST", "/v1/accounts/apply?dry_run=true", b'{"accounts": {"demo": {}}}')
    assert "2125550123" not in str([applied, fake.entries])


async def test_a_key_of_one_account_sees_and_changes_that_one(fake: Audited) -> None:
    fake.accounts.apply({"accounts": {"shop": {"senders": {"main": NUMBER}}}}, at=2)
    other = key_like(KEY, accounts=["shop"])
    app = served(fake, [other])
    assert [item["account"] for item in (await ask(app, "GET", "/v1/accounts"))[1]["accounts"]] == ["shop"]
    assert (await ask(app, "GET", "/v1/accounts/demo"))[0] == 404
    assert (await put(app, "/v1/accounts/demo", {}))[0] == 403
    assert (await put(app, "/v1/accounts/shop", {"site_name": "Mine"}))[0] == 200
    assert (await ask(app, "POST", "/v1/accounts/apply", orjson.dumps({"accounts": {"demo": {}}})))[0] == 403
    assert (await put(app, "/v1/prices/default", {"prices": []}))[0] in (403, 422)


async def test_pages_of_accounts_and_senders(fake: Audited) -> None:
    senders = {f"s{index}": NUMBER for index in range(5)}
    fake.accounts.apply({"accounts": {f"a{index}": {"senders": senders} for index in range(3)}}, at=2)
    app = served(fake)
    names, after = [], ""
    while True:
        _, page = await ask(app, "GET", f"/v1/accounts/a0/senders?size=2&after={after}")
        names += [item["sender"] for item in page["senders"]]
        after = page["next"]
        if not after:
            break
    assert names == sorted(senders)


async def test_an_api_that_nobody_carries_out_for_says_so(fake: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    app = served(fake)
    monkeypatch.setattr("api.accounts.ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(fake.accounts, "take", lambda _: None)
    status, answer = await put(app, "/v1/accounts/demo", {"site_name": "Later"})
    assert (status, answer["carried_out"]) == (202, False)
    assert "longwave status" in answer["message"]
