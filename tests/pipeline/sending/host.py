"""A lane on a virtual clock: its log, the owners that read it, and aggregators that note what arrives when.

A record is in the log, and read by every owner, `READ_BACK` after it was written; an aggregator answers `LATENCY`
after a hand-over, which arrives in the middle of that.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final

from pipeline.campaign.suspension import suspend
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.driver import LaneDriver, Surroundings, Terms
from pipeline.sending.effects import (
    Announce,
    AwaitConsents,
    Claimed,
    Connect,
    Effect,
    HandOver,
    Instant,
    Letter,
    Log,
    Prepared,
    Report,
    ReportUse,
    Wake,
    WakeLine,
    Write,
)
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.sending.outage.breaker import Breaker
from pipeline.timing.quiet_hours import QuietHours
from schemas.campaign import CampaignDocument, Note, Suspension
from schemas.domains import LaneUse
from schemas.lane import Intent, LaneRecord, SenderId, Work
from schemas.wire import encode
from tests.pipeline.lane.records import work

READ_BACK: Final = 0.003
LATENCY: Final = 0.005
TICK: Final = 0.0005
"""Seconds that a timer is late."""
START_MS: Final = 1_790_000_000_000
WINDOW_MS: Final = 1000
QUIET: Final = QuietHours("cautious")


@dataclass(frozen=True, slots=True)
class Message:
    sender: SenderId
    campaign: str
    carrier: str
    segments: int
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an aggregator got at `ms`."""

    ms: float
    account: str
    sender: str
    campaign: str
    segments: int
    carrier: str
    aggregator: str
    domains: tuple[str, ...] = ()
    """Those of the account that its links are on."""


@dataclass
class Answer:
    outcome: Any = "accepted"
    reason: str = ""
    aggregator_id: str = "x"
    retry_after: float = 0.0
    holds: bool = False


@dataclass
class NamedBreaker:
    name: str
    rule: Breaker
    held_until_ms: int = 0


class Scene:
    """One lane's log, whoever reads it, and all that its senders' aggregators got."""

    def __init__(self, batch: int = 500, in_flight: int = 16, aggregators: Iterable[str] = ("any", "other")) -> None:
        self.seconds = 100.0
        self.log: list[tuple[LaneRecord, bytes]] = []
        self.written: list[tuple[float, Intent]] = []
        """INTENTs, with the second in which they reached the log."""
        self.arrivals: list[Arrival] = []
        self.owners: list[Host] = []
        self.documents: dict[str, CampaignDocument] = {}
        self.announced: list[Note | Suspension] = []
        self.reports: list[LaneUse] = []
        self.aggregators = {
            name: LaneAggregator(NamedBreaker(name, Breaker(3)), batch, in_flight, 30.0, lambda: True)
            for name in aggregators
        }
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def now(self) -> Instant:
        return Instant(self.ms, self.seconds, self.seconds)

    @property
    def ms(self) -> int:
        return START_MS + int(1000 * self.seconds)

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.seconds + seconds, next(self._order), do))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.seconds + seconds
        while self._events and self._events[0][0] <= end:
            self.seconds, _, do = heapq.heappop(self._events)
            do()
        self.seconds = end

    def add(self, *records: LaneRecord) -> None:
        """Records reach the log now, and are read."""
        for record in records:
            self.log.append((record, encode(record)))
            if isinstance(record, Intent):
                self.written.append((self.seconds, record))
            for host in self.owners:
                host.read()

    def queue(
        self, campaign: str, sender: SenderId, recipients: int, first: int = 0, chunk: int = 500, **more: Any
    ) -> None:
        """People wait for a campaign's message from a sender, so many in each WORK."""
        for start in range(first, first + recipients, chunk):
            stop = min(start + chunk, first + recipients)
            self.add(self.work(campaign, sender, range(start, stop), **more))

    def work(self, campaign: str, sender: SenderId, people: range, carrier: str = "", segments: int = 1) -> Work:
        given = work(list(people), campaign, at=self.ms, segments=[segments] * len(people), sender=sender)
        given.fields["carrier"] = [carrier] * len(people)
        return given

    def own(self, nonce: str = "mine", begin: int = 0) -> Host:
        """Another owner, which reads the log from there and takes the lane."""
        host = Host(self, nonce, begin)
        self.owners.append(host)
        host.read()
        return host

    def got(self, since: float = 0.0, until: float = float("inf"), **of: str) -> list[Arrival]:
        """What arrived between two seconds, of an account, sender, campaign, carrier."""
        begin, end = START_MS + 1000 * since, START_MS + 1000 * until
        return [
            arrival
            for arrival in self.arrivals
            if begin <= arrival.ms < end and all(getattr(arrival, name) == value for name, value in of.items())
        ]

    def rate(self, since: float, until: float, **of: str) -> float:
        """Segments a second that arrived."""
        return sum(arrival.segments for arrival in self.got(since, until, **of)) / (until - since)


def most_in_a_second(arrivals: Iterable[Arrival]) -> int:
    """Segments in the fullest window of one second."""
    inside: deque[Arrival] = deque()
    most = used = 0
    for arrival in sorted(arrivals, key=lambda item: item.ms):
        while inside and inside[0].ms <= arrival.ms - WINDOW_MS:
            used -= inside.popleft().segments
        inside.append(arrival)
        used += arrival.segments
        most = max(most, used)
    return most


class Host:
    """An owner of the scene's lane."""

    def __init__(self, scene: Scene, nonce: str, begin: int) -> None:
        self._scene = scene
        self._position = begin
        self._next_turn: float | None = None
        self._line_at: float | None = None
        self._via: dict[int, str] = {}
        """Aggregators by INTENT."""
        self.claimed: list[Claimed] = []
        self.late: list[tuple[SenderId, float]] = []
        """How late each flight was that was handed over, in seconds."""
        self.is_alive = True
        around = Surroundings(
            aggregator=scene.aggregators.get,
            blocked=lambda account, numbers: [""] * len(numbers),
            quiet=lambda account: QUIET,
            knows_consents=lambda: True,
            is_member=lambda: True,
            document=scene.documents.get,
            prepare=_prepare,
        )
        self.driver: LaneDriver[Message] = LaneDriver(1, "w", Terms(3600.0, 1 << 40), around)
        self._do(self.driver.on_assigned(nonce, scene.now))

    def die(self) -> None:
        """It does nothing anymore; what it has written still reaches the log."""
        self.is_alive = False

    def read(self) -> None:
        """Read all there is."""
        while self.is_alive and self._position < len(self._scene.log):
            offset, self._position = self._position, self._position + 1
            taken, effects = self.driver.read(offset, self._scene.log[offset][1], self._scene.now)
            self._do(effects)
            for item in taken:
                self._do(self.driver.on_raw(*item, self._scene.now))
        self._turn_at(self._scene.seconds)

    def _turn_at(self, seconds: float) -> None:
        if self._next_turn is not None and self._next_turn <= seconds:
            return
        self._next_turn = seconds

        def turn() -> None:
            if self._next_turn == seconds and self.is_alive:
                self._next_turn = None
                self._do(self.driver.on_time(self._scene.now))

        self._scene.after(seconds - self._scene.seconds, turn)

    def _do(self, effects: Iterable[Effect[Message]]) -> None:
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect[Message]) -> None:
        scene = self._scene
        match effect:
            case Write(record):
                scene.after(READ_BACK, partial(self._reaches_the_log, effect, record))
            case Report(record):
                scene.after(READ_BACK, partial(scene.add, record))
            case Connect(intent, aggregator):
                self._via[intent] = aggregator
                scene.after(0.0, lambda: self._call(lambda: self.driver.on_connected(intent, scene.now)))
            case HandOver():
                self._hand_over(effect)
            case WakeLine(seconds) | AwaitConsents(seconds):
                self._line_after(seconds + TICK)
            case Wake(seconds):
                self._turn_at(scene.seconds + (seconds + TICK if seconds > 0 else 0.0))
            case Announce(record):
                scene.announced.append(record)
                known = scene.documents[record.campaign]
                if isinstance(record, Suspension):
                    after = suspend(known, record, scene.ms).document
                    assert after is not None
                    scene.documents[record.campaign] = after
            case ReportUse(record):
                scene.reports.append(record.use)
            case Claimed():
                self.claimed.append(effect)
            case Letter(_, _, error):
                raise AssertionError(error)
            case Log("error", text, cause):
                raise AssertionError(text) from cause

    def _call(self, what: Callable[[], list[Effect[Message]]]) -> None:
        if self.is_alive:
            self._do(what())

    def _line_after(self, seconds: float) -> None:
        at = self._line_at = self._scene.seconds + seconds

        def turn() -> None:
            if self._line_at == at:
                self._call(lambda: self.driver.on_line(self._scene.now))

        self._scene.after(seconds, turn)

    def _reaches_the_log(self, write: Write, record: LaneRecord) -> None:
        offset = len(self._scene.log)
        self._scene.add(record)
        self._call(lambda: self.driver.on_written(write, offset, "", self._scene.now))

    def _hand_over(self, slice_: HandOver[Message]) -> None:
        scene, sent = self._scene, self._scene.seconds
        self.late += [(sender, late) for (sender, _), late in zip(slice_.parts, slice_.late, strict=True)]
        at = START_MS + 1000 * (sent + LATENCY / 2)
        for item in slice_.batch:
            scene.arrivals.append(
                Arrival(
                    at,
                    *item.sender,
                    item.campaign,
                    item.segments,
                    item.carrier,
                    self._via[slice_.intent],
                    item.domains,
                )
            )
        answers = [Answer() for _ in slice_.batch]
        scene.after(
            LATENCY, lambda: self._call(lambda: self.driver.on_answer(slice_.intent, answers, sent, 0.0, scene.now))
        )


def _prepare(state: LaneState, flight: Flight) -> Prepared[Message]:
    items: list[Message] = []
    numbers: list[int] = []
    for chunk, start, stop in flight.slices:
        given = state.work(chunk)
        carriers = given.fields["carrier"][start:stop]
        items += [
            Message(flight.sender, flight.key[0], carrier, segments, tuple(flight.domains))
            for carrier, segments in zip(carriers, given.segments[start:stop], strict=True)
        ]
        numbers += given.numbers[start:stop]
    return Prepared(items, numbers, sum(item.segments for item in items))
