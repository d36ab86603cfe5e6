"""The owner of a lane: ownership, checkpoints whole and torn, and the low-water mark on a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import REGISTRY

from adapters import tracing
from adapters.aggregators.settings import HttpBatchSettings
from adapters.clock import now_ms
from adapters.journal import Journal
from adapters.kafka.producer import Producer
from adapters.ports import AggregatorPort, Submission, SubmitOutcome
from adapters.settings import Kafka, Settings, Worker
from agents.app import GROUP, build
from agents.context import Context
from agents.lane.breaker import AggregatorBreaker
from agents.lane.owner import LaneOwner, LogReader
from agents.lane.route import Route, Routes
from agents.runner import Output
from agents.traces import Traces, eligibility_of
from cli.accounts.book import book_of_file
from loadtest.aggregator.submissions import Submissions
from pipeline.lane.checkpoint import parts, snapshot
from pipeline.lane.state import LaneState
from pipeline.sending import driver as lane_driver
from pipeline.sending.effects import Write
from pipeline.sending.outage.aggregator import LaneAggregator
from schemas import topics
from schemas.deadletter import DEAD_LETTERS, DeadLetter, to_bytes
from schemas.ids import bucket, partition_of_bucket
from schemas.lane import LANES, CheckpointPart, Heartbeat, Intent, LaneRecord, Result, ResultGroup, Work, flight_id
from schemas.reasons import Reason
from schemas.wire import encode
from tests.accounts import write_accounts
from tests.agents.test_traces import Kept
from tests.agents.test_traces import made as traces_to
from tests.agents.worker import started, until
from tests.loadtest.test_aggregator import SECRET, simulator
from tests.otlp import collecting
from tests.pipeline.lane.records import DEMO, A, Log, control, intent, owner, result, sender_terms, work
from tests.stack import Server

LANE = 1
ACCOUNTS = f"""
[accounts.demo]
site_name = "Harbor & Pine"
segments_per_second = 5000
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 5000
lanes = [{LANE}]
"""
READER = LogReader(rewind=lambda lane, offset: None, move_mark=lambda lane, offset: None, is_member=lambda: True)


class Nobody:
    """An aggregator that must not be asked."""

    settled_after = 1.0

    def __init__(self, connections: int = 64) -> None:
        self._connections = asyncio.Semaphore(connections)

    def connection(self) -> asyncio.Semaphore:
        return self._connections

    @property
    def is_busy(self) -> bool:
        return self._connections.locked()

    async def submit(self, *args: Any) -> Any:
        raise AssertionError("submitted")

    async def check_health(self) -> str:
        return "connect"

    async def close(self) -> None:
        pass


class OneRoute(Routes):
    """Whatever a sender's aggregator is called, it is this one."""

    def __init__(self, port: Any, in_flight: int) -> None:
        breaker = AggregatorBreaker("any", port, 5)
        seen = LaneAggregator(breaker, 500, in_flight, port.settled_after, lambda: not port.is_busy)
        self.route = Route(port, breaker, seen)

    def get(self, name: str) -> Route:
        return self.route

    def all(self) -> list[Route]:
        return [self.route]


def breaker_of(made: LaneOwner) -> AggregatorBreaker:
    route = made._routes.get("any")
    assert route is not None
    return route.breaker


def on_the_way(made: LaneOwner) -> int:
    """INTENTs that are written and not read back."""
    return sum(channel.proposer.way.intents for channel in made.driver.channels.all())


def in_line(made: LaneOwner) -> int:
    return sum(channel.line.count for channel in made.driver.channels.all())


@contextlib.asynccontextmanager
async def owning(
    kafka: Server,
    aggregator: AggregatorPort | None = None,
    in_flight: int = 16,
    reader: LogReader | None = None,
    traces: Traces | None = None,
) -> AsyncIterator[LaneOwner]:
    """An owner with a real producer; the test reads the log to it."""
    broker = Kafka(bootstrap=kafka.address, partitions=2, lanes=2)
    settings = Settings(kafka=broker, worker=Worker(in_flight=in_flight))
    context = Context(settings, "tested")
    context.accounts = book_of_file(None, settings)
    context._producer = Producer(settings.kafka)
    context.traces = traces
    routes = OneRoute(aggregator or Nobody(), in_flight)
    with tempfile.TemporaryDirectory() as folder:
        made = LaneOwner(LANE, context, routes, reader or READER, Journal(Path(folder) / "0-tested.journal"))
        yield made
        await made.release(2)
        await made.close()
    await routes.route.breaker.close()
    await context._producer.close()


def running(count: int, made: LaneOwner, **more: Any) -> list[LaneRecord]:
    people = [located(work(list(range(count)), at=now_ms()))] if count else []
    return [owner(made.driver.claim.nonce), control(at=now_ms(), **more), *people, sender_terms()]


def away(made: LaneOwner) -> None:
    for _ in range(5):
        breaker_of(made).record_result([SubmitOutcome("retry", "connect")])
    assert breaker_of(made).rule.state == "open"


def log_end(kafka: Server) -> int:
    """Where the lane's log ends on the broker."""
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "end"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topics.LANES.name, LANE), timeout=10)[1]
    finally:
        consumer.close()


async def test_no_intent_is_written_while_the_aggregator_is_away_and_then_one_of_one_message(
    own_kafka: Server,
) -> None:
    async with owning(own_kafka) as made:
        away(made)
        await made.assign()
        await until(lambda: made.driver.replay.has_written)
        end = log_end(own_kafka)
        await read(made, running(10, made), 0)
        await until(lambda: made.driver.state.table.ready_count == 10)
        await asyncio.sleep(0.7)
        assert made.active
        assert (on_the_way(made), log_end(own_kafka)) == (0, end)
        breaker_of(made).rule.record_health_check(0.0, "", 0.0)
        made.wake()
        await until(lambda: log_end(own_kafka) == end + 1)
        await asyncio.sleep(0.7)
        assert log_end(own_kafka) == end + 1
        ((_, start, stop),) = made.driver.channels.proposals.picked.slices()
        assert stop - start == 1


async def test_it_writes_heartbeats_that_say_whether_its_aggregator_works(
    own_kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_driver, "HEARTBEAT_MS", 100)
    async with owning(own_kafka) as made:
        written: list[LaneRecord] = []
        send = made._context.producer.send

        def seen(topic: str, value: Any, **more: Any) -> Any:
            written.append(LANES.decode(value))
            return send(topic, value, **more)

        monkeypatch.setattr(made._context.producer, "send", seen)
        await asyncio.sleep(0.2)
        assert not any(isinstance(record, Heartbeat) for record in written), "who owns nothing is silent"
        await made.assign()
        await read(made, running(0, made), 0)
        await until(lambda: sum(isinstance(record, Heartbeat) for record in written) >= 2)
        assert {(item.epoch, *item.down) for item in written if isinstance(item, Heartbeat)} == {
            (made.driver.state.epoch,)
        }
        away(made)
        await until(lambda: any(isinstance(item, Heartbeat) and item.down == ["any"] for item in written))


async def test_a_deadline_holds_while_the_aggregator_is_away(own_kafka: Server) -> None:
    async with owning(own_kafka) as made:
        away(made)
        await made.assign()
        await until(lambda: made.driver.replay.has_written)
        end = log_end(own_kafka)
        await read(made, running(10, made, deadline=now_ms() + 300), 0)
        await until(lambda: log_end(own_kafka) == end + 1)
        assert on_the_way(made) == 0  # a Drop, no INTENT
        assert sum(stop - start for _, start, stop in made.driver.channels.proposals.picked.slices()) == 10


async def test_a_slice_whose_intent_is_older_than_the_outage_is_held_back(own_kafka: Server) -> None:
    async with owning(own_kafka) as made:  # whose aggregator must not be asked
        await made.assign()
        at = await read(made, running(10, made), 0)
        away(made)
        end = log_end(own_kafka)
        await read(made, [intent(made.driver.state.epoch, [(2, 0, 5)], at=now_ms())], at)
        await until(lambda: log_end(own_kafka) > end)
        await made.drained()
        assert made.driver.state.flights[flight_id(at, 0)].count == 5


class Hanging(Nobody):
    """An aggregator that takes what it is given and does not answer until `answers` is set."""

    def __init__(self, connections: int = 64) -> None:
        super().__init__(connections)
        self.taken = 0
        self.answers = asyncio.Event()

    async def submit(self, batch: list[Submission], *_: Callable[[], Any]) -> Any:
        self.taken += len(batch)
        await self.answers.wait()
        return [SubmitOutcome("accepted")] * len(batch)


async def test_nobody_has_an_intent_while_the_limit_is_full(own_kafka: Server) -> None:
    """A crash would leave them unknown, and they were never handed over; and what falls due next is soon its turn."""
    aggregator: Any = Hanging()
    async with owning(own_kafka, aggregator, in_flight=40) as made:
        proposed: list[LaneRecord] = []
        write = made._write

        def seen(effect: Write) -> None:
            if isinstance(effect.record, Intent):
                proposed.append(effect.record)
            write(effect)

        made._write = seen  # type: ignore[method-assign]
        await made.assign()
        at = await read(made, running(500, made), 0)
        for first in range(500, 2500, 500):
            at = await read(made, [located(work(list(range(first, first + 500)), at=now_ms()))], at)
        end = monotonic() + 2.5
        while monotonic() < end:
            while proposed:
                at = await read(made, [proposed.pop(0)], at)
            await asyncio.sleep(0.01)
        # A second's worth is with the aggregator in slices of 50; nobody knows when there will be room for another.
        assert aggregator.taken == 1000
        assert (made.driver.under_way, in_line(made), on_the_way(made)) == (20, 0, 0)
        assert made.driver.state.waiting == 1500
        made._submissions.cancel()


class Refusing(Nobody):
    """An aggregator that accepts the first three of a batch, refuses one, and has no time for the rest."""

    async def submit(self, batch: list[Submission], *_: Callable[[], Any]) -> Any:
        first = [*[SubmitOutcome("accepted")] * 3, SubmitOutcome("rejected", "code:30003")]
        return first + [SubmitOutcome("retry", "http:503")] * (len(batch) - 4)


async def test_the_spans_of_a_slice_have_its_delay_its_wait_and_what_became_of_whom(own_kafka: Server) -> None:
    kept, aggregator = Kept(), Refusing()
    async with owning(own_kafka, aggregator, traces=traces_to(kept)) as made:  # type: ignore[arg-type]
        reported: list[Any] = []
        plain = made.outbox.send
        made.outbox.send = lambda item: (reported.append(item), plain(item))[1]  # type: ignore[method-assign]
        await made.assign()
        now = now_ms()
        people = located(work([*range(500, 510)], at=now - 5_000, dues=[(2, now - 5_000), (8, now - 1_000)]))
        people.reasons = ["", Reason.QUIET_HOURS]
        at = await read(made, [owner(made.driver.claim.nonce), control(at=now), people, sender_terms()], 0)
        flight = intent(made.driver.state.epoch, [(2, 0, 2), (2, 2, 10)], at=now)
        at = await read(made, [flight], at)
        await until(lambda: any(item.topic == "lanes" for item in reported))
        (answer,) = [LANES.decode(item.value) for item in reported if item.topic == "lanes"]
        assert isinstance(answer, Result)
        await read(made, [answer], at)
    of = {span.name: span for span in kept.spans}
    assert [span.name for span in kept.spans] == ["wait", "delay", "wait", "intent", "line", "submit", "result"]
    assert (of["delay"].begin, of["delay"].end) == ((now - 5_000) * 1_000_000, (now - 1_000) * 1_000_000)
    assert of["delay"].attributes["longwave.reason.quiet_hours"] == 8
    assert of["wait"].begin == (now - 1_000) * 1_000_000
    assert of["intent"].begin == of["wait"].end == now * 1_000_000
    assert of["intent"].end <= of["line"].end <= of["submit"].end <= of["result"].end
    assert {of[name].parent for name in ("line", "submit", "result")} == {of["intent"].id}
    decided = eligibility_of(of["intent"].trace, partition_of_bucket(bucket(people.numbers[0]), 8))
    assert {of[name].parent for name in ("delay", "wait", "intent")} == {decided}
    outcomes = {
        name: of["result"].attributes.get(f"longwave.outcome.{name}") for name in ("accepted", "rejected", "retry")
    }
    assert outcomes == {"accepted": 3, "rejected": 1, "retry": 6}
    assert of["submit"].attributes["longwave.reason.http"] == 6
    assert (of["submit"].error, of["intent"].attributes["longwave.recipients"]) == ("", 10)
    assert len({span.id for span in kept.spans}) == len(kept.spans)


async def test_whoever_reads_the_log_again_makes_no_spans_of_what_others_submitted(own_kafka: Server) -> None:
    kept = Kept()
    async with owning(own_kafka, traces=traces_to(kept)) as made:
        await made.assign()
        before = [
            owner("of another"),
            control(at=now_ms()),
            located(work([1, 2], at=now_ms())),
            intent(1, [(2, 0, 2)]),
        ]
        await read(made, [*before, result(3, ResultGroup(outcome="accepted")), owner(made.driver.claim.nonce)], 0)
        assert made.active
    assert not kept.spans


async def test_who_is_withheld_has_a_span_with_the_reason(own_kafka: Server) -> None:
    kept = Kept()
    async with owning(own_kafka, traces=traces_to(kept)) as made:
        away(made)
        await made.assign()
        await read(made, running(10, made, deadline=now_ms() + 300), 0)
        await until(lambda: bool(kept.spans))
    (span,) = kept.spans
    assert (span.name, span.attributes[f"longwave.reason.{Reason.DEADLINE}"]) == ("drop", 10)


@pytest.mark.parametrize("is_hanging", [False, True], ids=["away", "hanging"])
async def test_a_collector_that_is_away_or_hangs_holds_no_message(
    own_kafka: Server, monkeypatch: pytest.MonkeyPatch, is_hanging: bool
) -> None:
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(tracing, "ROOM", 12)
    monkeypatch.setattr(tracing, "BATCH", 12)
    aggregator: Any = Hanging()
    aggregator.answers.set()
    with collecting(is_hanging=is_hanging) as collector:
        url = collector.url if is_hanging else "http://127.0.0.1:1/v1/traces"
        spans = tracing.OtlpSpans(url, "tested")
        traces = Traces(spans, 1.0, lambda campaign: None, 8)
        async with owning(own_kafka, aggregator, traces=traces) as made:
            await made.assign()
            at = await read(made, running(500, made), 0)
            epoch = made.driver.state.epoch
            began = monotonic()
            await read(made, [intent(epoch, [(2, n, n + 50)], at=now_ms()) for n in range(0, 500, 50)], at)
            await until(lambda: aggregator.taken == 500)
            await made.drained()
            assert monotonic() - began < 5
        await asyncio.to_thread(spans.close)
    assert not collector.spans


@pytest.mark.parametrize("paused", [False, True], ids=["sending", "paused"])
async def test_a_slice_that_waits_for_a_connection_is_not_under_way_and_is_checked_again(
    own_kafka: Server, paused: bool
) -> None:
    aggregator: Any = Hanging(connections=2)
    async with owning(own_kafka, aggregator) as made:
        await made.assign()
        at = await read(made, running(200, made), 0)
        epoch = made.driver.state.epoch
        at = await read(made, [intent(epoch, [(2, n, n + 50)], at=now_ms()) for n in range(0, 200, 50)], at)
        await until(lambda: aggregator.taken == 100)
        await asyncio.sleep(0.2)
        assert (aggregator.taken, made.driver.under_way, in_line(made)) == (100, 4, 2)
        if paused:
            await read(made, [control(state="paused", revision=2, at=now_ms())], at)
        aggregator.answers.set()
        await made.drained()
        assert aggregator.taken == (100 if paused else 200)
        assert not aggregator.is_busy


async def test_a_chunk_that_cannot_be_picked_from_leaves_the_queue_with_a_letter(own_kafka: Server) -> None:
    async with owning(own_kafka) as made:
        await made.assign()
        await until(lambda: made.driver.replay.has_written)
        end = log_end(own_kafka)
        poison = work([50, 51], at=now_ms())
        poison.zones = ["nowhere"]
        start = [owner(made.driver.claim.nonce), control(at=now_ms()), poison]
        await read(made, [*start, located(work(list(range(10)), at=now_ms())), sender_terms()], 0)
        await until(lambda: log_end(own_kafka) >= end + 2)
        slices = sorted(made.driver.channels.proposals.picked.slices())
        assert slices == [(2, 0, 2), (3, 0, 10)]
        assert on_the_way(made) == 1  # an INTENT for the neighbours, a Drop for the others
        await made.outbox.drained()


def located(work_record: Work) -> Work:
    work_record.zones = ["US America/New_York"]
    return work_record


async def test_a_record_that_cannot_be_folded_is_passed_over_with_a_letter(
    own_kafka: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(state: LaneState, offset: int, record: LaneRecord, raw: bytes) -> Any:
        if offset == 4:
            raise KeyError("a defect")
        return fold(state, offset, record, raw)

    fold = lane_driver.apply
    monkeypatch.setattr(lane_driver, "apply", defective)
    letters: list[DeadLetter] = []
    async with owning(own_kafka) as made:
        plain = made.outbox.send

        def seen(item: Output) -> None:
            if item.topic == topics.DEAD_LETTERS.name:
                letter = DEAD_LETTERS.decode(item.value)
                assert isinstance(letter, DeadLetter)
                letters.append(letter)
            plain(item)

        made.outbox.send = seen  # type: ignore[method-assign]
        away(made)
        await made.assign()
        poison = work([50, 51], at=now_ms())
        wrong = result(6, ResultGroup(outcome="retry", indices=[99]))
        flight = intent(1, [(2, 0, 5)], at=now_ms())
        await read(made, [*running(10, made), poison, work([60], at=now_ms()), flight, wrong], 0)
        assert made.driver.state.waiting == 6  # five of the ten, and the neighbour
        await made.outbox.drained()
    # What is wrong in a RESULT in several ways has several letters of one origin, which counts once.
    actual = {letter.offset: to_bytes(letter.value) for letter in letters}
    assert actual == {4: encode(poison), 7: encode(wrong)}
    assert letters[0].error == "KeyError: 'a defect'"


async def read(made: LaneOwner, records: list[LaneRecord], start: int) -> int:
    for offset, record in enumerate(records, start):
        await made.read(offset, encode(record))
    return start + len(records)


def history() -> Log:
    """A lane with two chunks waiting, of which three recipients are on their way."""
    log = Log()
    for record in (owner(), control(), work([0, 1, 2, 3]), work([4, 5], dues=[(2, now_ms() + 3_600_000)])):
        log.add(record)
    log.add(intent(1, [(2, 0, 3)], at=now_ms()))
    return log


def same(first: LaneState, second: LaneState) -> bool:
    return snapshot(first, 0) == snapshot(second, 0)


async def test_a_lane_is_ours_from_our_owner_record_to_the_next(own_kafka: Server) -> None:
    async with owning(own_kafka) as made:
        assert not made.active
        await made.assign()
        at = await read(made, [owner("somebody"), control()], 0)
        assert not made.active
        at = await read(made, [owner(made.driver.claim.nonce)], at)
        assert made.active
        assert made.driver.state.epoch == at
        await read(made, [owner("somebody")], at)
        assert not made.active


@pytest.mark.parametrize("others", [0, 1], ids=["kept", "somebody else's in between"])
async def test_a_lane_that_comes_back_continues_at_once_and_another_workers_lane_waits(
    own_kafka: Server, others: int
) -> None:
    async with owning(own_kafka) as made:
        away(made)
        await made.assign()
        at = await read(made, running(10, made), 0)
        at = await read(made, [intent(1, [(2, 0, 5)], at=now_ms())], at)
        await made.release(2)
        await made.assign()
        await read(made, [*[owner("somebody", now_ms())] * others, owner(made.driver.claim.nonce, now_ms())], at)
        assert made.active
        sender = made.driver.channels.roster.get(DEMO)
        assert sender is not None
        assert (sender.flow.window.wait(monotonic(), 900) > 0) == bool(others)


@pytest.mark.parametrize("part_bytes", [64, 1_000_000], ids=["many", "one"])
async def test_a_checkpoint_is_loaded_and_what_follows_its_mark_is_folded(own_kafka: Server, part_bytes: int) -> None:
    log = history()
    pieces = parts(snapshot(log.state, 0), 1, part_bytes)
    assert (len(pieces) > 1) == (part_bytes == 64)
    start = log.end
    after: list[LaneRecord] = [
        work([6, 7]),
        *pieces[:1],
        control(state="paused", revision=2),
        *pieces[1:],
        owner("x"),
    ]
    async with owning(own_kafka) as made:
        await read(made, after, start)
        for record in after:
            log.add(record)
        assert same(made.driver.state, log.state)
        assert made.driver.state.campaigns[A].state == "paused"
        assert made.driver.state.next_offset == log.end
        others = sum(len(encode(item)) for item in after if not isinstance(item, CheckpointPart))
        assert made.driver.checkpointing.log_bytes == others  # its own parts would call for the next checkpoint


async def test_a_torn_checkpoint_is_not_used_and_a_later_whole_one_is(own_kafka: Server) -> None:
    log = history()
    pieces = parts(snapshot(log.state, 0), 1, 64)
    later = parts(snapshot(log.state, 0), 1)
    start = log.end
    damaged = [LANES.decode(encode(piece)) for piece in pieces]
    assert isinstance(damaged[1], CheckpointPart)
    damaged[1].payload = damaged[0].payload if isinstance(damaged[0], CheckpointPart) else ""
    async with owning(own_kafka) as made:
        await made.assign()
        at = await read(made, [*pieces[:-1], owner(made.driver.claim.nonce)], start)
        assert not made.active
        assert not made.driver.state.chunks
        at = await read(made, later, at)
        assert made.driver.state.chunks.keys() == log.state.chunks.keys()
        assert made.active  # our own OWNER was in what was buffered
    async with owning(own_kafka) as made:
        await read(made, damaged, start)
        assert not made.driver.state.chunks


async def test_a_checkpoint_of_another_mark_is_not_used(own_kafka: Server) -> None:
    log = history()
    pieces = parts(snapshot(log.state, 0), 1)
    async with owning(own_kafka) as made:
        await read(made, list(pieces), log.end + 10)
        assert not made.driver.state.chunks


def sent(simulated: Path) -> Counter[str]:
    """How often the aggregator processed each message."""
    return Submissions.read(simulated).counts


def marks(kafka: Server) -> tuple[int, int]:
    """The committed offset of the lane, and where its log begins."""
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": GROUP})
    place = TopicPartition(topics.LANES.name, LANE)
    try:
        (actual,) = consumer.committed([place], timeout=10)
        return int(actual.offset), consumer.get_watermark_offsets(place, timeout=10)[0]
    finally:
        consumer.close()


async def test_the_mark_moves_with_a_checkpoint_only_and_a_restart_sends_nothing_again(
    own_kafka: Server, tmp_path: Path
) -> None:
    wanted, simulated = 6000, tmp_path / "aggregator"
    with simulator(simulated) as (url, _):
        settings = Settings(
            kafka=Kafka(bootstrap=own_kafka.address, partitions=2, lanes=2),
            data=tmp_path / "data",
            aggregators={"local": HttpBatchSettings.model_validate({"url": f"{url}/v1/messages", "secret": SECRET})},
            worker=Worker(checkpoint_bytes=100_000),
        )
        write_accounts(own_kafka.address, ACCOUNTS)
        producer = Producer(settings.kafka)
        await _write(producer, control(at=now_ms(), transactional=True))
        await _write(producer, work(list(range(100)), at=now_ms()))
        async with started(build(settings, 0)) as app:
            await until(lambda: app.lanes._owners[LANE].active)
            await until(lambda: len(sent(simulated)) == 100)
            await app.consumer.commit()
            assert marks(own_kafka) == (-1001, 0)  # all was done, and yet there is no checkpoint
            for first in range(100, wanted, 100):
                await _write(producer, work(list(range(first, first + 100)), at=now_ms()))
            await until(lambda: len(sent(simulated)) == wanted)
            await until(lambda: marks(own_kafka)[1] > 0)
            committed, begins = marks(own_kafka)
            assert committed >= begins
        mark = marks(own_kafka)[0]
        async with started(build(settings, 0)) as app:
            stages: list[tuple[bool, bool, float | None]] = []
            await until(lambda: _stage(app, stages) == (True, True, 1.0))
            assert (True, False, 0.0) in stages, (
                "a worker that reads, and whose lane is not its own yet, is not ready"
            )
            again = app.lanes._owners[LANE]
            assert again.driver.replay.start == mark
            assert not again.driver.state.waiting
            await _write(producer, work(list(range(200)), at=now_ms()))  # a repeat, which the bitmap catches
            await _write(producer, work([wanted], at=now_ms()))
            await until(lambda: len(sent(simulated)) == wanted + 1)
        assert set(sent(simulated).values()) == {1}
        await producer.close()


def _stage(app: Any, stages: list[tuple[bool, bool, float | None]]) -> tuple[bool, bool, float | None]:
    """Whether the worker reads, whether the lane is its own, and what its metric says."""
    owner = app.lanes._owners.get(LANE)
    actual = (
        app.consumer.ready,
        owner is not None and owner.active,
        REGISTRY.get_sample_value("longwave_worker_ready"),
    )
    stages.append(actual)
    return actual


async def _write(producer: Producer, record: LaneRecord) -> None:
    if isinstance(record, Work):
        located(record)
    await producer.emit(topics.LANES.name, encode(record), partition=LANE)
    await asyncio.sleep(0)
