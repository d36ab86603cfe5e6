"""Each hazard of Faust 0.15.3, on Faust's own class and on the guarded one. The bare half asserts the loss: when it
fails, Faust has mended something and a guard may go."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from time import monotonic
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaError
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.utils.queues import FlowControlEvent

from adapters.errors import EmitError
from adapters.settings import Settings
from agents.app import build, faust_app
from agents.guards.durable import GuardedApp, GuardedConsumer, GuardedFlow, Progress
from schemas.wire import encode
from tests.agents.worker import Ask, Bench, started, stopped, until
from tests.stack import Server

TOPIC = TP("things", 0)
BOTH = pytest.mark.parametrize("guarded", [False, True], ids=["bare", "guarded"])


class BareApp(faust.App):  # type: ignore[misc]
    """Faust as it comes."""


class Handed:
    """A consumer without brokers, and what is handed to it: committed up to 10."""

    def __init__(self, guarded: bool, data: Path) -> None:
        app = faust_app(Settings(), "handed", data, GuardedApp if guarded else BareApp)  # type: ignore[arg-type]
        app.consumer_generation_id = 1
        app.topics._acking_topics.add(TOPIC.topic)
        self.app = app
        self.commits: list[dict[TP, int]] = []
        self.accepted = True
        self.consumer = app.transport.create_consumer(
            callback=_nothing, on_partitions_revoked=_nothing, on_partitions_assigned=_nothing
        )
        self.consumer.assignment = lambda: {TOPIC}
        self.consumer._commit = self._commit
        self.consumer._committed_offset[TOPIC] = 10

    async def hand_out(self, *offsets: int, generation: int = 1) -> list[Any]:
        """As the driver does; then a stream takes them, which adds to the set of unacknowledged messages."""
        made = [_message(offset, generation) for offset in offsets]
        for message in made:
            await self.consumer.callback(message)
            self.consumer._unacked_messages.add(message)
        return made

    def ack(self, *messages: Any) -> None:
        for message in messages:
            message.refcount = 1
            message.ack(self.consumer)

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        self.commits.append(offsets)
        return self.accepted


async def _nothing(*args: Any) -> None:
    pass


def _message(offset: int, generation: int) -> ConsumerMessage:
    return ConsumerMessage(
        TOPIC.topic, TOPIC.partition, offset, 0.0, 0, None, None, b"", None, generation_id=generation
    )


@BOTH
async def test_a_commit_never_passes_an_unacknowledged_event(guarded: bool, tmp_path: Path) -> None:
    handed = Handed(guarded, tmp_path)
    _, second = await handed.hand_out(10, 11)
    handed.ack(second)
    await handed.consumer.commit()
    assert handed.commits == ([] if guarded else [{TOPIC: 12}])


@BOTH
async def test_what_could_not_be_committed_is_committed_later(guarded: bool, tmp_path: Path) -> None:
    handed = Handed(guarded, tmp_path)
    handed.ack(*await handed.hand_out(10, 11))
    handed.accepted = False
    await handed.consumer.commit()
    handed.accepted = True
    await handed.consumer.commit()
    assert handed.commits == [{TOPIC: 12}] * (2 if guarded else 1)
    assert handed.consumer._committed_offset[TOPIC] == 12


async def test_a_commit_that_raises_is_made_again(tmp_path: Path) -> None:
    handed = Handed(True, tmp_path)
    handed.ack(*await handed.hand_out(10, 11))
    accept, handed.consumer._commit = handed.consumer._commit, _refuse
    with pytest.raises(ConnectionError):
        await handed.consumer.commit()
    handed.consumer._commit = accept
    assert await handed.consumer.commit()
    assert handed.commits == [{TOPIC: 12}]


async def _refuse(offsets: dict[TP, int]) -> bool:
    raise ConnectionError("the broker went")


@BOTH
async def test_an_event_without_references_still_holds_the_commit_back(guarded: bool, tmp_path: Path) -> None:
    handed = Handed(guarded, tmp_path)
    await handed.hand_out(10)  # lost in a buffer that was cleared
    gc.collect()
    handed.ack(*await handed.hand_out(11))
    assert len(handed.consumer.unacked) == (1 if guarded else 0)
    await handed.consumer.commit()
    assert handed.commits == ([] if guarded else [{TOPIC: 12}])


async def test_streams_keep_adding_to_the_set_that_they_found(tmp_path: Path) -> None:
    handed = Handed(True, tmp_path)
    actual = handed.consumer._unacked_messages
    await handed.hand_out(10)
    await handed.consumer.on_partitions_revoked({TOPIC})
    assert handed.consumer._unacked_messages is actual
    assert not actual


async def test_an_acknowledgement_from_before_a_rebalance_does_not_count(tmp_path: Path) -> None:
    handed = Handed(True, tmp_path)
    first, second = await handed.hand_out(10, 11)
    await handed.consumer.on_partitions_revoked({TOPIC})
    handed.ack(first)
    await handed.consumer.commit()
    handed.app.consumer_generation_id = 2
    handed.consumer._committed_offset[TOPIC] = 10
    handed.consumer._sought = True  # recovery seeks before it hands out again
    again, _ = await handed.hand_out(10, 11, generation=2)
    handed.ack(second)
    await handed.consumer.commit()
    assert handed.commits == []
    handed.ack(again)
    await handed.consumer.commit()
    assert handed.commits == [{TOPIC: 11}]  # not 12: the second is being handled anew


async def test_a_capped_topic_is_committed_up_to_its_cap_only(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(GuardedConsumer, "capped_topics", frozenset({TOPIC.topic}))
    handed = Handed(True, tmp_path)
    events = await handed.hand_out(*range(10, 20))
    handed.ack(*events[:6])
    await handed.consumer.commit()
    assert handed.commits == []
    handed.consumer.cap(TOPIC, 13)
    await handed.consumer.commit()
    handed.consumer.cap(TOPIC, 18)
    await handed.consumer.commit()
    assert handed.commits == [{TOPIC: 13}, {TOPIC: 16}]
    await handed.consumer.on_partitions_revoked({TOPIC})
    handed.consumer._committed_offset[TOPIC] = 10
    handed.consumer._sought = True  # recovery seeks before it hands out again
    handed.ack(*await handed.hand_out(10, 11))
    await handed.consumer.commit()
    assert len(handed.commits) == 2


def test_the_lowest_open_offset_is_committable() -> None:
    progress = Progress()
    assert progress.committable is None
    for offset in (5, 6, 9):  # 7 and 8 were compacted away
        progress.track(offset)
    progress.ack(6)
    assert progress.committable == 5
    progress.ack(5)
    assert progress.committable == 9
    progress.track(9)  # read again
    progress.ack(9)
    assert progress.committable == 10


class Opening:
    """The active partitions as a batch of recovery sees them: ours becomes one of them on the third look."""

    looks = 0

    def __contains__(self, tp: TP) -> bool:
        self.looks += 1
        return self.looks > 2


async def _fetched(handed: Handed, active: Any, monkeypatch: Any) -> list[int]:
    """Offsets that come out of one fetch of 10 to 13."""
    consumer = handed.consumer

    async def fetch(timeout: float) -> Any:
        return {TOPIC: [_message(offset, 1) for offset in range(10, 14)]}, active

    monkeypatch.setattr(consumer, "_wait_next_records", fetch)
    monkeypatch.setattr(consumer, "_to_message", lambda tp, record: record)
    monkeypatch.setattr(consumer, "highwater", lambda tp: 14)
    consumer.flow_active = True
    return [message.offset async for _, message in consumer.getmany(0.0)]


@BOTH
async def test_nothing_is_handed_out_from_the_middle_of_a_batch_before_the_seek(
    guarded: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    handed = Handed(guarded, tmp_path)
    consumer = handed.consumer
    seeks: list[int] = []

    async def seek_to_committed() -> dict[TP, int]:
        seeks.append(10)
        return {TOPIC: 10}

    monkeypatch.setattr(consumer, "seek_to_committed", seek_to_committed)
    await consumer.on_partitions_revoked({TOPIC})
    await consumer.on_partitions_assigned({TOPIC})
    assert await _fetched(handed, Opening(), monkeypatch) == ([] if guarded else [12, 13])
    if guarded:
        await consumer.perform_seek()
        assert not list(consumer._filter_tps_with_pending_acks())
        assert await _fetched(handed, {TOPIC}, monkeypatch) == [10, 11, 12, 13]
        assert len(seeks) == 2


async def test_a_seek_that_fails_is_made_again(tmp_path: Path, monkeypatch: Any) -> None:
    handed = Handed(True, tmp_path)
    consumer = handed.consumer
    answers: list[Any] = [{TOPIC: 10}, KafkaError("away"), {TOPIC: 10}]

    async def seek_to_committed() -> dict[TP, int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        actual: dict[TP, int] = answer
        return actual

    monkeypatch.setattr(consumer, "seek_to_committed", seek_to_committed)
    await consumer.on_partitions_revoked({TOPIC})
    await consumer.on_partitions_assigned({TOPIC})
    await consumer.perform_seek()
    assert await _fetched(handed, {TOPIC}, monkeypatch) == []
    assert await _fetched(handed, {TOPIC}, monkeypatch) == [10, 11, 12, 13]


async def test_a_partition_is_read_again_between_two_fetches_and_only_while_it_is_ours(
    tmp_path: Path, monkeypatch: Any
) -> None:
    handed = Handed(True, tmp_path)
    consumer = handed.consumer
    gone = TP("elsewhere", 0)
    sought: list[tuple[TP, int]] = []

    async def earliest(tp: TP) -> dict[TP, int]:
        return {tp: 3}

    async def seek(tp: TP, offset: int) -> None:
        sought.append((tp, offset))

    async def seek_to_committed() -> dict[TP, int]:
        return {TOPIC: 10}

    monkeypatch.setattr(consumer, "seek_to_committed", seek_to_committed)
    monkeypatch.setattr(consumer, "earliest_offsets", earliest)
    monkeypatch.setattr(consumer, "seek", seek)
    await consumer.on_partitions_revoked({TOPIC})
    await consumer.on_partitions_assigned({TOPIC})
    await consumer.perform_seek()
    consumer.rewind(TOPIC, None)
    consumer.rewind(gone, 5)
    assert sought == [], "a seek beside a fetch kills the worker"
    assert await _fetched(handed, {TOPIC}, monkeypatch) == [10, 11, 12, 13]
    consumer.rewind(TOPIC, 7)
    await _fetched(handed, {TOPIC}, monkeypatch)
    assert sought == [(TOPIC, 3), (TOPIC, 7)]


@BOTH
async def test_resuming_a_flow_that_flows_keeps_what_is_buffered(guarded: bool, tmp_path: Path) -> None:
    app = Handed(guarded, tmp_path).app
    assert type(app.flow_control) is (GuardedFlow if guarded else FlowControlEvent)
    queue = app.FlowControlQueue(maxsize=8, clear_on_resume=True)
    app.flow_control.resume()
    queue.put_nowait("an event")
    app.flow_control.resume()
    assert queue.qsize() == (1 if guarded else 0)
    app.flow_control.suspend()
    app.flow_control.resume()
    assert queue.empty()


async def test_committed_is_what_was_acknowledged_on_a_real_broker(
    kafka: Server, tmp_path: Path, monkeypatch: Any
) -> None:
    bench = Bench(kafka, "commits", tmp_path)
    events: dict[int, list[Any]] = {0: [], 1: []}
    app = bench.app()
    streams = []

    async def take(stream: Any) -> None:
        streams.append(stream)
        async for event in stream.noack().events():
            events[event.message.partition].append(event)

    bench.agent(app, take)
    await bench.ask(*(encode(Ask(n=n)) for n in range(6)))
    async with started(app):
        await until(lambda: len(events[0]) == 6)
        for n in (0, 1, 4, 5):
            await streams[0].ack(events[0][n])
        await app.consumer.commit()
        assert bench.committed() == 2
        await streams[0].ack(events[0][2])
        await streams[0].ack(events[0][3])
        await app.consumer.commit()
        assert bench.committed() == 6
        assert not app.consumer.unacked
    await bench.close()


@BOTH
async def test_a_quiet_partition_is_not_called_stuck(
    guarded: bool, kafka: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(kafka, f"quiet-{guarded}", tmp_path)
    app = bench.app(GuardedApp if guarded else BareApp)  # type: ignore[arg-type]

    async def run(stream: Any) -> None:
        async for _ in stream.noack():
            pass

    bench.agent(app, run)
    async with started(app):
        caplog.clear()
        for place in app.consumer.assignment():
            app.consumer.verify_event_path(monotonic() + 3600, place)  # as after an hour without a record
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert bool(errors) != guarded
    await bench.close()


async def test_a_capped_topic_on_a_real_broker(kafka: Server, tmp_path: Path, monkeypatch: Any) -> None:
    bench = Bench(kafka, "capped", tmp_path)
    monkeypatch.setattr(GuardedConsumer, "capped_topics", frozenset({bench.asks.name}))
    taken: list[int] = []

    async def take(stream: Any) -> None:
        async for event in stream.noack().events():
            await stream.ack(event)
            taken.append(event.message.offset)

    await bench.ask(*(encode(Ask(n=n)) for n in range(6)))
    app = bench.app()
    bench.agent(app, take)
    async with started(app):
        await until(lambda: len(taken) == 6)
        await app.consumer.commit()
        assert bench.committed() == -1001
        app.consumer.cap(TP(bench.asks.name, 0), 4)
        await app.consumer.commit()
        assert bench.committed() == 4
    assert bench.committed() == 4
    again = bench.app(worker="1")
    bench.agent(again, take)
    taken.clear()
    async with started(again):
        await until(lambda: len(taken) == 2)
    assert taken == [4, 5]
    await bench.close()


@pytest.mark.parametrize("interval", [1.5, None], ids=["short", "ours"])
async def test_work_held_long_does_not_evict_the_member(
    kafka: Server, tmp_path: Path, interval: float | None
) -> None:
    bench = Bench(kafka, "held" if interval else "kept", tmp_path)
    app = bench.app()
    if interval is None:
        assert app.conf.broker_max_poll_interval >= 24 * 3600
    else:
        app.conf.broker_max_poll_interval = interval
    done = asyncio.Event()

    async def hold(stream: Any) -> None:
        async for _ in stream.noack().events():
            await done.wait()

    bench.agent(app, hold)
    asks = [encode(Ask(n=n)) for n in range(100)]  # more than a stream's buffer, so that fetching stops
    await asyncio.gather(bench.ask(*asks), bench.ask(*asks, partition=1))
    async with started(app):
        before = app.rebalancing_count
        if interval is None:
            await asyncio.sleep(4)
            assert app.rebalancing_count == before
        else:
            await until(lambda: app.rebalancing_count > before, 15)
        done.set()
    await bench.close()


async def test_what_a_stalled_process_buffered_expires_before_its_session(kafka: Server, tmp_path: Path) -> None:
    bench = Bench(kafka, "stalls", tmp_path)
    await bench.producer.emit(bench.asks.name, b"in time")
    with stopped(kafka):
        began = monotonic()
        with pytest.raises(EmitError):
            await bench.producer.emit(bench.asks.name, b"late")
        assert monotonic() - began < bench.kafka.session_timeout
    await bench.close()


def test_the_settings_that_section_7_asks_for(tmp_path: Path) -> None:
    conf = build(Settings(data=tmp_path), 0).conf
    assert conf.processing_guarantee.value == "at_least_once"
    assert conf.broker[0].scheme == "aiokafka"
    assert conf.store.scheme == "rocksdb"
    assert not conf.web_enabled
    assert not conf.web_tables_enabled
    assert conf.agent_supervisor.__name__ == "CrashingSupervisor"
    assert 16 <= conf.stream_buffer_maxsize <= 64
    assert conf.consumer_max_fetch_size >= 4_194_304
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (6.0, 0.5)
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.id == "longwave"


def test_the_quick_parts_are_really_in_use() -> None:
    from aiokafka import codec
    from faust import streams
    from faust.transport import conductor

    assert streams._CStreamIterator.__module__ == "faust._cython.streams"
    assert conductor.ConductorHandler.__module__ == "faust.transport._cython.conductor"
    assert codec.has_lz4()
