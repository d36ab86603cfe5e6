"""A lane's log that is read again from an earlier place, as Faust does around a rebalance."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from time import monotonic

import pytest

from adapters.clock import now_ms
from pipeline.lane.checkpoint import snapshot
from schemas.lane import Owner
from schemas.wire import encode
from tests.agents.lane.test_owner import READER, history, owning
from tests.stack import Server


def log_of_this_worker(nonce: str) -> list[bytes]:
    return [*history().raws, encode(Owner(worker="tested", nonce=nonce, at=now_ms()))]


@pytest.mark.parametrize("first", [1, 3, 5])
async def test_a_log_seen_from_its_middle_first_is_read_from_its_start(own_kafka: Server, first: int) -> None:
    async with owning(own_kafka) as straight, owning(own_kafka) as made:
        await made.assign()
        records = log_of_this_worker(made.driver.claim.nonce)
        for offset, record in enumerate(records):
            await straight.read(offset, record)
        # Fetched before the seek to the log's start, handed out all the same.
        for offset in range(first, len(records)):
            await made.read(offset, records[offset])
        assert not made.active
        for offset, record in enumerate(records):
            await made.read(offset, record)
        await asyncio.sleep(0)
        assert made.active
        assert snapshot(made.driver.state, 0) == snapshot(straight.driver.state, 0)


async def test_what_was_read_is_not_read_twice(own_kafka: Server) -> None:
    async with owning(own_kafka) as made:
        await made.assign()
        records = log_of_this_worker(made.driver.claim.nonce)
        for offset, record in enumerate(records):
            await made.read(offset, record)
        state = made.driver.state
        for offset, record in enumerate(records):
            await made.read(offset, record)
        assert made.active
        assert made.driver.state is state


async def test_a_log_that_has_more_than_is_given_is_asked_for_again(
    own_kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sending.ownership.replay.STUCK_SECONDS", 0.3)
    asked: asyncio.Queue[tuple[int, int | None]] = asyncio.Queue()
    reader = replace(READER, rewind=lambda lane, offset: asked.put_nowait((lane, offset)))
    async with owning(own_kafka, reader=reader) as made:
        await made.assign()
        async with asyncio.timeout(20):
            assert await asked.get() == (made.lane, None)
        await made.release(1.0)
        while not asked.empty():
            asked.get_nowait()
        await asyncio.sleep(1.0)
        assert asked.empty()


async def test_a_worker_that_is_busy_with_another_lane_is_asked_less_and_less_often(
    own_kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sending.ownership.replay.STUCK_SECONDS", 0.3)
    asked: list[float] = []
    reader = replace(READER, rewind=lambda lane, offset: asked.append(monotonic()))
    async with owning(own_kafka, reader=reader) as made:
        await made.assign()
        async with asyncio.timeout(20):
            while len(asked) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        first, second, third = (later - earlier for earlier, later in pairwise(asked))
        assert third > second > first
        # Once something is read the next standstill is noticed as soon as the first.
        for offset, record in enumerate(log_of_this_worker("another")):
            await made.read(offset, record)
        made.driver.replay.wrote(100, monotonic())
        begin = monotonic()
        async with asyncio.timeout(20):
            while len(asked) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert asked[4] - begin < third


async def test_a_worker_that_the_group_has_forgotten_does_not_claim_lanes_of_others(
    own_kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sending.ownership.claiming.CLAIM_SECONDS", 0.1)
    is_member = False
    async with owning(own_kafka, reader=replace(READER, is_member=lambda: is_member)) as made:
        await made.assign()
        await asyncio.sleep(0.6)
        assert not made.driver.replay.has_written
        is_member = True
        async with asyncio.timeout(20):
            while not made.driver.replay.has_written:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
