"""The same key and request is carried out once; another request with it is refused; what failed is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from api.web.idempotency import Idempotency, keyed
from pipeline.identity.tokens import new_campaign_id


class Counted:
    """Answers with the number of requests that reached it, and the ids that follow from the key."""

    def __init__(self) -> None:
        self.reached = 0
        self.status = 201
        self.go = asyncio.Event()
        self.go.set()
        self.ids: list[tuple[str, str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += 1
        await receive()
        await self.go.wait()
        if (key := keyed()) is not None:
            self.ids.append((new_campaign_id(key.campaign()), key.command(), key.command()))
        body = orjson.dumps({"n": self.reached})
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def ask(
    app: Any, key: str | None, body: bytes = b"{}", path: str = "/v1/campaigns", method: str = "POST"
) -> tuple[int, Any, bool]:
    """Status, JSON, whether it is an answer again."""
    headers = [(b"content-type", b"application/json")] + ([(b"idempotency-key", key.encode())] if key else [])
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    again = any(name == b"idempotent-replayed" for name, _ in sent[0]["headers"])
    return sent[0]["status"], orjson.loads(b"".join(item["body"] for item in sent[1:])), again


async def test_the_same_request_is_carried_out_once() -> None:
    inner = Counted()
    app = Idempotency(inner)
    assert await ask(app, "a") == (201, {"n": 1}, False)
    assert await ask(app, "a") == (201, {"n": 1}, True)
    assert await ask(app, "a", path="/v1/optouts") == (201, {"n": 2}, False)
    assert await ask(app, "b") == (201, {"n": 3}, False)
    assert await ask(app, None) == (201, {"n": 4}, False)
    assert await ask(app, "a", method="PUT") == (201, {"n": 5}, False)


async def test_another_body_with_the_key_is_refused_and_so_is_a_strange_key() -> None:
    inner = Counted()
    app = Idempotency(inner)
    await ask(app, "a")
    assert (await ask(app, "a", b'{"x":1}'))[0] == 422
    assert (await ask(app, "x" * 201))[0] == 422
    assert (await ask(app, "a b"))[0] == 422
    assert inner.reached == 1


async def test_while_it_is_under_way_it_is_409_and_then_the_answer() -> None:
    inner = Counted()
    inner.go.clear()
    app = Idempotency(inner)
    first = asyncio.create_task(ask(app, "a"))
    await asyncio.sleep(0)
    assert (await ask(app, "a"))[0] == 409
    inner.go.set()
    assert await first == (201, {"n": 1}, False)
    assert await ask(app, "a") == (201, {"n": 1}, True)


async def test_a_failure_of_ours_is_tried_again_and_a_refusal_is_kept() -> None:
    inner = Counted()
    app = Idempotency(inner)
    inner.status = 503
    assert (await ask(app, "a"))[0] == 503
    inner.status = 409
    assert (await ask(app, "a"))[1:] == ({"n": 2}, False)
    assert (await ask(app, "a"))[1:] == ({"n": 2}, True)


async def test_after_a_restart_the_same_ids_follow_from_the_key() -> None:
    before, after = Counted(), Counted()
    await ask(Idempotency(before), "a")
    await ask(Idempotency(after), "a")
    await ask(Idempotency(after), "a", b'{"other":1}')
    await ask(Idempotency(after), "b")
    same, other_body, other_key = after.ids
    assert same == before.ids[0]
    assert same[1] != same[2]
    assert other_body[0] == same[0]
    assert other_body[1] != same[1]
    assert other_key[0] != same[0]
