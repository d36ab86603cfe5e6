"""How a campaign will go, before it is sent: a fluid that flows through its lanes while the zones' windows are open.

Exact but for what is random (throttling, rejections' retries): campaigns of the first rank share the rate by weight,
within a campaign those who became due first go first, whoever's window closes waits for the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.timing.intervals import Interval

ALWAYS: Final[Sequence[Interval]] = ((0, 1 << 62),)
_LEFT: Final = 1e-6
"""Fraction of a segment below which a queue counts as empty."""


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients whose messages are allowed at the same times. `windows` rise and lie apart; `zone` is where they
    are told to close."""

    zone: str
    recipients: float
    segments: float
    windows: Sequence[Interval] = ALWAYS


@dataclass(frozen=True, slots=True)
class Precedence:
    """Where a campaign stands among others on the same lanes (rule L7). `rank`: (class, deadline), the lowest goes
    first, as `pipeline.lane.scheduler` ranks; `weight`: its share among those of its rank."""

    rank: tuple[int, int]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CompetingCampaign:
    """Another campaign's queue on the same lanes."""

    name: str
    segments: float
    precedence: Precedence


@dataclass(frozen=True, slots=True)
class Held:
    """At `at` (ms) a window closed before `recipients` of a zone, or had not opened yet; it opens at `until`."""

    zone: str
    at: int
    until: int | None
    recipients: float


@dataclass(slots=True)
class Flow:
    """`finish` (ms): when the last was handed over, None where not everybody will be. `left`: recipients of each
    group that are not reached; `ends`: when each was done."""

    finish: int | None
    left: list[float]
    ends: list[int | None]
    held: list[Held] = field(default_factory=list)


@dataclass(slots=True)
class _Reach:
    """A group while the forecast runs."""

    group: Group
    left: float
    since: int | None = None
    """When its window opened; None while closed."""
    closes: int = 0
    end: int | None = None


@dataclass(slots=True)
class _Queue:
    competitor: CompetingCampaign
    left: float


def flow(
    groups: Sequence[Group],
    rate: float,
    begin: int,
    precedence: Precedence,
    competitors: Sequence[CompetingCampaign] = (),
    deadline: int | None = None,
) -> Flow:
    """Let the groups flow from `begin` (ms) at `rate` segments/s until all are reached, or the `deadline`."""
    reaches = [_Reach(group, group.segments) for group in groups]
    queues = [_Queue(competitor, competitor.segments) for competitor in competitors]
    flowing = Flow(None, [], [])
    now = float(begin)
    stop = float("inf") if deadline is None else float(deadline)
    while now < stop and any(reach.left > _LEFT for reach in reaches):
        edge = _open(reaches, now, flowing)
        mine, others = _shares(reaches, queues, rate, precedence)
        first = _first(reaches) if mine else []
        until = min(stop, edge, _done(first, mine, now), *(_drained(queue, speed, now) for queue, speed in others))
        if until == float("inf"):
            break
        # Whoever is done is so exactly: what rounding left over would take a time too short to move `now` on.
        ends = [_drained(queue, speed, now) for queue, speed in others]
        _pass(first, mine, until - now, _done(first, mine, now) <= until)
        for (queue, speed), end in zip(others, ends, strict=True):
            queue.left = 0.0 if end <= until else queue.left - speed * (until - now) / 1000
        now = until
        for reach in reaches:
            if reach.left <= _LEFT and reach.end is None:
                reach.end = round(now)
    flowing.left = [
        reach.group.recipients * max(0.0, reach.left) / reach.group.segments if reach.left > _LEFT else 0.0
        for reach in reaches
    ]
    flowing.ends = [reach.end for reach in reaches]
    if not any(flowing.left):
        flowing.finish = max((end for end in flowing.ends if end is not None), default=begin)
    return flowing


def _open(reaches: Sequence[_Reach], now: float, flowing: Flow) -> float:
    """Open and close windows as of `now`; when the next edge is (inf for none)."""
    edge = float("inf")
    for reach in reaches:
        if reach.left <= _LEFT:
            continue
        if reach.since is not None and now >= reach.closes:
            reach.since = None
            _hold(reach, now, flowing)
        if reach.since is None:
            window = _window(reach.group, now)
            if window is None:
                continue
            if window[0] > now:
                if not reach.closes:
                    _hold(reach, now, flowing)
                edge = min(edge, window[0])
                reach.closes = max(reach.closes, 1)
                continue
            reach.since, reach.closes = max(window[0], 0), window[1]
        edge = min(edge, reach.closes)
    return edge


def _hold(reach: _Reach, now: float, flowing: Flow) -> None:
    window = _window(reach.group, now)
    waiting = reach.group.recipients * reach.left / reach.group.segments
    flowing.held.append(Held(reach.group.zone, round(now), None if window is None else window[0], waiting))


def _window(group: Group, now: float) -> Interval | None:
    """The window that is open at `now`, or the next."""
    return next((window for window in group.windows if window[1] > now), None)


def _shares(
    reaches: Sequence[_Reach], queues: Sequence[_Queue], rate: float, precedence: Precedence
) -> tuple[float, list[tuple[_Queue, float]]]:
    """Segments/s of the campaign, and of each queue that flows now: only the first rank does."""
    waiting = [queue for queue in queues if queue.left > _LEFT]
    ready = any(reach.since is not None and reach.left > _LEFT for reach in reaches)
    ranks = [queue.competitor.precedence.rank for queue in waiting] + ([precedence.rank] if ready else [])
    if not ranks:
        return 0.0, []
    first = min(ranks)
    flowing = [queue for queue in waiting if queue.competitor.precedence.rank == first]
    mine = precedence.weight if ready and precedence.rank == first else 0
    total = mine + sum(queue.competitor.precedence.weight for queue in flowing)
    return rate * mine / total, [(queue, rate * queue.competitor.precedence.weight / total) for queue in flowing]


def _first(reaches: Sequence[_Reach]) -> list[_Reach]:
    """The groups that are served next: those that became due first."""
    ready = [reach for reach in reaches if reach.since is not None and reach.left > _LEFT]
    earliest = min((reach.since for reach in ready if reach.since is not None), default=0)
    return [reach for reach in ready if reach.since == earliest]


def _done(first: Sequence[_Reach], speed: float, now: float) -> float:
    return now + 1000 * sum(reach.left for reach in first) / speed if speed and first else float("inf")


def _drained(queue: _Queue, speed: float, now: float) -> float:
    return now + 1000 * queue.left / speed


def _pass(first: Sequence[_Reach], speed: float, span: float, done: bool) -> None:
    total = sum(reach.left for reach in first)
    for reach in first:
        reach.left = 0.0 if done else reach.left * (1 - min(1.0, speed * span / 1000 / total))
