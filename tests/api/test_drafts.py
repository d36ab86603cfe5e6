"""Drafts over HTTP: incomplete ones, edits of what one saw, and creating the same once."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import FastAPI

from api.web.numbers import MASK
from tests.api.app import Fake, ask, raw, served
from tests.api.test_keys import bearer, new_key

WHOLE = {"name": "Sale", "audience": {"lists": ["people"]}, "messages": [{"text": "Hi"}]}
CAMPAIGNS = "/v1/campaigns"


async def made(app: FastAPI, **fields: Any) -> Any:
    status, answer = await ask(app, "POST", CAMPAIGNS, orjson.dumps({"name": "Sale", **fields}))
    assert status == 201, answer
    return answer


def places(answer: Any) -> list[str]:
    return [part["where"] for part in answer["missing"]]


async def test_a_draft_names_what_it_lacks_until_nothing_is_missing() -> None:
    app = served(Fake())
    draft = await made(app, sender="second", pool=["third"])
    assert places(draft) == ["audience", "messages", "sender", "pool.0"]
    assert all(set(part) == {"where", "what", "fix"} and all(part.values()) for part in draft["missing"])
    path = f"{CAMPAIGNS}/{draft['id']}"
    assert places((await ask(app, "GET", path))[1]) == places(draft)
    status, edited = await ask(app, "PUT", path, orjson.dumps({**WHOLE, "messages": [{"text": ""}]}))
    assert (status, places(edited)) == (200, ["messages.0.text"])
    assert places((await ask(app, "PUT", path, orjson.dumps(WHOLE)))[1]) == []


async def test_what_an_incomplete_draft_holds_is_checked() -> None:
    app = served(fake := Fake())
    for wrong in ({"tags": [""]}, {"messages": [{"text": "Hi {{ name }}"}]}, {"audience": {"lists": ["A B"]}},
                  {"messages": [{"links": {"default": "https://x.example/{first_name}"}}]}):  # fmt: skip
        status, answer = await ask(app, "POST", CAMPAIGNS, orjson.dumps({"name": "Sale", **wrong}))
        assert (status, bool(answer["fields"])) == (422, True), wrong
    assert fake.commands == []


async def test_review_and_launch_refuse_with_the_names() -> None:
    app = served(fake := Fake())
    draft = await made(app, sender="second")
    status, review = await ask(app, "GET", f"{CAMPAIGNS}/{draft['id']}/review")
    assert (status, review["ok"], review["forecast"]) == (200, False, None)
    assert [(p["where"], p["code"]) for p in review["problems"]] == [
        ("audience", "missing"), ("messages", "missing"), ("sender", "missing"),
    ]  # fmt: skip
    before = len(fake.commands)
    status, refused = await ask(app, "POST", f"{CAMPAIGNS}/{draft['id']}/launch?allow_empty=true")
    assert status == 409
    assert [field["field"] for field in refused["fields"]] == ["audience", "messages", "sender"]
    assert "not launched: audience: has no recipients" in refused["error"]
    assert len(fake.commands) == before


async def test_a_forecast_of_an_incomplete_campaign_names_what_is_missing() -> None:
    status, refused = await ask(served(Fake()), "POST", "/v1/forecast", orjson.dumps({"name": "Sale"}))
    assert (status, [field["field"] for field in refused["fields"]]) == (422, ["audience", "messages"])


async def test_an_edit_of_what_was_changed_since_is_refused() -> None:
    app = served(fake := Fake())
    draft = await made(app)
    path = f"{CAMPAIGNS}/{draft['id']}"
    seen = (await raw(app, "GET", path))[0]["etag"]
    assert (await ask(app, "PUT", path, orjson.dumps({"name": "One"}), if_match=seen))[0] == 200
    status, refused = await ask(app, "PUT", path, orjson.dumps({"name": "Two"}), if_match=seen)
    assert (status, refused["id"]) == (412, draft["id"])
    assert "changed by somebody else" in refused["error"]
    assert fake.known[draft["id"]].spec["name"] == "One"
    assert (await ask(app, "PUT", path, orjson.dumps({"name": "Three"})))[0] == 200
    now = (await raw(app, "GET", path))[0]["etag"]
    head, _ = await raw(app, "PUT", path, orjson.dumps({"name": "Four"}), if_match=now)
    assert head["etag"] != now
    assert (await ask(app, "PUT", path, orjson.dumps({"name": "Five"}), if_match="mine"))[0] == 422


async def test_masked_numbers_do_not_replace_the_real_ones() -> None:
    text, blind = new_key(scopes=["read", "operate"])
    app = served(fake := Fake(), [blind])
    body = orjson.dumps({**WHOLE, "audience": {"numbers": ["+12125550123"]}})
    status, draft = await ask(app, "POST", CAMPAIGNS, body, **bearer(text))
    assert status == 201
    assert MASK in draft["spec"]["audience"]["numbers"][0]
    status, refused = await ask(app, "PUT", f"{CAMPAIGNS}/{draft['id']}", orjson.dumps(draft["spec"]), **bearer(text))
    assert (status, refused["fields"][0]["field"]) == (422, "audience.numbers")
    assert fake.known[draft["id"]].spec["audience"]["numbers"] == ["+12125550123"]


async def test_a_duplicate_has_everything_but_the_key() -> None:
    app = served(Fake())
    fields = {
        "key": "sale", "tags": ["a", "b"], "pool": ["second"], "pool_by": "turn", "send_at": "2026-12-01T10:00:00",
        "local_time": True, "if_passed": "skip", "deadline": "2026-12-02T10:00:00", "smart_sending_hours": 3,
        "unknown": "resend", "transactional": True, "priority": "urgent", "weight": 7, "opt_out_language": "STOP",
        "messages": [{"text": "Hi {link}", "links": {"default": "https://shop.example/"}}],
    }  # fmt: skip
    draft = await made(app, **fields)
    status, copy = await ask(app, "POST", f"{CAMPAIGNS}/{draft['id']}/duplicate", b"")
    assert (status, copy["id"] != draft["id"]) == (201, True)
    assert copy["spec"] == {**draft["spec"], "key": None, "name": "Sale (copy)"}
    empty = await made(app)
    _, copy = await ask(app, "POST", f"{CAMPAIGNS}/{empty['id']}/duplicate", b"")
    assert places(copy) == ["audience", "messages"]


async def test_the_same_key_and_campaign_is_one_campaign_after_a_restart_and_after_edits() -> None:
    fake, body = Fake(), orjson.dumps(WHOLE)
    status, first = await ask(served(fake), "POST", CAMPAIGNS, body, idempotency_key="k1")
    assert status == 201
    for number in range(10):
        edit = orjson.dumps({**WHOLE, "name": f"Edit {number}"})
        assert (await ask(served(fake), "PUT", f"{CAMPAIGNS}/{first['id']}", edit))[0] == 200
    status, again = await ask(served(fake), "POST", CAMPAIGNS, body, idempotency_key="k1")
    assert (status, again["id"], again["name"]) == (201, first["id"], "Edit 9")
    assert len(fake.known) == 1


async def test_the_same_key_with_another_campaign_is_refused_after_a_restart_as_before() -> None:
    fake = Fake()
    app = served(fake)
    _, first = await ask(app, "POST", CAMPAIGNS, orjson.dumps(WHOLE), idempotency_key="k1")
    other = orjson.dumps({**WHOLE, "name": "Other"})
    for process in (app, served(fake)):
        status, refused = await ask(process, "POST", CAMPAIGNS, other, idempotency_key="k1")
        assert status == 422
        assert "another request" in refused["error"]
    assert fake.known[first["id"]].spec["name"] == "Sale"
    assert len(fake.known) == 1


async def test_two_processes_that_get_the_same_request_at_once_make_one_campaign() -> None:
    fake, body = Fake(), orjson.dumps(WHOLE)
    answers = await asyncio.gather(
        *(ask(served(fake), "POST", CAMPAIGNS, body, idempotency_key="k1") for _ in range(3))
    )
    assert [status for status, _ in answers] == [201] * 3
    assert {answer["id"] for _, answer in answers} == set(fake.known)


class Silent(Fake):
    """A coordinator that carries out what it is asked for only after the API has given up."""

    is_silent = True

    async def wait_for(self, campaign: str, wanted: Any, timeout: float) -> Any:
        if self.is_silent:
            raise TimeoutError
        return await super().wait_for(campaign, wanted, timeout)


async def test_after_a_timeout_the_same_request_gets_the_campaign() -> None:
    app, body = served(fake := Silent()), orjson.dumps(WHOLE)
    status, pending = await ask(app, "POST", CAMPAIGNS, body, idempotency_key="k1")
    assert (status, pending["carried_out"]) == (202, False)
    fake.is_silent = False
    status, made_then = await ask(app, "POST", CAMPAIGNS, body, idempotency_key="k1")
    assert (status, made_then["id"]) == (201, pending["id"])
    assert len(fake.known) == 1


async def test_a_campaign_that_went_to_another_account_is_not_shown_to_who_created_it() -> None:
    text, own = new_key(accounts=["demo"])
    fake, body, sent = Fake(), orjson.dumps(WHOLE), {"idempotency_key": "k", **bearer(text)}
    _, first = await ask(served(fake, [own]), "POST", CAMPAIGNS, body, **sent)
    fake.known[first["id"]].spec["account"] = "elsewhere"
    assert (await ask(served(fake, [own]), "POST", CAMPAIGNS, body, **sent))[0] == 403
