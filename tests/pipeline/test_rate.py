"""Limits on a virtual clock: an owner that picks when `Pace` allows and writes when `Window` allows, as in
`agents/lane_propose.py` and `lane_submit.py`, and a receiver that counts what arrives in each second."""

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

from pipeline.rate import ARRIVAL_SPREAD, WINDOW, Pace, Window, slice_segments, slices_ahead, slots

MESSAGES = 500
SLOTS = 8
"""Slices picked or under way at once."""
READ_BACK = 0.003
"""Seconds from writing an INTENT to reading it back."""


@dataclass
class Timing:
    """How long things take, in seconds."""

    arrival: Callable[[], float] = lambda: 0.002
    """From the write to the arrival."""
    answer: Callable[[], float] = lambda: 0.001
    """From the arrival to the answer."""
    stall: Callable[[], float] = lambda: 0.0
    """How long the process stands still before it does the next thing."""
    tick: float = 0.001
    """Granularity of timers."""


@dataclass
class Run:
    """One owner on a virtual clock, with work waiting all the time."""

    limit: float
    sizes: Callable[[], int]
    timing: Timing
    slots: int = SLOTS
    now: float = 1000.0
    arrivals: list[tuple[float, int, int]] = field(default_factory=list)
    """(time, segments, messages)."""

    def __post_init__(self) -> None:
        self.pace, self.window = Pace(self.limit), Window(self.limit)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._gate: deque[tuple[int, int]] = deque()
        self._busy = 0
        self._ahead = 0
        """Slices picked that the window has not let through yet."""
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
        while self._busy < self.slots and self._ahead < slices_ahead(self.limit, MESSAGES):
            pause = self.pace.wait(self.now)
            if pause:
                if not self._pump_set:
                    self._pump_set, self._pump_at = True, self.now + pause + self.timing.tick
                    self._timer(pause, self._pump)
                return
            segments, messages = self._slice()
            self.pace.spend(self.now, segments)
            self._busy += 1
            self._ahead += 1
            self._at(self.now + READ_BACK, lambda one=(segments, messages): self._queue(one))  # type: ignore[misc]

    def _slice(self) -> tuple[int, int]:
        segments = messages = 0
        while messages < MESSAGES and (not messages or segments + self._next <= slice_segments(self.limit)):
            segments, messages, self._next = segments + self._next, messages + 1, self.sizes()
        return segments, messages

    def _queue(self, one: tuple[int, int]) -> None:
        self._gate.append(one)
        if len(self._gate) == 1:
            self._write()

    def _write(self) -> None:
        while self._gate:
            segments, messages = self._gate[0]
            pause = self.window.wait(self.now, segments)
            if pause:
                self._timer(pause, self._write)
                return
            self._gate.popleft()
            self._ahead -= 1
            self._at(self.now, self._pump)
            charge = self.window.spend(self.now, segments)
            self.now += self.timing.stall()
            sent = self.now
            arrives = sent + self.timing.arrival()
            self.arrivals.append((arrives, segments, messages))

            def answered(charge=charge, sent=sent):  # type: ignore[no-untyped-def]
                self.window.settle(charge, sent, self.now)
                self._busy -= 1
                self._pump()

            self._at(arrives + self.timing.answer(), answered)

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
    seed=st.integers(0, 2**32),
)
def test_the_receiver_never_sees_more_than_the_limit(
    limit: float, largest: int, slow: float, stalls: float, seed: int
) -> None:
    r = random.Random(seed)
    timing = Timing(
        arrival=lambda: r.choice([0.0, ARRIVAL_SPREAD, r.uniform(0, ARRIVAL_SPREAD)]),
        answer=lambda: r.choice([0.0, r.uniform(0, slow)]),
        stall=lambda: min(2.0, r.expovariate(1)) if r.random() < stalls else 0.0,
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
    run = Run(100, lambda: 1, Timing(arrival=lambda: 0.004, answer=lambda: latency), slots=slots(100, MESSAGES, 16))
    run.go(61)
    assert run.worst() <= 100
    assert run.used(1030, 1060) >= 97 / (1 + min(latency, ARRIVAL_SPREAD))


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
    pace.refund(10)
    assert pace.wait(50.0) == 0
    pace.spend(60.0, 10)
    pace.spend(60.0, 10)
    assert pace.wait(60.0) == pytest.approx(0.1)


@pytest.mark.parametrize("rate", [0.2, 1, 9, 10, 99, 101, 999, 1000, 1009, 60_000, 999_999])
def test_slices_are_at_most_a_tenth_of_a_second_and_fill_the_window(rate: float) -> None:
    segments = slice_segments(rate)
    assert segments == 1 or segments <= rate / 10
    assert rate < 1 or (int(rate) // segments) * segments >= 0.99 * int(rate)


@pytest.mark.parametrize(("rate", "batch", "slices"), [(1, 500, 1), (3, 500, 1), (100, 500, 25), (1000, 500, 5)])
def test_a_quarter_of_a_second_may_stand_picked_before_the_limit(rate: float, batch: int, slices: int) -> None:
    assert slices_ahead(rate, batch) == slices
    assert slices_ahead(20_000, 100) == 50


@pytest.mark.parametrize(
    ("rate", "batch", "count"), [(1, 500, 16), (3, 500, 16), (100, 500, 125), (1000, 500, 25), (20_000, 500, 16)]
)
def test_small_slices_have_more_slots_and_never_more_messages(rate: float, batch: int, count: int) -> None:
    assert slots(rate, batch, 16) == count
    assert count * min(batch, slice_segments(rate)) <= 16 * batch
