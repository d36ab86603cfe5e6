"""Workers around one lane's log, as Kafka would have them: each reads at its own speed, may stall, lose the lane
without knowing it, write late, or die between any two steps. Every record passes through its bytes."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from pipeline.checkpoint import Loader, parts, snapshot
from pipeline.lane import Malformed, Owned, Submit, Void, apply
from pipeline.lane_state import Flight, LaneState
from pipeline.picker import Picked, pick
from pipeline.scheduler import FairShare
from schemas.lane import LANES, CheckpointPart, Defer, Drop, Intent, LaneRecord
from schemas.status import StatusChunk
from schemas.wire import encode
from tests.pipeline.lane_model import Accounting, Model, plain
from tests.pipeline.lane_records import owner


@dataclass
class Worker:
    name: str
    start: int
    state: LaneState = field(default_factory=LaneState)
    loader: Loader | None = None
    buffer: list[int] = field(default_factory=list)
    active: bool = False
    epoch: int = 0
    position: int = 0
    picked: Picked = field(default_factory=Picked)
    share: FairShare = field(default_factory=FairShare)
    todo: deque[Flight] = field(default_factory=deque)
    """Submit effects read, not carried out yet."""
    outbox: deque[LaneRecord] = field(default_factory=deque)
    """Records produced, not in the log yet."""
    mark: tuple[int, int] | None = None
    """(records still to be written, as of) of a checkpoint under way."""


class World:
    def __init__(self) -> None:
        self.log: list[tuple[LaneRecord, bytes]] = []
        self.truth = LaneState()
        self.told: list[list[StatusChunk]] = []
        """Statuses of each record, as the reader from offset 0 emits them."""
        self.model = Model()
        self.accounting = Accounting()
        self.workers: list[Worker] = []
        self.received: Counter[tuple[str, int, int]] = Counter()
        """What the aggregator has: submissions of each message id."""
        self.sent: dict[int, list[str]] = {}
        """Outcomes of what was submitted, by the INTENT's offset."""
        self.mark = 0
        self.names = 0

    def append(self, record: LaneRecord) -> None:
        raw = encode(record)
        offset, record = len(self.log), LANES.decode(raw)
        self.log.append((record, raw))
        effects = apply(self.truth, offset, record, raw)
        self.model.apply(offset, record)
        statuses = [effect for effect in effects if isinstance(effect, StatusChunk)]
        self.told.append(statuses)
        for chunk in statuses:
            self.accounting.add(chunk)
        if isinstance(record, Intent):
            expected = Submit if offset in self.model.valid else Void
            assert [type(e) for e in effects if not isinstance(e, StatusChunk)] == [expected]
        else:
            assert all(isinstance(effect, StatusChunk | Owned | Malformed) for effect in effects)

    def start(self) -> Worker:
        """A worker is assigned the lane: it reads from the low-water mark and writes OWNER."""
        self.names += 1
        worker = Worker(f"w{self.names}", self.mark, position=self.mark)
        worker.loader = Loader(self.mark) if self.mark else None
        self.workers.append(worker)
        worker.outbox.append(owner(worker.name))
        return worker

    def read(self, worker: Worker) -> None:
        """The worker reads its next record."""
        if worker.position == len(self.log):
            return
        offset, worker.position = worker.position, worker.position + 1
        if worker.loader is None:
            self._fold(worker, offset)
            return
        worker.buffer.append(offset)
        record = self.log[offset][0]
        loaded = worker.loader.offer(record) if isinstance(record, CheckpointPart) else None
        if loaded is not None:
            worker.state, worker.loader = loaded, None
            for one in worker.buffer:
                self._fold(worker, one)

    def _fold(self, worker: Worker, offset: int) -> None:
        record, raw = self.log[offset]
        if isinstance(record, Intent | Drop | Defer):
            worker.picked.discard(record.slices)
        effects = apply(worker.state, offset, record, raw)
        assert [e for e in effects if isinstance(e, StatusChunk)] == self.told[offset], "the fold is not repeatable"
        for effect in effects:
            if isinstance(effect, Owned):
                worker.active = effect.nonce == worker.name
                worker.epoch = effect.epoch if worker.active else worker.epoch
                worker.picked.clear()
            mine = isinstance(effect, Submit) and worker.active and effect.flight.epoch == worker.epoch
            if mine and offset not in self.sent:
                assert isinstance(effect, Submit)
                worker.todo.append(effect.flight)

    def pick(self, worker: Worker, now: int, messages: int, segments: int, out: set[int]) -> None:
        """Rule L2, first half: what the owner picks goes on its way into the log."""
        worker.state.table.release(now)
        chosen = pick(
            worker.state,
            worker.picked,
            worker.share,
            lambda numbers: [number in out for number in numbers],
            now,
            messages=messages,
            segments=segments,
        )
        if chosen is None:
            return
        for drop in chosen.drops:
            worker.picked.add(drop.slices)
            worker.outbox.append(drop)
        if chosen.intent is not None:
            assert chosen.segments > 0
            worker.picked.add(chosen.intent.slices)
            worker.share.spend(chosen.intent.campaign, chosen.segments, 1)
            worker.outbox.append(chosen.intent)

    def submit(self, flight: Flight, arrives: list[bool]) -> None:
        """Rule L2, second half, with what must hold of every submission checked against the model."""
        assert flight.offset in self.model.valid
        canceled = self.model.canceled_at.get(flight.key[0])
        assert canceled is None or flight.offset < canceled, "submitted after its cancel"
        ordinals = [
            ordinal
            for chunk, start, stop in flight.slices
            for ordinal in LANES.decode(self.log[chunk][1]).ordinals[start:stop]  # type: ignore[union-attr]
        ]
        for ordinal, arrived in zip(ordinals, arrives, strict=True):
            self.received[(*flight.key, ordinal)] += arrived

    def land(self, worker: Worker) -> None:
        """The oldest record that the worker produced reaches the log."""
        if not worker.outbox:
            return
        self.append(worker.outbox.popleft())
        if worker.mark is not None:
            left, as_of = worker.mark
            worker.mark = (left - 1, as_of) if left > 1 else None
            if left == 1 and worker.active:
                self.mark = max(self.mark, as_of)

    def checkpoint(self, worker: Worker, part_bytes: int) -> None:
        """The worker writes its state; the mark moves when all of it is in the log."""
        plain_state = snapshot(worker.state, 0)
        records = parts(plain_state, worker.epoch, part_bytes)
        worker.mark = (len(worker.outbox) + len(records), plain_state.as_of)
        worker.outbox.extend(records)

    def crash(self, worker: Worker, lands: int) -> None:
        """The worker dies; `lands` of its records still reach the log, the others never do."""
        for _ in range(min(lands, len(worker.outbox))):
            self.append(worker.outbox.popleft())
        self.workers.remove(worker)

    def catch_up(self, worker: Worker) -> None:
        """Read all there is; the state must be that of a reader from offset 0, wherever this one began."""
        while worker.position < len(self.log):
            self.read(worker)
        if worker.loader is None:
            assert plain(worker.state) == plain(self.truth)
