"""Domains of an account over HTTP, through the step and the book that a worker and Kafka stand for."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
import pytest
from fastapi import FastAPI

from schemas.domains import DomainUse, LaneUse
from schemas.lane import LANES, DomainTerms
from schemas.wire import encode
from tests.api.app import Audited, Fake, ask, raw, served

DOMAINS = "/v1/accounts/demo/domains"


@pytest.fixture
def fake() -> Audited:
    return Audited()


async def put(app: FastAPI, domain: str, body: Any, account: str = "demo", **headers: str) -> tuple[int, Any]:
    path = f"/v1/accounts/{account}/domains/{quote(domain, safe='')}"
    return await ask(app, "PUT", path, orjson.dumps(body), **headers)


def told(fake: Fake) -> list[DomainTerms]:
    """What the lanes have heard of domains."""
    records = [LANES.decode(item.value) for item in fake.accounts.outputs if item.topic == "lanes"]
    return [record for record in records if isinstance(record, DomainTerms)]


def report(fake: Fake, as_of: int, **used: int) -> None:
    """A lane tells what it has used."""
    lane = fake.accounts.book.domains("demo").lanes[0]  # type: ignore[union-attr]
    names = {name.replace("_", "."): count for name, count in used.items()}
    use = LaneUse(lane=lane, as_of=as_of, revision=told(fake)[-1].revision, used=names)
    fake.accounts.take(encode(DomainUse(account="demo", at=as_of, use=use)))


async def test_a_domain_is_added_changed_and_removed(fake: Audited) -> None:
    app = served(fake)
    assert (await ask(app, "GET", DOMAINS))[1] == {"domains": [], "pools": []}
    status, made = await put(app, "Go.Example", {"messages": 100})
    assert (status, made["domain"], made["used"], made["left"]) == (200, "go.example", 0, 100)
    assert [(limit.name, limit.messages) for limit in told(fake)[-1].domains] == [("go.example", 100)]
    report(fake, 5, go_example=30)
    shown = (await ask(app, "GET", f"{DOMAINS}/go.example"))[1]
    assert (shown["used"], shown["left"]) == (30, 70)
    assert (await put(app, "go.example", {"messages": 40}))[0] == 200
    listed = (await ask(app, "GET", DOMAINS))[1]
    assert listed["pools"] == [{"kind": "short", "limit": 40, "used": 30, "left": 10, "nearly_used": False}]
    deleted = await ask(app, "DELETE", f"{DOMAINS}/go.example")
    assert deleted == (200, {"id": "demo/go.example", "deleted": True})
    assert told(fake)[-1].domains == []
    assert (await ask(app, "GET", f"{DOMAINS}/go.example"))[0] == 404
    assert (await ask(app, "DELETE", f"{DOMAINS}/go.example"))[0] == 404
    assert (await put(app, "go.example", {"messages": 40}))[1]["left"] == 10, "what it has carried still counts"


async def test_of_two_who_saw_the_same_the_later_is_refused(fake: Audited) -> None:
    app = served(fake)
    assert (await put(app, "go.example", {}, if_none_match="*"))[0] == 200
    assert (await put(app, "go.example", {}, if_none_match="*"))[0] == 412
    seen = (await raw(app, "GET", f"{DOMAINS}/go.example"))[0]["etag"]
    assert (await put(app, "go.example", {"messages": 7}, if_match=seen))[0] == 200
    assert (await put(app, "go.example", {"messages": 8}, if_match=seen))[0] == 412
    assert (await put(app, "to.example", {}))[0] == 200, "who says nothing adds to what there is"
    names = [item["domain"] for item in (await ask(app, "GET", DOMAINS))[1]["domains"]]
    assert names == ["go.example", "to.example"]


@pytest.mark.parametrize(
    ("domain", "body", "words"),
    [
        ("go.example:443", {}, "is no host name"),
        ("10.0.0.1", {}, "is an address"),
        ("shop", {}, "has no domain behind it"),
        ("go.example", {"messages": -1}, "messages"),
        ("go.example", {"kind": "long"}, "kind"),
        ("go.example", {"color": 1}, "color"),
        ("x" * 300, {}, "domain"),
    ],
)
async def test_what_is_wrong_is_said(fake: Audited, domain: str, body: Any, words: str) -> None:
    app = served(fake)
    before = len(fake.accounts.commands)
    status, answer = await put(app, domain, body)
    assert status in (404, 422)
    if status == 422:
        assert words in str(answer)
    assert len(fake.accounts.commands) == before


async def test_a_domain_belongs_to_one_account(fake: Audited) -> None:
    app = served(fake)
    assert (await ask(app, "PUT", "/v1/accounts/shop", b"{}"))[0] == 200
    assert (await put(app, "go.example", {}, "shop"))[0] == 200
    status, answer = await put(app, "go.example", {})
    assert (status, "is a domain of account shop" in answer["error"]) == (422, True)
    assert (await ask(app, "DELETE", "/v1/accounts/shop/domains/go.example"))[0] == 200
    assert (await put(app, "go.example", {}))[0] == 200, "it is free again"
    assert (await put(app, "go.example", {}, "nobody"))[0] == 404


async def test_domains_stand_in_files_of_accounts(fake: Audited) -> None:
    app = served(fake)
    file = b'{"accounts": {"demo": {"site_name": "D", "domains": {"go.example": {"messages": 9}}}}}'
    for changes in (1, 0):
        answer = (await ask(app, "POST", "/v1/accounts/apply", file))[1]
        assert answer["refused"] == []
        assert sum(item["what"] != "same" for item in answer["changes"]) == changes
    wrong = b'{"accounts": {"demo": {"domains": {"go example": {}}}}}'
    status, answer = await ask(app, "POST", "/v1/accounts/apply", wrong)
    assert (status, answer["fields"][0]["field"]) == (422, "accounts.demo.domains.go example.[key]")


async def test_people_are_told_once_that_domains_are_nearly_used_up(fake: Audited) -> None:
    app = served(fake)
    assert (await put(app, "go.example", {"messages": 100}))[0] == 200
    for as_of, used in ((5, 89), (6, 90), (6, 90), (7, 95)):
        report(fake, as_of, go_example=used)
    alerts = [orjson.loads(item.value) for item in fake.accounts.outputs if item.topic == "alerts"]
    assert len({alert["id"] for alert in alerts}) == 1
    assert len(alerts) == 2, "the report that came again tells it under the same id"
    assert "10 of 100 messages are left" in alerts[0]["text"]
    assert (await ask(app, "GET", DOMAINS))[1]["pools"][0]["nearly_used"] is True
