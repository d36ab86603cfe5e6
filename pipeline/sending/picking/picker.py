"""What a lane's owner writes next for a sender: the slice to submit, and the slices that must leave the queue (rules
L5 to L7).

Nothing here changes the lane's state: a pick is a proposal, and the log decides. Until the owner reads its record
back, the spans that it picked are kept in `Picked`, so that they are not picked twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from pipeline.eligibility.optouts import Blocked
from pipeline.lane.delay_table import QueueId
from pipeline.lane.lateness import is_too_late
from pipeline.lane.scheduler import FairShare, Key
from pipeline.lane.state import LaneState
from pipeline.limits.carrier_day import FIELD, next_day, normal
from pipeline.sending.picking.domains import Choice, Domains
from pipeline.sending.picking.picked import Picked
from pipeline.timing.quiet_gate import held_until
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import Defer, Drop, LaneSettings, Pick, SenderId, Slice, Work
from schemas.reasons import Reason

EXPIRED_AT_ONCE = 5000
"""Maximum expired slices in one Drop: the record stays well below a broker's limit."""


@dataclass(slots=True)
class Picks:
    """What to write for one slice; `segments` are those of the `pick`. `is_starved`: there are recipients, and no
    domain for their links."""

    pick: Pick | None
    drops: list[Drop | Defer]
    segments: int
    is_starved: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What a slice of a sender may hold at most, in messages and in segments, and of whom. `carrier_daily`: the
    brand's limits per carrier and day (names as `carrier_day.normal` gives them), whoever exceeds them waits until
    the next day. `quiet` None: nobody's hours are looked at. `domains`: the account's; None: its links need none."""

    sender: SenderId
    messages: int
    segments: int
    carrier_daily: Mapping[str, int] | None = None
    quiet: QuietHours | None = None
    domains: Domains | None = None


def pick(
    state: LaneState,
    picked: Picked,
    share: FairShare,
    blocked: Blocked,
    now: int,
    room: Room,
) -> Picks | None:
    """Choose the next slice that fits into `room` (but at least one message); `share` is the sender's.

    Due spans must have been released up to `now` (ms). None when nothing can be picked. Recipients that are opted out
    or held count as messages, so a pick looks at no more recipients than there is room for.
    """
    sender = room.sender
    ready = [
        key
        for key in state.table.ready_keys(sender)
        if state.running(key[0]) and _has_free(state, picked, (sender, key))
    ]
    settings = {campaign: state.campaigns[campaign].settings for campaign, _ in ready}
    choices = _choices(room.domains, ready, settings, picked)
    starved = [key for key in ready if choices is not None and choices[key] is None]
    if starved:
        # They wait, perhaps for days; their deadlines apply nevertheless.
        if drop := _overdue(state, picked, [(sender, key) for key in starved], now):
            return Picks(None, [drop], 0)
        ready = [key for key in ready if key not in starved]
    key = share.choose(ready, settings)
    if key is None:
        return Picks(None, [], 0, is_starved=True) if starved else None
    choice = (choices and choices[key]) or Choice()
    deadline = settings[key[0]].deadline
    if deadline is not None and now >= deadline:
        return Picks(None, [_expire(state, _free(state, picked, (sender, key)), Reason.DEADLINE, now)], 0)
    check = _nobody if settings[key[0]].messages[key[1]].to_opted_out else blocked
    hours = None if room.quiet is None or settings[key[0]].transactional else _Hours(room.quiet, now)
    left = _carriers_left(state, sender, picked, room.carrier_daily, now)
    tomorrow = next_day(now, state.zone(sender[0])) if left else 0
    taken = _Slice(min(room.messages, choice.room), room.segments, left, tomorrow, hours)
    late: list[Slice] = []
    for span in state.table.ready((sender, key)):
        if is_too_late(state, span, now):
            late += ((span.chunk, start, stop) for start, stop in picked.free(span))
        else:
            for start, stop in picked.free(span):
                taken.add(state.work(span.chunk), span.chunk, start, stop, check)
        if taken.full or len(late) >= EXPIRED_AT_ONCE:
            break
    chosen = _records(state, key, taken, choice, now)
    if late:
        chosen.drops.append(_expire(state, late, Reason.TOO_LATE, now))
    return chosen


def _choices(
    domains: Domains | None, ready: Sequence[Key], settings: Mapping[str, LaneSettings], picked: Picked
) -> Mapping[Key, Choice | None] | None:
    """The domains for the links of each message; None where no links need any."""
    if domains is None:
        return None
    return {key: domains.choose(settings[key[0]].messages[key[1]], picked) for key in ready}


def _nobody(numbers: list[int]) -> list[str]:
    return [""] * len(numbers)


def expired(state: LaneState, senders: Iterable[SenderId], picked: Picked, now: int) -> Drop | None:
    """The next Drop of the senders' recipients past the deadline or too late, None if there are none; for times in
    which nothing may be submitted."""
    queues = ((sender, key) for sender in senders for key in state.table.ready_keys(sender))
    return _overdue(state, picked, queues, now)


def _overdue(state: LaneState, picked: Picked, queues: Iterable[QueueId], now: int) -> Drop | None:
    for queue in queues:
        campaign = queue[1][0]
        if not state.running(campaign):
            continue
        deadline = state.campaigns[campaign].settings.deadline
        if deadline is not None and now >= deadline and _has_free(state, picked, queue):
            return _expire(state, _free(state, picked, queue), Reason.DEADLINE, now)
        if late := _too_late(state, picked, queue, now):
            return _expire(state, late, Reason.TOO_LATE, now)
    return None


def _too_late(state: LaneState, picked: Picked, queue: QueueId, now: int) -> list[Slice]:
    """The recipients who are too late at the head of the queue, where those are that have waited longest."""
    spans = takewhile(lambda span: is_too_late(state, span, now), state.table.ready(queue))
    late = ((span.chunk, start, stop) for span in spans for start, stop in picked.free(span))
    return list(islice(late, EXPIRED_AT_ONCE))


def _free(state: LaneState, picked: Picked, queue: QueueId) -> list[Slice]:
    free = ((s.chunk, start, stop) for s in state.table.ready(queue) for start, stop in picked.free(s))
    return list(islice(free, EXPIRED_AT_ONCE))


def _carriers_left(
    state: LaneState, sender: SenderId, picked: Picked, limits: Mapping[str, int] | None, now: int
) -> dict[str, int] | None:
    """Segments of the sender's brand that each limited carrier may still get today, less what is on its way to the
    log."""
    if not limits:
        return None
    brand = state.brand_of(sender)
    left = state.carriers.left(brand, state.day(sender[0], now), limits)
    for slice_ in picked.slices():
        if state.brand_of(state.chunks[slice_[0]].sender) != brand:
            continue
        for carrier, segments in zip(*(state.carriers_of(slice_) or ((), ())), strict=True):
            if normal(carrier) in left:
                left[normal(carrier)] -= segments
    return left


def _has_free(state: LaneState, picked: Picked, queue: QueueId) -> bool:
    return any(picked.free(span) for span in state.table.ready(queue))


def _records(state: LaneState, key: Key, taken: _Slice, choice: Choice, now: int) -> Picks:
    drops: list[Drop | Defer] = []
    for reason, slices in taken.dropped.items():
        drops.append(Drop(epoch=state.epoch, slices=slices, state="skipped", reason=reason, at=now))
    for (due, reason), slices in taken.deferred.items():
        drops.append(Defer(epoch=state.epoch, slices=slices, due=due, reason=reason, at=now))
    if not taken.slices:
        return Picks(None, drops, 0)
    chosen = Pick(campaign=key[0], message=key[1], slices=taken.slices, domains=list(choice.domains))
    return Picks(chosen, drops, taken.used)


def _expire(state: LaneState, slices: list[Slice], reason: str, now: int) -> Drop:
    return Drop(epoch=state.epoch, slices=slices, state="expired", reason=reason, at=now)


@dataclass(frozen=True, slots=True)
class _Hours:
    """Quiet hours as of `now` (ms)."""

    quiet: QuietHours
    now: int

    def held(self, work: Work, start: int, stop: int) -> list[int] | None:
        return held_until(self.quiet, work, start, stop, self.now)


class _Slice:
    """Collects positions until messages or segments run out."""

    def __init__(
        self,
        messages: int,
        segments: int,
        carriers_left: dict[str, int] | None,
        tomorrow: int,
        hours: _Hours | None,
    ) -> None:
        self._tomorrow = tomorrow
        self._hours = hours
        self._messages = messages
        self._segments = segments
        self._carriers_left = carriers_left
        self.slices: list[Slice] = []
        self.dropped: dict[str, list[Slice]] = {}
        """By the reason to skip."""
        self.deferred: dict[tuple[int, str], list[Slice]] = {}
        """By due time (ms) and reason."""
        self.used = 0
        self.full = False

    def add(self, work: Work, chunk: int, start: int, stop: int, blocked: Blocked) -> None:
        while start < stop and not self.full:
            # Each message has at least one segment, so no more than these can fit.
            end = min(stop, start + self._messages, start + max(1, self._segments - self.used))
            self._add(work, chunk, start, end, blocked)
            start = end

    def _add(self, work: Work, chunk: int, start: int, stop: int, blocked: Blocked) -> None:
        block_reasons = blocked(work.numbers[start:stop])
        cost = sum(work.segments[start:stop])
        held = None if self._hours is None else self._hours.held(work, start, stop)
        limited = self._carriers_left is not None and FIELD in work.fields
        if not limited and held is None and not any(block_reasons) and self.used + cost <= self._segments:
            self._take(chunk, start, stop, cost)
        else:
            self._add_each(work, chunk, (start, stop), block_reasons, held)
        self.full = self.full or self._messages <= 0 or self.used >= self._segments

    def _add_each(
        self, work: Work, chunk: int, span: tuple[int, int], block_reasons: list[str], held: list[int] | None
    ) -> None:
        start = span[0]
        for position in range(*span):
            if reason := block_reasons[position - start]:
                _extend(self.dropped.setdefault(reason, []), chunk, position, position + 1)
                self._messages -= 1
                continue
            if held is not None and held[position - start]:
                self._defer(held[position - start], Reason.QUIET_HOURS, chunk, position)
                continue
            cost = work.segments[position]
            if not self._carrier_has_room(work, position, cost):
                self._defer(self._tomorrow, Reason.CARRIER_DAY, chunk, position)
                continue
            if self.used and self.used + cost > self._segments:
                self.full = True
                return
            self._take(chunk, position, position + 1, cost)
            self._charge_carrier(work, position, cost)

    def _defer(self, due: int, reason: str, chunk: int, position: int) -> None:
        _extend(self.deferred.setdefault((due, reason), []), chunk, position, position + 1)
        self._messages -= 1

    def _carrier_has_room(self, work: Work, position: int, cost: int) -> bool:
        carrier = self._limited_carrier(work, position)
        return carrier is None or self._carriers_left is None or self._carriers_left[carrier] >= cost

    def _charge_carrier(self, work: Work, position: int, cost: int) -> None:
        carrier = self._limited_carrier(work, position)
        if carrier is not None and self._carriers_left is not None:
            self._carriers_left[carrier] -= cost

    def _limited_carrier(self, work: Work, position: int) -> str | None:
        if self._carriers_left is None or FIELD not in work.fields:
            return None
        carrier = normal(work.fields[FIELD][position])
        return carrier if carrier in self._carriers_left else None

    def _take(self, chunk: int, start: int, stop: int, cost: int) -> None:
        _extend(self.slices, chunk, start, stop)
        self.used += cost
        self._messages -= stop - start


def _extend(slices: list[Slice], chunk: int, start: int, stop: int) -> None:
    last = slices[-1] if slices else None
    if last and last[0] == chunk and last[2] == start:
        slices[-1] = (chunk, last[1], stop)
    else:
        slices.append((chunk, start, stop))
