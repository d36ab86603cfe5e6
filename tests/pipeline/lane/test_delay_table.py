"""The delay table against a list that is searched from end to end, and what an operation costs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.lane import delay_table as delay
from pipeline.lane.delay_table import DelayTable, QueueId, Span

SENDERS = [("demo", "main"), ("demo", "other")]
KEYS: list[QueueId] = [
    (SENDERS[0], ("aaaaaaaa", 0)),
    (SENDERS[0], ("bbbbbbbb", 0)),
    (SENDERS[1], ("bbbbbbbb", 0)),
    (SENDERS[1], ("bbbbbbbb", 1)),
]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 20)),
        st.tuples(st.just("release"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("remove"), st.integers(0, 99), st.just(0)),
        st.tuples(st.just("shrink"), st.integers(0, 99), st.integers(0, 1)),
        st.tuples(st.just("split"), st.integers(0, 99), st.just(0)),
    ),
    max_size=60,
)


class Naive:
    """Spans in a list, with their keys and whether they were released."""

    def __init__(self) -> None:
        self.rows: list[tuple[QueueId, Span, bool]] = []

    def release(self, now: int) -> list[tuple[QueueId, Span]]:
        due = [(key, span) for key, span, out in self.rows if not out and span.due <= now]
        self.rows = [(key, span, out or span.due <= now) for key, span, out in self.rows]
        return sorted(due, key=lambda row: row[1].due)

    def ready(self, key: QueueId) -> set[Span]:
        return {span for k, span, out in self.rows if out and k == key}


@given(steps)
def test_it_is_the_plain_list(script: list[tuple[str, int, int]]) -> None:
    table, naive, now = DelayTable(), Naive(), 0
    for what, n, more in script:
        if what == "add":
            span = Span(0, 0, 6, now + more, 0)
            table.add(KEYS[n], span)
            naive.rows.append((KEYS[n], span, False))
        elif what == "release":
            now += n
            assert sorted(map(_row, table.release(now))) == sorted(map(_row, naive.release(now)))
        elif naive.rows:
            key, span, out = naive.rows[n % len(naive.rows)]
            if what == "remove":
                table.remove(key, span)
                naive.rows.remove((key, span, out))
            elif what == "shrink" and span.count > 1:
                table.shrink(key, span, *((span.start + 1, span.stop) if more else (span.start, span.stop - 1)))
            elif what == "split" and span.count > 1:
                before = (span.start, span.stop)
                rest = table.split(key, span, span.start + 1)
                assert (span.start, rest.start, rest.stop) == (before[0], before[0] + 1, before[1])
                assert (rest.due, span.stop) == (span.due, rest.start)
                naive.rows.append((key, rest, out))
        _same(table, naive)


def _row(row: tuple[QueueId, Span]) -> tuple[int, QueueId, int]:
    return row[1].due, row[0], id(row[1])


def _same(table: DelayTable, naive: Naive) -> None:
    waiting = [span.due for _, span, out in naive.rows if not out]
    assert table.next_due() == min(waiting, default=None)
    assert set(table.ready_queues()) == {key for key in KEYS if naive.ready(key)}
    for sender in SENDERS:
        queues = [key for key in KEYS if key[0] == sender and naive.ready(key)]
        assert (sender in table.ready_senders()) == bool(queues)
        assert set(table.ready_keys(sender)) == {key for _, key in queues}
        assert table.ready_count_of(sender) == sum(span.count for key in queues for span in naive.ready(key))
    for key in KEYS:
        assert set(table.ready(key)) == naive.ready(key)
    assert table.ready_count == sum(span.count for _, span, out in naive.rows if out)
    oldest = table.oldest_due()
    assert (oldest is None) == (table.ready_count == 0)


@given(st.lists(st.integers(0, 50), min_size=1))
def test_spans_are_released_by_due_time_and_in_order_of_arrival(dues: list[int]) -> None:
    table = DelayTable()
    spans = [Span(n, 0, 1, due, 0) for n, due in enumerate(dues)]
    for span in spans:
        table.add(KEYS[0], span)
    expected = sorted(spans, key=lambda span: span.due)
    assert [span for _, span in table.release(50)] == expected
    assert list(table.ready(KEYS[0])) == expected
    assert table.oldest_due() == expected[0].due


def test_what_is_left_of_a_span_keeps_the_head_of_the_queue() -> None:
    table = DelayTable()
    first, second = Span(1, 0, 10, 5, 0), Span(2, 0, 10, 6, 0)
    table.add(KEYS[0], first)
    table.add(KEYS[0], second)
    table.release(10)
    rest = table.split(KEYS[0], first, 6)
    table.shrink(KEYS[0], first, 3, 6)
    assert list(table.ready(KEYS[0])) == [first, rest, second]
    assert table.ready_count == 17


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 6), st.booleans()), min_size=1),
    st.integers(1, 10),
    st.data(),
)
def test_an_interrupted_release_continues_where_it_stopped(
    rows: list[tuple[int, int, bool]], most: int, data: st.DataObject
) -> None:
    table = DelayTable()
    late = [Span(n, 0, count, due, 0) for n, (due, count, again) in enumerate(rows) if again]
    spans = [Span(n, 0, count, due, 0) for n, (due, count, again) in enumerate(rows) if not again]
    for span in spans:
        table.add(KEYS[0], span)
    first = [span for _, span in table.release(8, most)]
    assert sum(span.count for span in first[:-1]) < most
    gone = [span for span in spans if span not in first][:1] if data.draw(st.booleans()) else []
    for span in gone:
        table.remove(KEYS[0], span)
    for span in late:
        table.add(KEYS[0], span)
    rest: list[Span] = []
    while more := table.release(8, most):
        assert sum(span.count for _, span in more[:-1]) < most
        rest += [span for _, span in more]
    assert {*first, *rest} == {*spans, *late} - set(gone)
    assert len(first) + len(rest) == len(spans) + len(late) - len(gone)
    assert [span.due for span in rest] == sorted(span.due for span in rest)
    assert (table.next_due(), list(table.ready(KEYS[0]))) == (None, [*first, *rest])


class _Due(int):
    """A due time that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        _Due.compared += 1
        return int(self) < int(other)

    __hash__ = int.__hash__


def _operations(do: Callable[[], Any]) -> int:
    """Lines of the delay table's code that run, and comparisons of due times."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != delay.__file__:
            return None
        lines += event == "line"
        return trace

    _Due.compared = 0
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        do()
    finally:
        sys.settrace(before)
    return lines + _Due.compared


@pytest.mark.parametrize("what", ["release", "add", "remove", "next_due", "head", "oldest_due"])
def test_the_cost_does_not_depend_on_how_many_wait(what: str) -> None:
    costs = []
    for waiting in (10, 10_000):
        table = DelayTable()
        spans = [Span(n, 0, 1, _Due(1000 + n % 5), 0) for n in range(waiting)]
        ready = [Span(n, 0, 1, _Due(1), 0) for n in range(waiting)]
        for span in ready:
            table.add(KEYS[0], span)
        table.release(1)
        for span in [*spans, *(Span(n, 0, 1, _Due(500), 0) for n in range(7))]:
            table.add(KEYS[0], span)
        for span in ready[: waiting // 2]:
            table.remove(KEYS[0], span)
        do: dict[str, Callable[[], Any]] = {
            "release": lambda table=table: table.release(600),
            "add": lambda table=table: table.add(KEYS[0], Span(1, 0, 1, _Due(1001), 0)),
            "remove": lambda table=table, spans=spans: table.remove(KEYS[0], spans[5]),
            "next_due": lambda table=table: table.next_due(),
            "head": lambda table=table: next(table.ready(KEYS[0])),
            "oldest_due": lambda table=table: table.oldest_due(),
        }
        costs.append(_operations(do[what]))
    assert costs[0] == costs[1] > 0
