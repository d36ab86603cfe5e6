"""Files of campaigns: created, changed, left, or refused, and which campaign a file is about."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from pipeline.campaign.file import file_of, toml_of
from pipeline.identity.tokens import campaign_id_of
from schemas.campaign import DraftSpec
from tests.api.app import Fake, ask, served
from tests.api.test_keys import bearer, new_key

TOML = {"content-type": "application/toml"}
APPLY = "/v1/campaigns/apply"
FILE: dict[str, Any] = {
    "key": "spring-sale", "name": "Spring", "audience": {"lists": ["people"]}, "messages": [{"text": "Hi"}],
}  # fmt: skip


async def applied(fake: Fake, query: str = "", headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """An answer, from a process that was just started."""
    return await ask(served(fake), "POST", APPLY + query, orjson.dumps({**FILE, **fields}), **(headers or {}))


async def test_a_file_is_applied_once_and_what_it_changes_is_named() -> None:
    fake = Fake()
    status, dry = await applied(fake, "?dry_run=true")
    assert (status, dry["what"], dry["carried_out"], fake.commands) == (200, "added", False, [])
    status, made = await applied(fake)
    assert (status, made["what"], made["carried_out"], made["id"]) == (200, "added", True, dry["id"])
    assert (await applied(fake))[1]["what"] == "same"
    assert len(fake.commands) == 1
    status, changed = await applied(fake, name="Spring sale", messages=[{"text": "Ho"}])
    assert (status, changed["what"], changed["id"]) == (200, "changed", made["id"])
    assert changed["changes"] == [
        {"field": "name", "before": "Spring", "after": "Spring sale"},
        {"field": "messages.0.text", "before": "Hi", "after": "Ho"},
    ]
    assert [(c.action, c.expected) for c in fake.commands] == [("create", None), ("edit", 1)]
    assert list(fake.known) == [campaign_id_of("demo", "spring-sale")]


async def test_each_account_has_its_own_keys() -> None:
    fake = Fake()
    first, second = [(await applied(fake, account=account))[1] for account in ("demo", "shop")]
    assert first["id"] != second["id"]
    assert [answer["what"] for answer in (first, second)] == ["added", "added"]


async def test_what_was_launched_is_refused_and_left_if_nothing_differs() -> None:
    fake = Fake()
    _, made = await applied(fake)
    fake.known[made["id"]] = replace(fake.known[made["id"]], status="sending")
    assert (await applied(fake))[:2] == (200, {**made, "what": "same", "carried_out": True})
    status, shown = await applied(fake, "?dry_run=true", name="Other")
    assert (status, shown["what"], bool(shown["changes"])) == (200, "changed", True)
    assert "only a draft can be edited" in shown["refused"]
    status, refused = await applied(fake, name="Other")
    assert (status, refused["error"]) == (409, shown["refused"])
    assert len(fake.commands) == 1


async def test_a_campaign_without_a_key_is_named_by_its_id() -> None:
    fake = Fake()
    _, made = await ask(served(fake), "POST", "/v1/campaigns", orjson.dumps({"name": "By hand"}))
    toml = toml_of(file_of(made["id"], DraftSpec.model_validate(made["spec"])))
    for text, what in ((toml, "same"), (toml.replace("By hand", "By file"), "changed")):
        status, answer = await ask(served(fake), "POST", APPLY, text.encode(), **TOML)
        assert (status, answer["what"], answer["id"]) == (200, what, made["id"])
    assert fake.known[made["id"]].spec["name"] == "By file"
    body = orjson.dumps({"id": "zzzzzzzz", "name": "Nobody"})
    assert (await ask(served(fake), "POST", APPLY, body))[0] == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": None}, "key"),
        ({"id": "0000000a"}, "key"),
        ({"key": None, "id": "../x"}, "id"),
        ({"colour": 1}, "colour"),
        ({"messages": [{"text": "Hi {{ name }}"}]}, "messages.0.text"),
    ],
)
async def test_a_wrong_file_changes_nothing(fields: dict[str, Any], field: str) -> None:
    status, refused = await applied(fake := Fake(), **fields)
    assert (status, refused["fields"][0]["field"], fake.commands) == (422, field, [])


async def test_a_key_of_another_account_neither_sees_nor_changes_anything() -> None:
    text, other = new_key(accounts=["shop"])
    fake = Fake()
    _, made = await ask(served(fake), "POST", "/v1/campaigns", orjson.dumps({"name": "Secret"}))
    app = served(fake, [other])
    for body in (FILE, {"id": made["id"], "name": "Mine", "account": "shop"}, {"id": made["id"], "name": "Mine"}):
        for query in ("", "?dry_run=true"):
            status, answer = await ask(app, "POST", APPLY + query, orjson.dumps(body), **bearer(text))
            assert status in (403, 404), answer
            assert "Secret" not in str(answer)
    assert len(fake.commands) == 1


async def test_typed_numbers_are_masked_in_what_changes() -> None:
    text, blind = new_key(scopes=["read", "operate"])
    fake = Fake()
    await applied(fake, audience={"numbers": ["+12125550123"]})
    body = orjson.dumps({**FILE, "audience": {"numbers": ["+12125550199"]}})
    status, answer = await ask(served(fake, [blind]), "POST", f"{APPLY}?dry_run=1", body, **bearer(text))
    assert status == 200
    assert "2125550123" not in str(answer)
    assert answer["changes"] == [{"field": "audience.numbers", "before": ["+121••••••23"], "after": ["+121••••••99"]}]


async def test_creating_what_a_file_has_created_is_refused() -> None:
    fake = Fake()
    await applied(fake)
    status, refused = await ask(served(fake), "POST", "/v1/campaigns", orjson.dumps(FILE))
    assert (status, "exists already" in refused["error"]) == (409, True)
