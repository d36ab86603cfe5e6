"""The writer on a real Kafka and a ClickHouse endpoint of its own that is stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters import http
from adapters.clickhouse import Store, migrate
from adapters.clickhouse.statuses import StatusSink
from adapters.errors import StoreRefused
from adapters.settings import ClickHouse, Settings
from agents import writer
from agents.writer import BatchStep
from devstack import ready
from schemas import metrics, topics
from schemas.deadletter import DEAD_LETTERS, DeadLetter
from schemas.status import STATUSES, StatusChunk, StatusGroup
from schemas.wire import encode
from tests.agents.worker import Bench, started, until
from tests.stack import Server, environment, free_ports, running

CAMPAIGN = "aaaaaaaa"


class Endpoint:
    """A ClickHouse endpoint at one address, whose process comes and goes."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._port = free_ports(1)[0]
        self._life = contextlib.ExitStack()
        self.settings = ClickHouse(port=self._port, local=data / "clickhouse")

    def start(self) -> None:
        variables = environment(self._data, clickhouse_port=self._port)
        child = self._life.enter_context(running(["run", "clickhouse"], variables, self._data))
        url = f"http://127.0.0.1:{self._port}/ping"
        ready.wait_for("ClickHouse", lambda: http.answers(url), lambda: child.poll() is None)

    def stop(self) -> None:
        self._life.close()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    made = Endpoint(tmp_path_factory.mktemp("own-clickhouse"))
    made.start()
    migrate(Settings(clickhouse=made.settings))
    yield made
    made.stop()


def status(ordinals: list[int], message: int = 0) -> bytes:
    group = StatusGroup(state="accepted", ordinals=ordinals)
    return encode(StatusChunk(campaign=CAMPAIGN, message=message, at=1_800_000_000_000, groups=[group]))


def counted(endpoint: Endpoint, message: int) -> tuple[int, int]:
    """Records of a message in ClickHouse, and its set of accepted ordinals."""
    asked = {"c": CAMPAIGN, "m": message}
    store, where = Store(endpoint.settings), "WHERE campaign = {c:String} AND message = {m:UInt8}"
    ((rows,),) = store.rows(f"SELECT count() FROM status_log {where}", asked)
    ((distinct,),) = store.rows(f"SELECT groupBitmapMerge(ordinals) FROM state_sets {where}", asked)
    return int(rows), int(distinct)


@contextlib.asynccontextmanager
async def writing(bench: Bench, insert: Any) -> AsyncIterator[tuple[Any, BatchStep[Any]]]:
    step = BatchStep(bench.name, lambda message: STATUSES.decode(message.value), insert, lambda: bench.producer)
    app = bench.app()
    bench.agent(app, step.run)
    async with started(app):
        yield app, step


async def test_a_replay_changes_no_set(kafka: Server, tmp_path: Path, endpoint: Endpoint) -> None:
    bench = Bench(kafka, "w-replay", tmp_path)
    sink = StatusSink(Store(endpoint.settings))
    raws = [status(list(range(n * 10, n * 10 + 10)), 1) for n in range(20)]
    await bench.ask(*raws)
    await bench.ask(*raws[5:])  # what comes again
    async with writing(bench, sink.insert):
        await until(lambda: bench.committed() == 35)
    assert counted(endpoint, 1) == (35, 200)
    await bench.close()


async def test_clickhouse_away_for_some_seconds_loses_nothing(
    kafka: Server, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LAST_PAUSE", 0.5)
    bench = Bench(kafka, "w-away", tmp_path)
    sink = StatusSink(Store(endpoint.settings))
    async with writing(bench, sink.insert) as (app, _):
        await bench.ask(status([0], 2))
        await until(lambda: bench.committed() == 1)
        endpoint.stop()
        await bench.ask(*(status([n], 2) for n in range(1, 50)))
        waiting = metrics.WRITER_WAITING.labels(bench.name)._value
        await until(lambda: waiting.get() > 1)
        await app.consumer.commit()
        assert bench.committed() == 1
        endpoint.start()  # in this thread, which the child follows
        await until(lambda: bench.committed() == 50)
        assert waiting.get() == 0
    assert counted(endpoint, 2)[1] == 50
    await bench.close()


async def test_what_is_refused_goes_to_the_dead_letters_and_its_neighbours_in(
    kafka: Server, tmp_path: Path, endpoint: Endpoint
) -> None:
    bench = Bench(kafka, "w-poison", tmp_path)
    store = Store(endpoint.settings)
    sink = StatusSink(store)
    batches: list[int] = []

    def insert(records: Sequence[StatusChunk]) -> None:
        batches.append(len(records))
        if any(13 in record.groups[0].ordinals for record in records):
            store.command("INSERT INTO status_groups (message) SELECT throwIf(1)")  # refused by ClickHouse itself
        if any(14 in record.groups[0].ordinals for record in records):
            raise TypeError("a defect of ours")
        sink.insert(records)

    await bench.ask(*(status([n], 3) for n in range(40)), b"garbage")
    async with writing(bench, insert):
        await until(lambda: bench.committed() == 41)
    assert counted(endpoint, 3)[1] == 38
    assert len(batches) <= 26  # halves, not one by one
    actual = [DEAD_LETTERS.decode(message.value()) for message in bench.records(topics.DEAD_LETTERS, 3)]
    letters = {o.offset: o for o in actual if isinstance(o, DeadLetter) and o.topic == bench.asks.name}
    assert sorted(letters) == [13, 14, 40]
    assert "StoreRefused" in letters[13].error
    assert letters[14].error == "TypeError: a defect of ours"
    assert "DecodeError" in letters[40].error
    await bench.close()


async def test_a_clickhouse_that_is_set_up_otherwise_makes_nothing_a_dead_letter(
    kafka: Server, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LAST_PAUSE", 0.5)
    bench = Bench(kafka, "w-misfit", tmp_path)
    store = Store(endpoint.settings)
    sink = StatusSink(store)
    await bench.ask(*(status([n], 6) for n in range(30)))
    store.command("RENAME TABLE status_groups TO status_groups_elsewhere")
    try:
        async with writing(bench, sink.insert) as (app, _):
            waiting = metrics.WRITER_WAITING.labels(bench.name)._value
            await until(lambda: waiting.get() > 1)
            await app.consumer.commit()
            assert bench.committed() <= 0
            store.command("RENAME TABLE status_groups_elsewhere TO status_groups")
            await until(lambda: bench.committed() == 30)
    finally:
        with contextlib.suppress(StoreRefused):
            store.command("RENAME TABLE status_groups_elsewhere TO status_groups")
    assert counted(endpoint, 6) == (30, 30)
    assert metrics.STEP_DEAD_LETTERS.labels(bench.name)._value.get() == 0
    await bench.close()


async def test_batches_are_bounded_by_bytes_too(
    kafka: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BYTES", 20_000)
    bench = Bench(kafka, "w-bytes", tmp_path)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    inserted: list[int] = []

    def insert(records: Sequence[StatusChunk]) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        inserted.append(sum(len(encode(record)) for record in records))

    large = status(list(range(500)), 7)
    await bench.ask(*[large] * 100, b"garbage", status([1], 7))
    async with writing(bench, insert) as (app, step):
        await until(lambda: not step._room.is_set())
        await asyncio.sleep(0.5)
        assert sum(len(item.value) for item in app.consumer.unacked) <= 2 * (20_000 + len(large)) + len(large)
        gate.set()
        await until(lambda: bench.committed() == 102)
    assert sum(inserted) == 100 * len(large) + len(status([1], 7))
    assert max(inserted) < 20_000 + len(large)
    assert step._queued_bytes == 0
    await bench.close()


async def test_memory_is_bounded_while_inserting_waits(
    kafka: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RECORDS", 20)
    bench = Bench(kafka, "w-bound", tmp_path)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    inserted: list[int] = []

    def insert(records: Sequence[Any]) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        inserted.append(len(records))

    await bench.ask(*(status([n], 4) for n in range(200)))
    waiting = metrics.WRITER_WAITING.labels(bench.name)._value
    async with writing(bench, insert) as (app, step):
        await until(step._queue.full)
        await until(lambda: waiting.get() > 1)  # no error yet: it takes its time
        await asyncio.sleep(0.5)
        taken = len(app.consumer.unacked)
        assert taken <= 2 * 20 + 1  # a batch, a queue, and the record that waits for room
        gate.set()
        await until(lambda: bench.committed() == 200)
    assert waiting.get() == 0
    assert sum(inserted) == 200
    assert max(inserted) == 20
    await bench.close()


async def test_an_end_of_inserting_ends_the_worker(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "w-ends", tmp_path)

    def insert(records: Sequence[Any]) -> None:
        raise StoreRefused("never")

    await bench.ask(*(status([n], 5) for n in range(3)))
    async with writing(bench, insert) as (app, step):
        await until(lambda: bench.committed() == 3)

        async def defect(*args: Any) -> None:
            raise RuntimeError("a defect in giving up")

        step._dead_letter = defect  # type: ignore[method-assign]
        await bench.ask(status([9], 5))
        await until(lambda: app.crashed)
    assert bench.committed() == 3
    await bench.close()
