"""No body of a request to the API is nested so deep that the answer is a 500."""

from __future__ import annotations

import pytest

from tests.api.app import Fake, ask, served

DEEP = 200_000
BODIES = [
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"numbers":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b"[" * 950 + b"]" * 950,
]


@pytest.mark.parametrize("raw", BODIES)
async def test_every_route_with_a_body_refuses_one_that_is_nested_too_deep(raw: bytes) -> None:
    app = served(Fake())
    doors = [
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]
    assert len(doors) >= 8
    for method, path in doors:
        there = path.replace("{number}", "+12125550123").replace("{campaign}", "4f7k2q9z")
        status, answer = await ask(app, method, there, raw)
        assert 400 <= status < 500, (method, path)
        assert answer["error"]
