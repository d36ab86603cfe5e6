"""Limits on a virtual clock: an owner that picks when `Pace` allows and writes when `Window` allows, as in
`pipeline/sending/picking/proposing.py` and `line.py`, and a receiver that counts what arrives in each second."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.limits.rate import (
    ARRIVAL_SPREAD,
    LONGEST_AHEAD,
    LONGEST_QUEUE,
    SHORTEST_AHEAD,
    SLOW,
    SLOW_AHEAD,
    WINDOW,
    Pace,
    Queue,
    ReadBack,
    Window,
    most_under_way,
    most_unknown,
    slice_segments,
)

MESSAGES = 500
MOST = 8 * MESSAGES
"""Messages picked or under way at once."""
READ_BACK = 0.003
"""Seconds from writing an INTENT to reading it back."""


@dataclass
class Timing:
    """How long things take, in seconds."""

    arrival: Callable[[], float] = lambda: 0.002
    """From the write to the arrival."""
    answer: Callable[[], float] = lambda: 0.001
    """From the arrival to the answer."""
    read_back: Callable[[], float] = lambda: READ_BACK
    """From writing an INTENT to reading it back."""
    stall: Callable[[], float] = lambda: 0.0
    """How long the process stands still before it does the next thing."""
    says_when: bool = False
    """Whether the answer says how long ago the slice arrived."""
    tick: float = 0.001
    """Granularity of timers."""


@dataclass
class Run:
    """One owner on a virtual clock, with work waiting all the time."""

    limit: float
    sizes: Callable[[], int]
    timing: Timing
    most: int = MOST
    now: float = 1000.0
    arrivals: list[tuple[float, int, int]] = field(default_factory=list)
    """(time, segments, messages)."""

    def __post_init__(self) -> None:
        self.pace, self.window = Pace(self.limit), Window(self.limit)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._gate: deque[tuple[int, int, float]] = deque()
        self._busy = 0
        """Messages picked or under way."""
        self._ahead = 0
        """Segments picked that the window has not let through yet."""
        self._read_back = ReadBack(self.limit)
        self.waited: list[float] = []
        """Seconds that each slice waited for the window after its INTENT was read back."""
        self._pump_set, self._pump_at = False, 0.0
        self._next = self.sizes()

    def go(self, seconds: float) -> None:
        self._at(self.now, self._pump)
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            due, _, do = heapq.heappop(self._events)
            self.now = max(self.now, due) + self.timing.stall()
            do()

    def _at(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), do))

    def _timer(self, pause: float, do: Callable[[], None]) -> None:
        self._at(self.now + pause + self.timing.tick, do)

    def _pump(self) -> None:
        self._pump_set = self._pump_set and self._pump_at > self.now
        while self._busy < self.most:
            room = self.window.room_in(self.now, self._ahead, min(slice_segments(self.limit), MESSAGES))
            pause = max(self.pace.wait(self.now), room - self._read_back.ahead)
            if pause > 0:
                if not self._pump_set:
                    self._pump_set, self._pump_at = True, self.now + pause + self.timing.tick
                    self._timer(pause, self._pump)
                return
            segments, messages = self._slice(self.window.room(self.now + self._read_back.ahead, self._ahead))
            self.pace.spend(self.now, segments)
            self._busy += messages
            self._ahead += segments
            item = (segments, messages, self.now)
            self._at(self.now + self.timing.read_back(), lambda item=item: self._queue(item))  # type: ignore[misc]

    def _slice(self, room: float) -> tuple[int, int]:
        segments = messages = 0
        most = slice_segments(self.limit, room)
        while messages < MESSAGES and (not messages or segments + self._next <= most):
            segments, messages, self._next = segments + self._next, messages + 1, self.sizes()
        return segments, messages

    def _queue(self, queued: tuple[int, int, float]) -> None:
        self._read_back.observe(self.now - queued[2])
        self._gate.append((*queued[:2], self.now))
        if len(self._gate) == 1:
            self._write()

    def _write(self) -> None:
        while self._gate:
            segments, messages, since = self._gate[0]
            pause = self.window.wait(self.now, segments)
            if pause:
                self._timer(pause, self._write)
                return
            self._gate.popleft()
            self.waited.append(self.now - since)
            self._ahead -= segments
            self._at(self.now, self._pump)
            charge = self.window.spend(self.now, segments)
            self.now += self.timing.stall()
            sent = self.now
            arrives = sent + self.timing.arrival()
            took = self.timing.answer()
            self.arrivals.append((arrives, segments, messages))

            def answered(charge=charge, sent=sent, messages=messages, took=took):  # type: ignore[no-untyped-def]
                self.window.settle(charge, sent, self.now - (took if self.timing.says_when else 0.0))
                self._busy -= messages
                self._pump()

            self._at(arrives + took, answered)

    def worst(self) -> int:
        """Most segments in any one second at the receiver, single messages larger than the limit left out."""
        worst, used = 0, 0
        inside: deque[tuple[float, int]] = deque()
        for when, segments, messages in sorted(self.arrivals):
            while inside and inside[0][0] <= when - WINDOW:
                used -= inside.popleft()[1]
            if messages == 1 and segments > self.limit:
                assert not used, "a message larger than the limit came close behind others"
                continue
            inside.append((when, segments))
            used += segments
            worst = max(worst, used)
        return worst

    def used(self, first: float, last: float) -> float:
        """Segments per second that arrived between two times."""
        return sum(segments for when, segments, _ in self.arrivals if first <= when < last) / (last - first)


@settings(max_examples=200, deadline=None)
@given(
    limit=st.sampled_from([1, 2.5, 3, 7, 25, 99, 100, 1009, 5000, 60_000]),
    largest=st.sampled_from([1, 1, 2, 3, 10]),
    slow=st.sampled_from([0.0, 0.01, 0.3, 1.5]),
    stalls=st.sampled_from([0.0, 0.0, 0.01, 0.1]),
    says_when=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_the_receiver_never_sees_more_than_the_limit(
    limit: float, largest: int, slow: float, stalls: float, says_when: bool, seed: int
) -> None:
    r = random.Random(seed)
    timing = Timing(
        arrival=lambda: r.choice([0.0, ARRIVAL_SPREAD, r.uniform(0, ARRIVAL_SPREAD)]),
        answer=lambda: r.choice([0.0, r.uniform(0, slow)]),
        stall=lambda: min(2.0, r.expovariate(1)) if r.random() < stalls else 0.0,
        says_when=says_when,
    )
    run = Run(limit, lambda: r.randint(1, largest), timing)
    run.window.start_full(run.now)
    began = run.now
    run.go(8)
    assert run.worst() <= limit
    assert run.arrivals
    assert run.arrivals[0][0] >= began + WINDOW, "a new owner must not add to what the one before it sent"


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(0, 2**32))
def test_a_message_larger_than_the_limit_goes_alone_and_is_paid_for(limit: int, seed: int) -> None:
    r = random.Random(seed)
    run = Run(limit, lambda: r.choice([1, limit + 3, 2 * limit]), Timing())
    run.go(60)
    assert run.worst() <= limit
    assert run.used(run.now - 50, run.now) <= limit * 1.1
    assert any(segments > limit for _, segments, _ in run.arrivals)


@pytest.mark.parametrize("limit", [1, 3, 7, 25, 99, 100, 101, 333, 1009, 5000, 60_000])
def test_the_limit_is_used(limit: int) -> None:
    run = Run(limit, lambda: 1, Timing())
    run.go(101)
    # By then nothing is left of the burst that `Pace` allows at the beginning.
    share = run.used(1030, 1100) / limit
    print(f"{limit} segments/s: {share:.2%} used, slices of {slice_segments(limit)}")
    assert run.worst() <= limit
    assert share >= 0.98


@pytest.mark.parametrize("limit", [333, 1000, 5000, 60_000])
def test_the_limit_is_used_by_messages_of_several_segments(limit: int) -> None:
    r = random.Random(1)
    run = Run(limit, lambda: r.randint(1, 3), Timing())
    run.go(61)
    share = run.used(1030, 1060) / limit
    print(f"{limit} segments/s in messages of 1 to 3: {share:.2%} used")
    assert run.worst() <= limit
    assert share >= 0.98


@pytest.mark.parametrize("latency", [0.05, 0.3, 0.8])
def test_slow_answers_cost_no_more_than_the_spread_of_arrivals(latency: float) -> None:
    """A slice may arrive until its answer comes: never above the limit has its price with slow aggregators."""
    run = Run(
        100, lambda: 1, Timing(arrival=lambda: 0.004, answer=lambda: latency), most=most_under_way(100, MESSAGES, 16)
    )
    run.go(61)
    assert run.worst() <= 100
    assert run.used(1030, 1060) >= 97 / (1 + min(latency, ARRIVAL_SPREAD))


@pytest.mark.parametrize("latency", [0.05, 0.3, 0.8])
def test_slow_answers_that_say_when_the_slice_arrived_cost_nothing(latency: float) -> None:
    timing = Timing(arrival=lambda: 0.004, answer=lambda: latency, says_when=True)
    run = Run(100, lambda: 1, timing, most=most_under_way(100, MESSAGES, 16))
    run.go(61)
    assert run.worst() <= 100
    assert run.used(1030, 1060) >= 98


def test_a_slice_without_an_answer_holds_its_place_and_no_other() -> None:
    window = Window(10)
    lost = window.spend(0.0, 4)
    window.settle(window.spend(0.0, 6), 0.0, 0.003)
    assert window.wait(0.5, 6) == pytest.approx(0.505)
    assert window.wait(2.0, 6) == 0
    assert window.wait(2.0, 7) > 0
    window.settle(lost, 1.5, 9.0)
    assert window.wait(2.0, 7) == pytest.approx(1.5 + ARRIVAL_SPREAD + 1.002 - 2.0)
    assert window.wait(2.8, 7) == 0


def test_a_slice_that_was_not_written_gives_its_place_back() -> None:
    window = Window(10)
    charge = window.spend(0.0, 10)
    assert window.wait(0.1, 1) > 0
    window.cancel(charge)
    window.settle(charge, 0.1, 0.1)
    assert window.wait(0.1, 10) == 0


def test_pace_spreads_and_lets_only_a_tenth_of_a_second_catch_up() -> None:
    pace = Pace(100)
    pace.spend(50.0, 10)
    assert pace.wait(50.0) == 0
    pace.spend(50.0, 10)
    assert pace.wait(50.0) == pytest.approx(0.1)
    pace.spend(60.0, 10)
    pace.spend(60.0, 10)
    assert pace.wait(60.0) == pytest.approx(0.1)


@pytest.mark.parametrize("rate", [0.2, 1, 9, 10, 99, 101, 999, 1000, 1009, 60_000, 999_999])
def test_slices_are_at_most_a_tenth_of_a_second_and_fill_the_window(rate: float) -> None:
    segments = slice_segments(rate)
    assert segments == 1 or segments <= rate / 10
    assert rate < 1 or (int(rate) // segments) * segments >= 0.99 * int(rate)


@pytest.mark.parametrize("limit", [1, 3, 25, 100, 1009, 5000])
@pytest.mark.parametrize("slow", [0.002, 0.2])
def test_an_intent_is_written_no_earlier_than_reading_it_back_needs(limit: int, slow: float) -> None:
    """What has an INTENT and waits for the limit would be unknown after a crash, and was never handed over."""
    r = random.Random(limit)
    timing = Timing(answer=lambda: slow, read_back=lambda: 0.002 + min(r.expovariate(1 / 0.001), 0.02))
    run = Run(limit, lambda: 1, timing, most=most_under_way(limit, MESSAGES, 16))
    run.go(101)
    waited = sorted(run.waited[len(run.waited) // 4 :])
    print(f"{limit} segments/s, answers after {slow} s: {1000 * sum(waited) / len(waited):.1f} ms before the limit")
    early = SLOW_AHEAD if limit < SLOW else 0.0
    assert sum(waited) / len(waited) <= early + 0.006
    assert waited[len(waited) * 9 // 10] <= early + 0.012
    if slow < 0.1:
        assert run.used(1030, 1100) / limit >= 0.98


def test_room_behind_others_is_only_counted_where_it_is_certain() -> None:
    window = Window(10)
    assert window.room_in(0.0, 0, 10) == 0
    assert window.room_in(0.0, 9, 2) == WINDOW, "those ahead have to be over first"
    window.settle(window.spend(0.0, 6), 0.0, 0.01)
    assert window.room_in(0.5, 2, 2) == 0
    assert window.room_in(0.5, 2, 3) == pytest.approx(0.512)
    unanswered = window.spend(0.6, 4)
    assert window.room_in(0.7, 0, 7) == WINDOW, "what has no answer holds its place"
    assert window.room_in(1.1, 0, 6) == 0
    window.settle(unanswered, 0.6, 0.61)
    assert window.room_in(1.1, 0, 7) == pytest.approx(0.61 + 1.002 - 1.1)
    assert Window(2).room_in(0.0, 0, 5) == 0, "a message larger than the limit goes alone"


def test_there_is_room_for_what_is_over_by_then_and_not_for_those_ahead() -> None:
    window = Window(10)
    assert window.room(0.0, 0) == 10
    window.settle(window.spend(0.0, 6), 0.0, 0.01)
    window.spend(0.5, 1)
    assert (window.room(0.9, 0), window.room(0.9, 2)) == (3, 1)
    assert (window.room(1.1, 0), window.room(1.1, 20)) == (9, 0), "what has no answer holds its place"


def test_a_lane_that_has_fallen_behind_catches_up_in_larger_slices() -> None:
    assert [slice_segments(300, room) for room in (0, 3, 7.9, 300)] == [3, 3, 7, 15]
    assert [slice_segments(5000, room) for room in (0, 5000)] == [250, 250]
    assert slice_segments(20, 20) == 1


@pytest.mark.parametrize(("rate", "batch", "most"), [(375, 500, 375), (3, 500, 3), (1, 1, 1), (20_000, 500, 8000)])
def test_no_more_are_unknown_than_the_limit_lets_out_at_a_time(rate: float, batch: int, most: int) -> None:
    assert most_unknown(rate, batch, 16) == most


def test_the_time_ahead_follows_what_is_measured() -> None:
    read_back = ReadBack(SLOW)
    for _ in range(50):
        read_back.observe(0.003)
    assert 0.003 <= read_back.ahead < 0.0035
    for _ in range(50):
        read_back.observe(0.02)
    assert 0.02 <= read_back.ahead < 0.03
    read_back.observe(5.0)
    assert 0.05 < read_back.ahead <= LONGEST_AHEAD, "a stall weighs no more than its bound"
    for _ in range(50):
        read_back.observe(0.0001)
    assert read_back.ahead == SHORTEST_AHEAD
    assert ReadBack(SLOW - 1).ahead == SLOW_AHEAD


@pytest.mark.parametrize(
    ("rate", "batch", "count"),
    [(1, 500, 16), (3, 500, 16), (100, 500, 125), (1000, 500, 1250), (20_000, 500, 8000), (100, 1, 16)],
)
def test_as_many_are_under_way_as_use_the_limit_and_never_more_than_fit(rate: float, batch: int, count: int) -> None:
    assert most_under_way(rate, batch, 16) == count


def _line(seconds_each: float, slices: int = 60, pause: float = 0.0) -> Queue:
    queue, now = Queue(), 100.0
    for _ in range(slices):
        now += seconds_each + pause
        queue.left(now, pause, more=True)
    return queue


def test_only_as_many_slices_wait_in_line_as_can_go_before_they_are_stale() -> None:
    for seconds_each in (0.005, 0.02, 0.08, 0.3):
        most = _line(seconds_each).most
        assert most == 2 or 0.8 * LONGEST_QUEUE <= most * seconds_each <= 1.2 * LONGEST_QUEUE
    assert _line(5.0).most == 2, "however slow: one goes, one waits"
    assert Queue().most == 25, "nothing is known yet"


def test_the_time_that_the_limit_takes_does_not_shorten_the_line() -> None:
    assert _line(0.001, pause=0.9).most == _line(0.001).most


def test_a_pause_without_anybody_in_line_says_nothing() -> None:
    queue = Queue()
    for start in (100.0, 200.0, 300.0):
        for turn in range(20):
            queue.left(start + turn * 0.005, 0.0, more=turn < 19)
    assert 80 <= queue.most <= 125


def test_after_a_stall_the_line_grows_again() -> None:
    queue, now = _line(0.005), 500.0
    queue.left(now, 0.0, more=True)
    assert queue.most < 20
    for _ in range(60):
        now += 0.005
        queue.left(now, 0.0, more=True)
    assert queue.most >= 50
