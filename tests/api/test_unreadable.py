"""A stored campaign that cannot be read is listed, shown and deleted; what needs its definition says why."""

from __future__ import annotations

import orjson
import pytest

from schemas.campaign import CampaignDocument
from tests.api.app import Fake, ask, served

SPECS = [
    {},
    {"name": "Old", "send_at": "9999-12-31T23:59:59"},
    {"name": "Old", "audience": {"lists": ["people"]}, "messages": [], "what": "was"},
    {"audience": 7, "messages": [{"text": "Hi"}]},
]


@pytest.mark.parametrize("spec", SPECS)
async def test_it_is_listed_shown_and_deleted(spec: dict[str, object]) -> None:
    stored = CampaignDocument(id="4f7k2q9z", spec=spec, status="draft", revision=3, created=1, updated=1)
    app = served(fake := Fake({stored.id: stored}))
    status, listed = await ask(app, "GET", "/v1/campaigns")
    assert (status, [item["id"] for item in listed["campaigns"]]) == (200, ["4f7k2q9z"])
    status, shown = await ask(app, "GET", "/v1/campaigns/4f7k2q9z")
    assert (status, shown["name"], "delete" in shown["actions"]) == (200, spec.get("name", ""), True)
    for method, path in (("GET", "review"), ("POST", "launch")):
        status, refused = await ask(app, method, f"/v1/campaigns/4f7k2q9z/{path}")
        assert status == 409
        assert "cannot be read" in refused["error"]
        assert "or delete it" in refused["error"]
    assert (await ask(app, "POST", "/v1/campaigns/4f7k2q9z/duplicate"))[0] in (201, 422)
    status, gone = await ask(app, "DELETE", "/v1/campaigns/4f7k2q9z")
    assert (status, gone) == (200, {"id": "4f7k2q9z", "deleted": True})
    assert "4f7k2q9z" not in fake.known


async def test_a_request_that_comes_again_after_a_restart_names_the_same_campaign_and_command() -> None:
    """The coordinator carries a command out once (tests/agents/guards/test_coordination.py)."""
    fake = Fake()
    body = orjson.dumps({"name": "A", "audience": {"numbers": ["+12125550123"]}, "messages": [{"text": "Hi"}]})
    first = await ask(served(fake), "POST", "/v1/campaigns", body, idempotency_key="k1")
    again = await ask(served(fake), "POST", "/v1/campaigns", body, idempotency_key="k1")
    other = await ask(served(fake), "POST", "/v1/campaigns", body, idempotency_key="k2")
    assert first[0] == again[0] == other[0] == 201
    assert first[1]["id"] == again[1]["id"] != other[1]["id"]
    ids = [command.id for command in fake.commands]
    assert ids[0] == ids[1] != ids[2]
