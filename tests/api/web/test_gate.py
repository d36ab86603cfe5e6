"""What no request to the API gets past: foreign names and pages, bodies without end."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.doors.headers import SAFE_HEADERS, SafeHeaders
from adapters.doors.settings import Api
from api.web.gate import LARGEST, Gate
from api.web.hosts import Hosts


@pytest.mark.parametrize(
    ("listen", "host", "ours"),
    [
        (Api(port=1), "127.0.0.1:18080", True),
        (Api(port=1), "localhost", True),
        (Api(port=1), "[::1]:18080", True),
        (Api(port=1), "evil.example", False),
        (Api(port=1), "127.0.0.1.evil.example", False),
        (Api(port=1), "", False),
        (Api(port=1), "[::1", False),
        (Api(port=1), "192.168.1.7", False),
        (Api(port=1, host="0.0.0.0"), "evil.example:18080", False),
        (Api(port=1, host="0.0.0.0"), "192.168.1.7:18080", True),
        (Api(port=1, host="0.0.0.0"), "0.0.0.0", True),
        (Api(port=1, host="0.0.0.0", public_url="https://sms.shop.example"), "SMS.shop.example", True),
        (Api(port=1, host="0.0.0.0", public_url="https://sms.shop.example"), "shop.example", False),
        (Api(port=1, host="0.0.0.0", hosts=("api",)), "api:18080", True),
        (Api(port=1, host="::"), "[2001:db8::1]:18080", True),
    ],
)
def test_only_our_own_names(listen: Api, host: str, ours: bool) -> None:
    assert Hosts(listen).is_ours(host) is ours


async def _echo(scope, receive, send):  # type: ignore[no-untyped-def]
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


async def ask(*parts: bytes, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer to a request with a body in `parts`."""
    named = {"host": "127.0.0.1:18080", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    app = SafeHeaders(Gate(_echo, Api(port=18080)))
    await app({"type": "http", "method": method, "headers": raw}, receive, send)
    got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, b"".join(message["body"] for message in sent[1:])


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 200), ({"host": "evil.example"}, 403), ({"origin": "http://evil.example"}, 403)]
)
async def test_every_answer_is_unframed_and_refusals_too(headers: dict[str, str], status: int) -> None:
    answered, got, _ = await ask(**headers)
    assert answered == status
    assert {name: got[name.lower()] for name in SAFE_HEADERS} == SAFE_HEADERS


@pytest.mark.parametrize(
    "origin", ["null", "http://127.0.0.1:9", "http://127.0.0.1:18080.evil.example", "x", "http://["]
)
async def test_other_pages_change_nothing(origin: str) -> None:
    assert (await ask(origin=origin))[0] == 403
    assert (await ask(origin=origin, method="DELETE"))[0] == 403
    assert (await ask(origin="http://127.0.0.1:18080"))[0] == 200


async def test_bodies_are_bounded_whether_or_not_they_say_how_long_they_are() -> None:
    assert (await ask(b"x" * LARGEST))[2] == str(LARGEST).encode()
    for parts, headers in (([b"x" * 1_000_000] * 50, {}), ([b""], {"content_length": "50000000"})):
        status, _, body = await ask(*parts, **headers)
        assert status == 413
        assert b"longwave contacts import" in body
