"""Who asks, as it goes into commands and the log: a name from outside is cut and cleaned."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.app import Fake, ask, served

DRAFT = b'{"name": "x", "audience": {"lists": ["a"]}, "messages": [{"text": "Hi"}]}'


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ({}, "key test"),
        ({"origin": "http://127.0.0.1:18080"}, "key test"),
        ({"longwave_by": "maria"}, "maria (key test)"),
        ({"longwave_by": "m\x1bx"}, "m x (key test)"),
        ({"longwave_by": "x" * 500}, "x" * 60 + " (key test)"),
        ({"longwave_by": "   "}, "key test"),
    ],
)
async def test_a_command_says_who_asked(headers: dict[str, Any], who: str) -> None:
    fake = Fake()
    status, _ = await ask(served(fake), "POST", "/v1/campaigns", DRAFT, **headers)
    assert status == 201
    (command,) = fake.commands
    assert command.by == who
