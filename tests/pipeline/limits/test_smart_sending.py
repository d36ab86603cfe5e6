"""Reservations against a reference that compares each with each; no order and no replay breaks the window."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.limits.smart_sending import (
    HOUR,
    KEPT,
    WIDEST,
    Spacing,
    check_and_reserve,
    identity_of,
    message_of,
    move,
    release,
)
from schemas.ids import bucket

NOW = 1_800_000_000_000
CAMPAIGN = identity_of("0000000a", 0)
OTHER = identity_of("zzzzzzzz", 255)


@dataclass(frozen=True)
class Send:
    """A message to some numbers."""

    identity: int
    planned: int
    window: int
    numbers: tuple[int, ...]


@dataclass
class Reference:
    """number -> {identity: (planned, window)}."""

    reserved: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)

    def ask(self, send: Send, number: int) -> bool:
        mine = self.reserved.setdefault(number, {})
        if send.identity in mine:
            return True
        for planned, window in mine.values():
            later = max((send.planned, send.window), (planned, window))
            if abs(send.planned - planned) < later[1]:
                return False
        mine[send.identity] = (send.planned, send.window)
        return True


TIMES = st.integers(0, 30).map(lambda hours: NOW + hours * HOUR)
WINDOWS = st.sampled_from([0, 1, 4, 8, 168]).map(lambda hours: hours * HOUR)
NUMBERS = st.lists(st.integers(1, 12), min_size=1, max_size=8, unique=True).map(tuple)
MESSAGES = st.dictionaries(st.integers(1, 6), st.tuples(TIMES, WINDOWS), min_size=1)


@st.composite
def histories(draw: st.DrawFn) -> list[Send]:
    """Asks of up to six messages in any order, with repetitions."""
    messages = draw(MESSAGES)
    asks = draw(st.lists(st.tuples(st.sampled_from(sorted(messages)), NUMBERS), min_size=1, max_size=25))
    return [Send(identity, *messages[identity], numbers) for identity, numbers in asks]


def ask(table: dict[int, bytes], send: Send, now: int = NOW) -> list[bool]:
    check = check_and_reserve(table, list(send.numbers), send.planned, Spacing(send.identity, send.window), now)
    answers: list[bool] = check.ok.tolist()
    return answers


@settings(max_examples=300, deadline=None)
@given(histories())
def test_as_the_reference_and_never_closer_than_the_later_ones_window(history: list[Send]) -> None:
    table: dict[int, bytes] = {}
    reference = Reference()
    for send in history:
        assert ask(table, send) == [reference.ask(send, number) for number in send.numbers]
    for reservations in reference.reserved.values():
        sends = sorted(reservations.values())
        for i, (planned, _) in enumerate(sends):
            for later, window in sends[i + 1 :]:
                assert later - planned >= window


@settings(max_examples=200)
@given(histories())
def test_a_replay_answers_the_same_and_assigns_nothing(history: list[Send]) -> None:
    table: dict[int, bytes] = {}
    for send in history:
        first = ask(table, send)
        after = dict(table)
        refusing = _NeverAssigned(table)
        assert (
            check_and_reserve(
                refusing, list(send.numbers), send.planned, Spacing(send.identity, send.window), NOW + HOUR
            ).ok.tolist()
            == first
        )
        assert table == after


class _NeverAssigned(dict[int, bytes]):
    def __setitem__(self, key: int, value: bytes) -> None:
        raise AssertionError(f"bucket {key} was assigned")


@given(histories())
def test_the_table_does_not_depend_on_the_order_where_nothing_is_refused(history: list[Send]) -> None:
    apart = [Send(send.identity, NOW + send.identity * WIDEST, send.window, send.numbers) for send in history]
    forwards: dict[int, bytes] = {}
    backwards: dict[int, bytes] = {}
    for send in apart:
        ask(forwards, send)
    for send in reversed(apart):
        ask(backwards, Send(send.identity, send.planned, send.window, send.numbers[::-1]))
    assert forwards == backwards


def test_the_blocker_is_named() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, [7, 9], NOW, Spacing(OTHER, 8 * HOUR), NOW)
    check = check_and_reserve(table, [8, 9], NOW + HOUR, Spacing(CAMPAIGN, 8 * HOUR), NOW)
    assert check.ok.tolist() == [True, False]
    assert message_of(int(check.blocker[1])) == ("zzzzzzzz", 255)
    assert check.blocked_at.tolist() == [0, NOW]


def test_two_sided_the_window_of_the_later_one_counts() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, [7], NOW + 10 * HOUR, Spacing(OTHER, 4 * HOUR), NOW)
    # Seven hours before it, with a window of a week: it is the earlier one, the other's four hours count.
    assert ask(dict(table), Send(CAMPAIGN, NOW + 3 * HOUR, WIDEST, (7,))) == [True]
    assert ask(dict(table), Send(CAMPAIGN, NOW + 7 * HOUR, 0, (7,))) == [False]
    assert ask(dict(table), Send(CAMPAIGN, NOW + 12 * HOUR, HOUR, (7,))) == [True]
    assert ask(dict(table), Send(CAMPAIGN, NOW + 12 * HOUR, 3 * HOUR, (7,))) == [False]


def test_each_bucket_is_assigned_once_and_sorted() -> None:
    assigned: list[int] = []

    class Counting(dict[int, bytes]):
        def __setitem__(self, key: int, value: bytes) -> None:
            assigned.append(key)
            super().__setitem__(key, value)

    table = Counting()
    numbers = np.random.default_rng(1).integers(10**10, 10**11, 500).tolist()
    check_and_reserve(table, numbers, NOW, Spacing(CAMPAIGN, HOUR), NOW)
    assert sorted(assigned) == sorted({bucket(number) for number in numbers})
    for key, packed in table.items():
        rows = np.frombuffer(packed, "<u8").reshape(-1, 3)
        assert (rows[:, 0] >> np.uint64(52) == key).all()
        assert rows.tolist() == sorted(rows.tolist())


def test_one_time_per_number() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, [7, 8], np.array([NOW, NOW + 5 * HOUR]), Spacing(OTHER, HOUR), NOW)
    check = check_and_reserve(table, [8, 7], NOW + 5 * HOUR, Spacing(CAMPAIGN, HOUR), NOW)
    assert check.ok.tolist() == [False, True]


def test_old_reservations_go_when_the_bucket_is_written() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, [7], NOW, Spacing(OTHER, WIDEST), NOW)
    check_and_reserve(table, [7], NOW + KEPT + 1, Spacing(CAMPAIGN, HOUR), NOW + KEPT)
    assert len(table[bucket(7)]) == 2 * 24
    check_and_reserve(table, [7], NOW + KEPT + HOUR + 1, Spacing(CAMPAIGN + 1, HOUR), NOW + KEPT + 1)
    assert np.frombuffer(table[bucket(7)], "<u8").reshape(-1, 3)[:, 2].tolist() == [CAMPAIGN, CAMPAIGN + 1]


def test_release_takes_back_only_this_message() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, [7, 8, 9], NOW, Spacing(OTHER, HOUR), NOW)
    check_and_reserve(table, [7, 8], NOW + HOUR, Spacing(CAMPAIGN, HOUR), NOW)
    before = dict(table)
    release(table, [8, 7, 5], CAMPAIGN)
    released = dict(table)
    assert released != before
    assert check_and_reserve(table, [7, 8, 9], NOW, Spacing(CAMPAIGN + 1, HOUR), NOW).blocker.tolist() == [OTHER] * 3
    release(table, [8], CAMPAIGN)
    assert table == released


def test_released_reservations_hold_no_recipient_back() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, [7, 8], NOW, Spacing(CAMPAIGN, HOUR), NOW)
    release(table, [7], CAMPAIGN)
    check = check_and_reserve(table, [7, 8], NOW + 1, Spacing(OTHER, HOUR), NOW)
    assert check.ok.tolist() == [True, False]
    release(table, [7], CAMPAIGN)
    assert check_and_reserve(table, [7], NOW + 1, Spacing(CAMPAIGN + 1, HOUR), NOW).blocker.tolist() == [OTHER]


def test_a_chunk_read_again_after_its_release_gets_the_same_answer_and_reserves_nothing() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, [7], NOW, Spacing(CAMPAIGN, HOUR), NOW)
    release(table, [7], CAMPAIGN)
    check_and_reserve(table, [7], NOW, Spacing(OTHER, HOUR), NOW)
    before = dict(table)
    assert check_and_reserve(table, [7], NOW, Spacing(CAMPAIGN, HOUR), NOW).ok.all()
    release(table, [7], CAMPAIGN)
    assert table == before
    rows = np.frombuffer(table[bucket(7)], "<u8").reshape(-1, 3)
    assert rows[:, 1].tolist() == sorted(rows[:, 1].tolist())


def test_a_number_twice_in_a_chunk_is_reserved_once() -> None:
    table: dict[int, bytes] = {}
    assert check_and_reserve(table, [7, 7], NOW, Spacing(CAMPAIGN, HOUR), NOW).ok.all()
    assert len(table[bucket(7)]) == 24


def test_nobody() -> None:
    table: dict[int, bytes] = {}
    assert check_and_reserve(table, [], NOW, Spacing(CAMPAIGN, HOUR), NOW).ok.tolist() == []
    assert table == {}


def test_a_move_takes_the_reservation_with_it_in_both_directions() -> None:
    table: dict[int, bytes] = {}
    numbers = [7, 8, 9]
    check_and_reserve(table, numbers, NOW, Spacing(CAMPAIGN, 8 * HOUR), NOW)
    release(table, [9], CAMPAIGN)
    move(table, [7, 9, 11], CAMPAIGN, NOW + 24 * HOUR)
    moved = dict(table)
    move(table, [7, 9, 11], CAMPAIGN, NOW + 24 * HOUR)
    assert table == moved
    near_the_old = check_and_reserve(dict(table), numbers, NOW + 2 * HOUR, Spacing(OTHER, 4 * HOUR), NOW)
    assert near_the_old.ok.tolist() == [True, False, True]
    near_the_new = check_and_reserve(dict(table), numbers, NOW + 23 * HOUR, Spacing(OTHER, 4 * HOUR), NOW)
    assert near_the_new.ok.tolist() == [False, True, True]
    assert near_the_new.blocked_at.tolist() == [NOW + 24 * HOUR, 0, 0]
    assert check_and_reserve(dict(table), numbers, NOW, Spacing(CAMPAIGN, 8 * HOUR), NOW).ok.all()
    release(table, numbers, CAMPAIGN)
    assert check_and_reserve(table, numbers, NOW + 23 * HOUR, Spacing(OTHER, 4 * HOUR), NOW).ok.all()


def test_rows_are_in_order_after_a_move() -> None:
    table: dict[int, bytes] = {}
    for nth in range(4):
        check_and_reserve(table, [7], NOW + nth * HOUR, Spacing(CAMPAIGN + nth, 0), NOW)
    move(table, [7], CAMPAIGN, NOW + 9 * HOUR)
    rows = np.frombuffer(table[bucket(7)], "<u8").reshape(-1, 3).tolist()
    assert rows == sorted(rows)
    assert [identity for _, _, identity in rows] == [CAMPAIGN + 1, CAMPAIGN + 2, CAMPAIGN + 3, CAMPAIGN]
