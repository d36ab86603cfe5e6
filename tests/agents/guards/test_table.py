"""Tables: nothing acknowledged before the changelog has it, nothing stored that the changelog lacks, and recovery."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types import TP

from agents.guards.durable import GuardedApp
from agents.guards.table import AckedStore, AckedTable
from agents.runner import Emissions, Step
from schemas.topics import Topic
from schemas.wire import encode
from tests.agents.worker import ASKS, PARTITIONS, Ask, Bench, started, stopped, until
from tests.stack import Server


class Marker:
    """Something that a garbage collection would take away."""


class Keeper:
    """A step that writes what it is asked: `KEY=VALUE`, or `KEY` to delete it. Knows when each was settled."""

    def __init__(self, bench: Bench, app: Any) -> None:
        self.table = bench.table(app)
        self.seen: list[str] = []
        self.settled: list[str] = []
        bench.agent(app, lambda stream: Step("keeper", ASKS, self.handle, lambda: bench.producer).run(stream))

    def handle(self, record: Ask, event: Any) -> Emissions:
        self.seen.append(record.do)
        key, _, value = record.do.partition("=")
        if value:
            self.table[key.encode()] = value.encode()
            assert self.table[key.encode()] == value.encode()
        else:
            self.table.pop(key.encode())
            assert key.encode() not in self.table

        async def settle() -> None:
            await self.table.settled([key.encode()])
            self.settled.append(record.do)

        return Emissions([], [settle])

    def stored(self, key: str, partition: int = 0) -> Any:
        """What a kill would leave."""
        return self.table.data._db_for_partition(partition).get(key.encode())

    def has(self, partition: int = 0) -> dict[bytes, bytes]:
        """All that the local store has, without Faust's own key."""
        store = self.table.data
        return dict(store._visible_items(store._db_for_partition(partition)))


async def ask(bench: Bench, *does: str, partition: int = 0) -> None:
    await bench.ask(*(encode(Ask(n=n, do=do)) for n, do in enumerate(does)), partition=partition)


def folded(bench: Bench, partition: int = 0) -> dict[bytes, bytes]:
    """What the changelog says."""
    actual: dict[bytes, bytes] = {}
    for message in bench.records(bench.log, 1, partition):
        if message.value() is None:
            actual.pop(message.key(), None)
        else:
            actual[message.key()] = message.value()
    return actual


async def test_nothing_is_settled_stored_or_committed_while_kafka_is_away(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "away", tmp_path, session_timeout=3.0)
    app = bench.app()
    keeper = Keeper(bench, app)
    handle = keeper.handle

    def stops_kafka(record: Ask, event: Any) -> Emissions:
        if record.do == "a=1" and "a=1" not in keeper.seen:
            os.kill(kafka.pid, signal.SIGSTOP)
        return handle(record, event)

    keeper.handle = stops_kafka  # type: ignore[method-assign]
    async with started(app):
        await ask(bench, "a=0")
        await until(lambda: keeper.settled == ["a=0"] and bench.committed() == 1)
        async with bench.asking(kafka, encode(Ask(n=1, do="a=1"))):
            await until(lambda: "a=1" in keeper.seen)
            await asyncio.sleep(2.5)  # the delivery time-out passes: the write fails, and is sent again
            assert keeper.settled == ["a=0"]
            assert keeper.stored("a") == b"0"
            assert app.consumer._new_offset(TP(bench.asks.name, 0)) == 1
        await until(lambda: "a=1" in keeper.settled and bench.committed() == 2)
        assert keeper.stored("a") == b"1"
    assert folded(bench) == {b"a": b"1"}
    await bench.close()


async def test_a_failed_write_is_sent_again_only_while_it_is_the_newest(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "newest", tmp_path, session_timeout=2.0)
    app = bench.app()
    keeper = Keeper(bench, app)
    table = keeper.table
    async with started(app):
        await ask(bench, "a=0")
        await until(lambda: keeper.settled == ["a=0"])
        with stopped(kafka):
            table._send(b"a", b"1", 0)
            first = asyncio.create_task(table.settled([b"a"]))
            failed = table.newest[b"a"].future
            await asyncio.wait([failed], timeout=5)
            assert failed.exception() is not None
            table._send(b"a", b"2", 0)
            await asyncio.sleep(0.7)  # `first` wakes, and finds that it is not the newest
            assert table.newest[b"a"].value == b"2"
        await asyncio.wait_for(first, 10)
        await table.settled([b"a"])
        assert not table.newest
    values = [message.value() for message in bench.records(bench.log, 2, 0)]
    assert values[-1] == b"2"
    assert b"1" not in values[values.index(b"2") :]
    await bench.close()


async def test_a_failed_write_is_not_sent_again_after_its_partition_went(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "went", tmp_path, session_timeout=2.0)
    app = bench.app()
    table = Keeper(bench, app).table
    async with started(app):
        with stopped(kafka):
            table._send(b"a", b"1", 0)
            waiting = asyncio.create_task(table.settled([b"a"]))
            failed = table.newest[b"a"].future
            await asyncio.wait([failed], timeout=5)
            assert failed.exception() is not None
            app.consumer_generation_id += 1
            await asyncio.wait_for(waiting, 5)  # its event is not acknowledged: that of another generation never is
            assert not table.newest
        app.consumer_generation_id -= 1
        await bench.producer.emit(bench.log.name, b"the new owner's", key=b"a", partition=0)
    assert folded(bench) == {b"a": b"the new owner's"}
    assert [message.value() for message in bench.records(bench.log, 1, 0)][-1] == b"the new owner's"
    await bench.close()


class BareApp(faust.App):  # type: ignore[misc]
    """Faust as it comes."""


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "guarded"])
async def test_the_store_never_knows_what_the_changelog_does_not(
    kafka: Server, tmp_path: Path, guarded: bool
) -> None:
    bench = Bench(kafka, "ahead" if guarded else "ahead-bare", tmp_path)
    app = bench.app(GuardedApp if guarded else BareApp)  # type: ignore[arg-type]
    if not guarded:
        app.conf.Table = faust.Table
    table = bench.table(app)
    assert isinstance(table, AckedTable) is guarded
    written = asyncio.Event()

    async def take(stream: Any) -> None:
        async for _ in stream.noack().events():
            with stopped(kafka):
                table[b"k"] = b"v"
                assert table[b"k"] == b"v"
                await asyncio.sleep(0.3)
                kept = table.data._db_for_partition(0).get(b"k")
                assert kept == (None if guarded else b"v")
            written.set()

    bench.agent(app, take)
    async with started(app):
        await ask(bench, "")
        await asyncio.wait_for(written.wait(), 10)
        await until(lambda: table.data._db_for_partition(0).get(b"k") == b"v")
    assert folded(bench) == {b"k": b"v"}
    await bench.close()


async def test_a_restart_recovers_and_the_persisted_offset_is_never_ahead(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "restart", tmp_path)
    app = bench.app()
    keeper = Keeper(bench, app)
    async with started(app):
        await ask(bench, "a=1", "b=1", "a=2", "b")
        await until(lambda: len(keeper.settled) == 4)
        assert isinstance(keeper.table.data, AckedStore)
        assert keeper.table.data.persisted_offset(TP(bench.log.name, 0)) == 3
        assert keeper.has() == {b"a": b"2"}
    # Somebody else had the partition meanwhile.
    await bench.producer.emit(bench.log.name, b"3", key=b"a", partition=0)
    await bench.producer.emit(bench.log.name, b"1", key=b"c", partition=0)
    for worker in ("0", "elsewhere"):
        again = bench.app(worker=worker)
        keeper = Keeper(bench, again)
        async with started(again):
            assert keeper.has() == {b"a": b"3", b"c": b"1"}
            assert keeper.table.data.persisted_offset(TP(bench.log.name, 0)) == 5
    await bench.close()


async def test_a_drained_and_compacted_changelog_does_not_hang_recovery(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "drained", tmp_path)
    keys = [f"k{n}" for n in range(20)]
    for key in keys:
        await bench.producer.emit(bench.log.name, b"v" * 100, key=key.encode(), partition=0)
    for key in keys:
        await bench.producer.emit(bench.log.name, None, key=key.encode(), partition=0)
    await asyncio.sleep(0.3)
    await bench.producer.emit(bench.log.name, None, key=b"k0", partition=0)  # rolls the segment
    await until(lambda: all(record.value() is None for record in bench.records(bench.log, 1, 0)), 40)
    app = bench.app()
    keeper = Keeper(bench, app)
    async with started(app):  # fails after 30 s if recovery waits for offsets that are gone
        assert keeper.has() == {}
        await ask(bench, "a=1")
        await until(lambda: keeper.settled == ["a=1"])
        assert keeper.has() == {b"a": b"1"}
    await bench.close()


async def test_a_write_for_a_partition_that_is_gone_is_not_made(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "gone", tmp_path)
    app = bench.app()
    keeper = Keeper(bench, app)
    handle, tried = keeper.handle, asyncio.Event()

    def outlived(record: Ask, event: Any) -> Emissions:
        if record.do == "a=1" and not tried.is_set():
            tried.set()
            app.consumer_generation_id += 1  # a rebalance while it is handled
            try:
                return handle(record, event)
            finally:
                app.consumer_generation_id -= 1
        return handle(record, event)

    keeper.handle = outlived  # type: ignore[method-assign]
    async with started(app):
        await ask(bench, "a=1", "b=1")
        await until(lambda: keeper.settled == ["b=1"])
        assert keeper.has() == {b"b": b"1"}
        await app.consumer.commit()
        assert bench.committed() <= 0  # the first was let go: it is to be read again
    assert folded(bench) == {b"b": b"1"}
    await bench.close()


async def test_two_workers_share_and_hand_over_without_losing_a_write(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "two", tmp_path)
    item, two = bench.app(worker="1"), bench.app(worker="2")
    first, second = Keeper(bench, item), Keeper(bench, two)
    does = [f"k{n % 50}={n}" for n in range(400)]
    async with started(item):
        feeding = asyncio.create_task(_feed(bench, does))
        await until(lambda: len(first.settled) > 40)
        async with started(two):
            await until(lambda: len(second.settled) > 20)
        await feeding
        await until(lambda: set(does) <= set(first.settled) | set(second.settled))
        await until(lambda: bench.committed(0) == bench.committed(1) == len(does))
        await until(lambda: not first.table.newest)
        for partition in range(PARTITIONS):
            assert first.has(partition) == folded(bench, partition)
            assert first.has(partition) == {f"k{n % 50}".encode(): str(n).encode() for n in range(350, 400)}
    await bench.close()


async def _feed(bench: Bench, does: list[str]) -> None:
    for do in does:
        for partition in range(PARTITIONS):
            await ask(bench, do, partition=partition)
        await asyncio.sleep(0.01)


def test_changelogs_are_compacted_only() -> None:
    from schemas import topics

    kept: list[Topic] = [topics.CAMPAIGNS, topics.RESERVATIONS, topics.OPTOUTS]
    assert [topic.config["cleanup.policy"] for topic in kept] == ["compact"] * 3


def test_a_revoked_partition_is_closed_at_once_and_the_heap_is_left_alone(tmp_path: Path) -> None:
    app = faust.App("closing", store="rocksdb://?driver=rocksdict", datadir=tmp_path, broker="memory://")
    table = AckedTable(app, name="closing", partitions=2, key_type=bytes, value_type=bytes)
    changelog = table.changelog_topic_name
    for partition in (0, 1):
        table.data._db_for_partition(partition).put(b"key", b"value")
    gc.disable()
    try:
        cycle: list[Any] = [marker := Marker()]
        cycle.append(cycle)
        left = weakref.finalize(marker, lambda: None)
        del cycle, marker
        table.data.revoke_partitions(table, {TP(changelog, 0), TP("another", 1)})
        assert left.alive
    finally:
        gc.enable()
    assert set(table.data._dbs) == {1}
    assert table.data._db_for_partition(0).get(b"key") == b"value"


async def test_keys_are_found_by_their_beginning_with_what_is_not_acknowledged_yet(
    kafka: Server, tmp_path: Path
) -> None:
    bench = Bench(kafka, "prefix", tmp_path)
    app = bench.app()
    keeper = Keeper(bench, app)
    found: dict[str, list[tuple[bytes, bytes]]] = {}
    handle = keeper.handle

    def looks(record: Ask, event: Any) -> Emissions:
        emissions = handle(record, event)
        found[record.do] = sorted(keeper.table.starting_with(b"a/"))
        return emissions

    keeper.handle = looks  # type: ignore[method-assign]
    async with started(app):
        await ask(bench, "a=1", "a/x=1", "a/y=1", "ab/x=1", "a/x=2", "a/y")
        await until(lambda: "a/y" in keeper.settled)
        await ask(bench, "b=1")
        await until(lambda: "b=1" in keeper.settled)
    assert found["a/y=1"] == [(b"a/x", b"1"), (b"a/y", b"1")]
    assert found["a/x=2"] == [(b"a/x", b"2"), (b"a/y", b"1")]
    assert found["a/y"] == found["b=1"] == [(b"a/x", b"2")]
    await bench.close()
