"""Rounds go on while ClickHouse is away, and end with whatever else fails."""

from __future__ import annotations

import logging

import pytest

from adapters.errors import StoreUnavailable
from agents.rounds import in_rounds


async def test_a_round_that_finds_no_clickhouse_is_followed_by_another(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | None] = [None, StoreUnavailable("away"), None, ValueError("a defect")]

    async def one_round() -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="a defect"):
        await in_rounds("settling", 0, one_round)
    assert outcomes == []
    assert caplog.messages == ["settling waits for ClickHouse: away"]
