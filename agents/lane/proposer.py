"""What a live owner writes into its lane next, within its slots and limits, and what of that is on its way."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from adapters.ports import Delivered
from agents.context import Context
from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import unpack
from pipeline.limits.rate import Pace, ReadBack, Window, slice_segments, slots
from pipeline.sending.picker import Pick, Picked, expired, pick
from pipeline.sending.poison import poisonous
from schemas import metrics, topics
from schemas.lane import Defer, Drop, Intent, LaneRecord, Slice
from schemas.reasons import Reason
from schemas.wire import encode

if TYPE_CHECKING:
    from agents.lane.owner import LaneOwner, Way

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
"""How long an owner sleeps at most: the period of its gauges and of its check for a checkpoint."""


class Proposer:
    """Picks for one lane. A pick is a proposal: what becomes of it is told by the log, read back."""

    def __init__(self, owner: LaneOwner, context: Context, way: Way, window: Window) -> None:
        self._owner = owner
        self._context = context
        self._batch = way.batch
        self._carrier_daily = way.carrier_daily
        self._breaker = way.breaker
        self._slots = slots(way.rate, way.batch, context.settings.worker.in_flight)
        self._slice = slice_segments(way.rate)
        self._pace = Pace(way.rate)
        self._window = window
        self._aggregator = way.aggregator
        self._read_back = ReadBack()
        self._share = FairShare()
        self._picked = Picked()
        self._out = 0
        """INTENTs on their way into the log and back."""
        self._sent: dict[Slice, tuple[float, int]] = {}
        """When each of them was written, and its segments, by its first slice."""
        self._writing: set[asyncio.Future[Delivered]] = set()
        self._unread: set[int] = set()
        """Offsets of our INTENTs that the broker has and that we have not read back."""

    @property
    def on_the_way(self) -> int:
        """INTENTs that are written and not read back."""
        return self._out

    def begin(self) -> None:
        """The log is read from its beginning."""
        self._unread.clear()
        self._picked.clear()
        self._sent.clear()

    def owned(self) -> None:
        """The lane has a new owner; what was proposed before is void."""
        self._picked.clear()
        self._sent.clear()
        self._out = 0

    def read(self, offset: int, record: LaneRecord) -> None:
        """The log has `record` at `offset`."""
        self._unread.discard(offset)
        if isinstance(record, Intent | Drop | Defer):
            self._picked.discard(record.slices)
        if isinstance(record, Intent):
            self._out = max(0, self._out - 1)
            if record.slices and (sent := self._sent.pop(record.slices[0], None)) is not None:
                self._read_back.observe(monotonic() - sent[0])

    async def written(self) -> None:
        """Wait until the broker has answered for everything that was proposed."""
        if self._writing:
            await asyncio.wait(set(self._writing))

    def never_read(self) -> list[int]:
        """Offsets of our INTENTs that were not read back; they count as read from now on."""
        offsets = sorted(self._unread)
        self._unread.clear()
        return offsets

    def spend(self, now: int) -> float:
        """Write what the limits allow at `now` (ms); seconds until they allow more by time alone."""
        while self._has_a_slot():
            pause = max(self._pace.wait(monotonic()), self._until_room())
            if pause > 0:
                return pause
            messages = self._breaker.allowance(self._out + self._owner.submitter.count)
            if not messages:
                self._expire(now)
                break
            if not self._pick(now, messages):
                break
        return IDLE_SECONDS

    def _has_a_slot(self) -> bool:
        submitter = self._owner.submitter
        waiting = self._out + submitter.waiting
        if waiting >= submitter.most_waiting or (waiting and self._aggregator.is_busy):
            return False
        return self._out + submitter.count < self._slots

    def _until_room(self) -> float:
        """Seconds until an INTENT that is written now comes back just in time for the limit to have room for it."""
        ahead = self._owner.submitter.waiting_segments + sum(segments for _, segments in self._sent.values())
        size = max(1, min(self._slice, self._batch, self._owner.state.table.ready_count))
        return self._window.room_in(monotonic(), ahead, size) - self._read_back.ahead

    def _expire(self, now: int) -> None:
        """Deadlines hold while nothing may be submitted, too."""
        drop = expired(self._owner.state, self._picked, now)
        if drop is not None:
            self._propose(drop, drop.slices)

    def _pick(self, now: int, messages: int) -> bool:
        try:
            chosen = self._chosen(now, messages, self._picked, self._share)
        except Exception:
            log.exception("lane %s cannot pick: looking for the chunk that is the cause", self._owner.lane)
            return self._set_aside(now, messages)
        if chosen is None:
            return False
        for drop in chosen.drops:
            self._propose(drop, drop.slices)
        if chosen.intent is not None:
            campaign = self._owner.state.campaigns[chosen.intent.campaign]
            self._pace.spend(monotonic(), chosen.segments)
            self._share.spend(chosen.intent.campaign, chosen.segments, campaign.settings.weight)
            self._out += 1
            self._sent[chosen.intent.slices[0]] = (monotonic(), chosen.segments)
            self._breaker.proposed()
            self._propose(chosen.intent, chosen.intent.slices)
        return True

    def _set_aside(self, now: int, messages: int) -> bool:
        """A chunk that decodes and yet cannot be picked from: a letter, and its recipients leave the queue."""
        state = self._owner.state
        found = poisonous(state, self._picked, lambda only: self._chosen(now, messages, only, FairShare()))
        if found is None:
            return False
        slices, error = found
        chunk = slices[0][0]
        self._owner.dead(chunk, unpack(state.chunks[chunk].packed), error)
        self._propose(
            Drop(epoch=state.epoch, slices=slices, state="skipped", reason=Reason.UNREADABLE, at=now), slices
        )
        return True

    def _chosen(self, now: int, messages: int, picked: Picked, share: FairShare) -> Pick | None:
        return pick(
            self._owner.state,
            picked,
            share,
            partial(self._context.blocked, self._owner.account),
            now,
            messages=min(self._batch, messages),
            segments=self._slice,
            carrier_daily=self._carrier_daily,
            quiet=self._owner.quiet,
        )

    def _propose(self, record: Intent | Drop | Defer, slices: list[tuple[int, int, int]]) -> None:
        self._picked.add(slices)
        if isinstance(record, Drop) and record.reason == Reason.TOO_LATE:
            metrics.LANE_TOO_LATE.labels(self._owner.lane).inc(sum(stop - start for _, start, stop in slices))
        future = self._context.producer.send(topics.LANES.name, encode(record), partition=self._owner.lane)
        epoch = self._owner.state.epoch

        def written(done: asyncio.Future[Delivered]) -> None:
            self._writing.discard(done)
            if done.cancelled():
                return
            if done.exception() is None:
                self._owner.wrote(done.result().offset)
                if isinstance(record, Intent) and done.result().offset >= self._owner.state.next_offset:
                    self._unread.add(done.result().offset)
                return
            # It may be in the log all the same. If so it counts when it is read; if not, the slices are free again.
            log.warning("lane %s: %s", self._owner.lane, done.exception())
            if epoch == self._owner.state.epoch:
                self._picked.discard(slices)
                self._sent.pop(slices[0], None)
                self._out = max(0, self._out - isinstance(record, Intent))
                self._owner.wake()

        self._writing.add(future)
        future.add_done_callback(written)
