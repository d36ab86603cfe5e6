"""The failure policy, on a real Faust worker and a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types import TP

from adapters.errors import StoreUnavailable
from adapters.kafka import topics as brokers
from agents import runner
from agents.guards.durable import GuardedApp
from agents.runner import Emissions, Output, Step, Transient, output
from schemas import metrics, topics
from schemas.deadletter import DEAD_LETTERS, DeadLetter, to_bytes
from schemas.wire import encode
from tests.agents.worker import ASKS, Ask, Bench, started, stopped, until
from tests.stack import Server


class BareApp(faust.App):  # type: ignore[misc]
    """Faust as it comes."""


class Answering:
    """A step that answers each ask, unless it says otherwise."""

    def __init__(self, bench: Bench, **options: Any) -> None:
        self.bench = bench
        self.seen: list[int] = []
        self.calls: list[int] = []
        self.failures: dict[int, list[Exception]] = {}
        self.step = Step(bench.name, ASKS, self.handle, lambda: bench.producer, **options)

    def handle(self, record: Ask, event: Any) -> Emissions:
        self.calls.append(record.n)
        if self.failures.get(record.n):
            raise self.failures[record.n].pop(0)
        self.seen.append(record.n)
        return Emissions([output(self.bench.answers, record)], recipients=2)

    def metric(self, metric: Any) -> float:
        return float(metric.labels(self.bench.name)._value.get())


def answers(bench: Bench, wanted: int) -> list[int]:
    return [ASKS.decode(message.value()).n for message in bench.records(bench.answers, wanted)]


def letters(bench: Bench, wanted: int) -> list[DeadLetter]:
    """The dead letters of this bench; the topic is shared."""
    actual = [DEAD_LETTERS.decode(m.value()) for m in bench.records(topics.DEAD_LETTERS, wanted)]
    return [item for item in actual if isinstance(item, DeadLetter) and item.topic == bench.asks.name]


@contextlib.asynccontextmanager
async def working(bench: Bench, answering: Answering) -> Any:
    app = bench.app()
    bench.agent(app, answering.step.run)
    async with started(app):
        yield app


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "guarded"])
async def test_an_exception_loses_no_event_and_harms_no_neighbour(
    kafka: Server, tmp_path: Path, guarded: bool
) -> None:
    bench = Bench(kafka, "raises" if guarded else "raises-bare", tmp_path)
    answering = Answering(bench)
    app = bench.app(GuardedApp if guarded else BareApp)  # type: ignore[arg-type]
    if not guarded:
        app.conf.agent_supervisor = faust.Settings.agent_supervisor.default  # restarts the agent

    async def bare(stream: Any) -> None:
        async for event in stream.events():
            for item in answering.handle(ASKS.decode(event.value), event).outputs:
                await bench.producer.emit(item.topic, item.value)

    bench.agent(app, answering.step.run if guarded else bare)
    answering.failures[2] = [ValueError("once")]
    await bench.ask(*(encode(Ask(n=n)) for n in range(5)))
    async with started(app):
        await until(lambda: answering.seen[-1:] == [4])
        await until(lambda: bench.committed() == 5)
    assert sorted(answers(bench, 4)) == ([0, 1, 2, 3, 4] if guarded else [0, 1, 3, 4])
    await bench.close()


async def test_poison_becomes_a_dead_letter_with_its_origin(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "poison", tmp_path)
    answering = Answering(bench)
    answering.failures[1] = [ValueError("never")] * runner.ATTEMPTS
    await bench.producer.emit(bench.asks.name, encode(Ask(n=0)), key=b"k0", partition=1)
    await bench.producer.emit(bench.asks.name, b'{"kind":"ask","n":"x"', key=b"\xff\x00", partition=1)
    await bench.producer.emit(bench.asks.name, encode(Ask(n=1)), key=b"k1", partition=1)
    await bench.producer.emit(bench.asks.name, None, partition=1)
    await bench.producer.emit(bench.asks.name, encode(Ask(n=2)), key=b"k2", partition=1)
    async with working(bench, answering):
        await until(lambda: bench.committed(1) == 5)
        assert answering.seen == [0, 2]
        assert answering.calls == [0, *[1] * runner.ATTEMPTS, 2]
        assert answering.metric(metrics.STEP_DEAD_LETTERS) == 3
        assert answering.metric(metrics.STEP_FAILURES) == runner.ATTEMPTS
        assert answering.metric(metrics.STEP_RECORDS) == 5
        assert answering.metric(metrics.STEP_RECIPIENTS) == 4
        assert answering.metric(metrics.STEP_UNACKED) == 0
    garbage, poison, empty = letters(bench, 3)
    assert {(item.topic, item.partition, item.step) for item in (garbage, poison, empty)} == {
        (bench.asks.name, 1, "poison")
    }
    assert [item.offset for item in (garbage, poison, empty)] == [1, 2, 3]
    assert (to_bytes(garbage.key), to_bytes(garbage.value)) == (b"\xff\x00", b'{"kind":"ask","n":"x"')
    assert (to_bytes(poison.key), to_bytes(poison.value)) == (b"k1", encode(Ask(n=1)))
    assert (empty.key, empty.value) == (None, None)
    assert poison.error == "ValueError: never"
    assert sorted(answers(bench, 2)) == [0, 2]
    await bench.close()


async def test_what_is_transient_is_tried_for_as_long_as_it_lasts(
    kafka: Server, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(runner, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(runner, "LAST_PAUSE", 0.02)
    bench = Bench(kafka, "transient", tmp_path)
    answering = Answering(bench)
    troubles = [Transient("not yet"), StoreUnavailable("away")] * 5
    answering.failures[0] = list(troubles)
    await bench.ask(encode(Ask(n=0)), encode(Ask(n=1)))
    async with working(bench, answering):
        await until(lambda: bench.committed() == 2)
    assert answering.calls == [0] * (len(troubles) + 1) + [1]
    assert answering.metric(metrics.STEP_DEAD_LETTERS) == 0
    assert sorted(answers(bench, 2)) == [0, 1]  # of two partitions: which is read first is not promised
    await bench.close()


async def test_records_are_handled_in_order_and_only_so_many_are_open(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "bound", tmp_path)
    answering = Answering(bench, in_flight=4)
    opened, most, gate = 0, 0, asyncio.Event()
    plain = answering.handle

    def counted(record: Ask, event: Any) -> Emissions:
        nonlocal opened, most
        opened += 1
        most = max(most, opened)

        async def settle() -> None:
            nonlocal opened
            await gate.wait()
            opened -= 1

        done = plain(record, event)
        done.settled.append(settle)
        return done

    answering.step._handle = counted
    await bench.ask(*(encode(Ask(n=n)) for n in range(30)))
    async with working(bench, answering) as app:
        await until(lambda: opened == 4)
        await asyncio.sleep(0.3)
        assert (most, len(answering.seen)) == (4, 4)
        assert answering.metric(metrics.STEP_UNACKED) == 4
        await app.consumer.commit()
        assert bench.committed() <= 0
        gate.set()
        await until(lambda: bench.committed() == 30)
    assert answering.seen == list(range(30))
    assert most == 4
    await bench.close()


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "guarded"])
async def test_an_event_is_done_when_the_broker_has_its_emissions(
    kafka: Server, tmp_path: Path, guarded: bool
) -> None:
    bench = Bench(kafka, "sent" if guarded else "sent-bare", tmp_path, session_timeout=3.0)
    answering = Answering(bench)
    plain = answering.handle
    app = bench.app(GuardedApp if guarded else BareApp)  # type: ignore[arg-type]
    taken: list[Any] = []

    def stops_kafka(record: Ask, event: Any) -> Emissions:
        taken.append(event)
        if len(taken) == 2:
            os.kill(kafka.pid, signal.SIGSTOP)
        return plain(record, event)

    async def bare(stream: Any) -> None:
        async for event in stream.events():
            for item in stops_kafka(ASKS.decode(event.value), event).outputs:
                await app.topic(item.topic, value_serializer="raw").send(value=item.value)

    answering.step._handle = stops_kafka
    bench.agent(app, answering.step.run if guarded else bare)
    await bench.ask(encode(Ask(n=6)))
    async with started(app):
        await until(lambda: bench.committed() == 1)
        async with bench.asking(kafka, encode(Ask(n=7))):
            await until(lambda: len(taken) == 2)
            await asyncio.sleep(2.5)  # the delivery time-out passes
            assert taken[1].message.acked is not guarded
            if guarded:
                assert app.consumer._new_offset(TP(bench.asks.name, 0)) == 1
            else:
                for _ in range(2):  # to a topic that the producer has not met: it waits for the broker
                    app.producer.buffer.put(_pending(app, bench))
                await asyncio.wait_for(app.producer.buffer.flush(), 2)
                assert app.producer.buffer.size  # flush gave up
        if guarded:
            await until(lambda: bench.committed() == 2)
    assert set(answers(bench, 2)) == {6, 7}
    await bench.close()


def _pending(app: Any, bench: Bench) -> Any:
    return app.topic(bench.log.name, value_serializer="raw").as_future_message(key=b"k", value=b"v")


async def test_a_dead_letter_that_cannot_be_written_stops_the_step_there(
    kafka: Server, tmp_path: Path, monkeypatch: Any
) -> None:
    bench = Bench(kafka, "stuck", tmp_path)
    answering = Answering(bench)
    full = topics.Topic("stuck-nowhere", "", "a topic that is not there")
    monkeypatch.setattr(topics, "DEAD_LETTERS", full)
    await bench.ask(b"garbage", encode(Ask(n=1)))
    async with working(bench, answering) as app:
        await until(lambda: answering.seen == [1])
        await asyncio.sleep(1.0)
        await app.consumer.commit()
        assert bench.committed() <= 0
        assert answering.metric(metrics.STEP_UNACKED) == 1
    again = Answering(bench)
    monkeypatch.undo()
    async with working(bench, again):
        await until(lambda: bench.committed() == 2)
    assert [letter.offset for letter in letters(bench, 1)] == [0]
    await bench.close()


async def test_refused_dead_letters_end_the_worker_and_it_goes_on_when_the_cause_is_gone(
    kafka: Server, tmp_path: Path, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(runner, "REFUSED_SECONDS", 1.0)
    bench = Bench(kafka, "refused", tmp_path)
    full = topics.Topic("refused-letters", "", "takes nothing", config={"max.message.bytes": "60"})
    brokers.ensure(bench.kafka, [full])
    monkeypatch.setattr(topics, "DEAD_LETTERS", full)
    answering = Answering(bench)
    await bench.ask(encode(Ask(n=0)), b"garbage" * 30, encode(Ask(n=2)))
    app = bench.app()
    bench.agent(app, answering.step.run)
    async with started(app):
        await until(lambda: answering.metric(metrics.DEAD_LETTERS_REFUSED) == 1)
        await until(lambda: app.crashed)
    assert bench.committed() <= 1  # the garbage is not acknowledged
    (said,) = [
        record.message
        for record in caplog.records
        if record.levelname == "CRITICAL" and "takes no dead" in record.message
    ]
    assert "too large" in said.lower()
    roomy = topics.Topic("refused-letters", "", "takes them again", config={"max.message.bytes": "8388608"})
    brokers.ensure(bench.kafka, [roomy])
    again = Answering(bench)
    async with working(bench, again):
        await until(lambda: bench.committed() == 3)
    assert 2 in again.seen
    (letter,) = [DEAD_LETTERS.decode(message.value()) for message in bench.records(roomy, 1)]
    assert isinstance(letter, DeadLetter)
    assert (letter.origin, to_bytes(letter.value)) == (f"{bench.asks.name}/0/1", b"garbage" * 30)
    await bench.close()


async def test_dead_letters_refused_for_a_moment_only_are_written_again(
    kafka: Server, tmp_path: Path, monkeypatch: Any
) -> None:
    bench = Bench(kafka, "moment", tmp_path)
    full = topics.Topic("moment-letters", "", "takes nothing", config={"max.message.bytes": "60"})
    brokers.ensure(bench.kafka, [full])
    monkeypatch.setattr(topics, "DEAD_LETTERS", full)
    answering = Answering(bench)
    await bench.ask(encode(Ask(n=0)), b"garbage" * 30, encode(Ask(n=2)), b"more" * 50, b"and more" * 20)
    await bench.ask(b"elsewhere" * 20, partition=1)
    async with working(bench, answering) as app:
        await until(lambda: answering.metric(metrics.DEAD_LETTERS_REFUSED) == 1)
        await asyncio.sleep(6.0)  # they meet each other in the producer, again and again
        roomy = topics.Topic("moment-letters", "", "takes them again", config={"max.message.bytes": "8388608"})
        brokers.ensure(bench.kafka, [roomy])
        await until(lambda: (bench.committed(), bench.committed(1)) == (5, 1))
        assert answering.metric(metrics.DEAD_LETTERS_REFUSED) == 0
        assert not app.crashed
    assert len(bench.records(roomy, 4)) == 4
    await bench.close()


async def test_a_record_that_leads_to_too_large_a_one_goes_to_the_dead_letters(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "oversized", tmp_path)
    answering = Answering(bench)
    plain = answering.handle

    def swollen(record: Ask, event: Any) -> Emissions:
        done = plain(record, event)
        if record.n == 1:
            done.outputs.append(Output(bench.answers.name, os.urandom(5_000_000)))
        return done

    answering.step._handle = swollen
    await bench.ask(*(encode(Ask(n=n)) for n in range(3)))
    async with working(bench, answering):
        await until(lambda: bench.committed() == 3)
    (letter,) = letters(bench, 1)
    assert letter.offset == 1
    assert "EmitRefused" in letter.error
    assert set(answers(bench, 3)) == {0, 1, 2}
    await bench.close()


async def test_the_largest_record_there_can_be_fits_into_a_dead_letter(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "largest", tmp_path)
    large = topics.Topic("largest-asks", "", "what a step consumes", config={"max.message.bytes": "4194304"})
    brokers.ensure(bench.kafka, [large])
    garbage = os.urandom(4_190_000)
    answering = Answering(bench)
    await bench.ask(garbage, encode(Ask(n=1)))
    async with working(bench, answering):
        await until(lambda: bench.committed() == 2)
    (letter,) = letters(bench, 1)
    assert to_bytes(letter.value) == garbage
    await bench.close()


async def test_a_record_whose_partition_was_revoked_is_dropped_while_it_is_retried(
    kafka: Server, tmp_path: Path
) -> None:
    bench = Bench(kafka, "let-go", tmp_path)
    answering = Answering(bench)
    answering.failures[0] = [Transient("forever")] * 1000
    await bench.ask(encode(Ask(n=0)))
    async with working(bench, answering) as app:
        await until(lambda: answering.calls)
        app.consumer_generation_id += 1
        await until(lambda: answering.metric(metrics.STEP_UNACKED) == 0)
        calls = len(answering.calls)
        await asyncio.sleep(0.5)
        assert len(answering.calls) == calls
        assert answering.step._slots._value == runner.IN_FLIGHT
    assert bench.committed() <= 0
    await bench.close()


async def test_what_cannot_be_finished_ends_the_worker_and_comes_again(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "crash", tmp_path)
    answering = Answering(bench)
    plain = answering.handle

    async def defect() -> None:
        raise RuntimeError("a defect in finishing")

    def defective(record: Ask, event: Any) -> Emissions:
        return Emissions([output(bench.answers, record)], [defect])

    answering.step._handle = defective
    app = bench.app()
    bench.agent(app, answering.step.run)
    await bench.ask(encode(Ask(n=0)))
    async with started(app):
        await until(lambda: app.crashed)
    assert bench.committed() <= 0
    again = Answering(bench)
    again.step._handle = plain
    async with working(bench, again):
        await until(lambda: bench.committed() == 1)
    await bench.close()


async def test_stopping_finishes_what_is_in_flight_and_abandons_what_hangs(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "stopping", tmp_path)
    answering = Answering(bench)
    plain = answering.handle
    finished: list[int] = []

    def slow(record: Ask, event: Any) -> Emissions:
        async def settle() -> None:
            await asyncio.sleep(1.0 if record.n < 3 else 60)
            finished.append(record.n)

        done = plain(record, event)
        done.settled.append(settle)
        return done

    answering.step._handle = slow
    await bench.ask(*(encode(Ask(n=n)) for n in range(5)))
    async with working(bench, answering):
        await until(lambda: len(answering.seen) == 5)
    assert sorted(finished) == [0, 1, 2]
    assert not answering.step._tasks
    assert bench.committed() == 3
    await bench.close()


async def test_written_again_until_acknowledged(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "again", tmp_path, session_timeout=2.0)
    outputs = [Output(bench.answers.name, encode(Ask(n=n)), partition=n % 2) for n in range(20)]
    with stopped(kafka):
        writing = asyncio.create_task(runner.write(bench.producer, outputs))
        await asyncio.sleep(1.8)
        assert not writing.done()
    await asyncio.wait_for(writing, 20)
    assert set(answers(bench, 20)) == set(range(20))
    await bench.close()
