"""The outbox on a real Kafka: nothing is lost while it is away, and it says when it is full and when it is empty."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents import outbox
from agents.outbox import Outbox
from agents.runner import Output
from schemas.wire import encode
from tests.agents.worker import ASKS, Ask, Bench, stopped
from tests.stack import Server


def answer(bench: Bench, n: int) -> Output:
    return Output(bench.answers.name, encode(Ask(n=n)), partition=n % 2)


async def test_what_kafka_did_not_take_is_sent_again(
    kafka: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ROOM", 8)
    bench = Bench(kafka, "outbox", tmp_path, session_timeout=2.0)
    box = Outbox(bench.producer)
    box.send(answer(bench, 0))
    await asyncio.wait_for(box.drained(), 10)
    with stopped(kafka):
        for n in range(1, 8):
            box.send(answer(bench, n))
        await asyncio.wait_for(box.room(), 1)  # seven: there is room
        box.send(answer(bench, 8))
        room, drained = asyncio.create_task(box.room()), asyncio.create_task(box.drained())
        await asyncio.sleep(2.5)  # the delivery time-out passes, more than once
        assert not room.done()
        assert not drained.done()
    await asyncio.wait_for(asyncio.gather(room, drained), 20)
    assert not box._pending
    actual = [ASKS.decode(message.value()).n for message in bench.records(bench.answers, 9)]
    assert set(actual) == set(range(9))
    await bench.close()


async def test_a_record_that_kafka_never_takes_keeps_its_place(
    kafka: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(kafka, "outbox-never", tmp_path, session_timeout=2.0)
    box = Outbox(bench.producer)
    for _ in range(3):
        box.send(Output("a-topic-that-is-not-there", b"x"))
    box.send(answer(bench, 1))
    drained = asyncio.create_task(box.drained())
    await asyncio.sleep(3)
    assert not drained.done()
    assert len(box._pending) == 3
    assert len([record for record in caplog.records if "pending" in record.message]) == 1  # not one a record and try
    drained.cancel()
    assert len(bench.records(bench.answers, 1)) == 1
    await bench.close()


async def test_an_empty_outbox_is_drained_at_once(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "outbox-empty", tmp_path)
    await asyncio.wait_for(Outbox(bench.producer).drained(), 1)
    await bench.close()
