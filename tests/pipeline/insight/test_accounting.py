"""The conservation accounting against its definition, and every defect that must show in the residual."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.insight.accounting import figures
from schemas.succession import BEFORE_LANE, EVENTS, FINAL, SHOWN, SUBMITTED, WAITING, may_follow, rank, rank_sql
from tests.pipeline.insight.accounting_model import Record, billed, measured, states

N = 12
KINDS = ((1, 7900), (2, 7900), (1, 40_000))
LAWFUL_WAY = (
    ("withdrawn", 0),
    ("passed_over", 0),
    ("delayed", 0),
    ("queued", 0),
    ("in_flight", 0),
    ("unknown", 0),
    ("delayed", 1),
    ("queued", 1),
    ("in_flight", 1),
    ("unknown", 1),
    ("accepted", 0),
    ("rejected", 0),
    ("undelivered", 0),
    ("delivered", 0),
)


def record(ordinal: int, state: str, attempt: int = 0, reason: str = "") -> Record:
    segments, price = KINDS[ordinal % len(KINDS)]
    return Record(ordinal, state, reason, attempt, segments, price)


def account(*records: Record, present: int = N):
    return figures(measured(records, present, N))


anything = st.builds(
    record,
    st.integers(0, N + 1),
    st.sampled_from((*WAITING, *FINAL, *SUBMITTED, *EVENTS, *BEFORE_LANE)),
    st.integers(0, 3),
    st.sampled_from(("", "a", "b")),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(anything, max_size=60), st.integers(N - 2, N))
def test_figures_are_each_set_without_its_lawful_followers(records: list[Record], present: int) -> None:
    actual = account(*records, present=present)
    expected = states(records, present, N)
    assert actual.states == expected
    assert list(actual.states) == list(SHOWN)
    balance = N - sum(expected.values())
    if balance:
        assert actual.residual == balance
    else:
        assert (actual.residual != 0) == bool(actual.missing or actual.doubled or actual.outside)
    assert (actual.accepted_ever, actual.segments, actual.spend) == billed(records)
    for state, reasons in actual.reasons.items():
        assert sum(reasons.values()) == actual.states[state]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, N - 1), st.sets(st.sampled_from(LAWFUL_WAY), min_size=1)), max_size=20))
def test_lawful_histories_leave_no_residual(histories: list[tuple[int, set[tuple[str, int]]]]) -> None:
    actual = account(*(record(ordinal, state, attempt) for ordinal, way in histories for state, attempt in way))
    assert actual.residual == 0
    assert sum(actual.states.values()) == N


@pytest.mark.parametrize("final", FINAL)
@pytest.mark.parametrize("other", [*SUBMITTED[1:], *FINAL])
def test_what_follows_a_final_state_is_a_residual(final: str, other: str) -> None:
    if final == other:
        return
    actual = account(record(3, "queued"), record(3, final), record(3, other))
    assert actual.residual == -1
    assert actual.doubled == 1


def test_an_ordinal_outside_the_audience_is_a_residual() -> None:
    assert account(record(N, "accepted")).residual == -1


def test_a_missing_audience_row_is_a_residual_whether_or_not_its_recipient_is_settled() -> None:
    assert account(present=N - 1).residual == 1
    everybody = [record(ordinal, "delivered") for ordinal in range(N)]
    assert account(*everybody, present=N - 1).residual == 1


def test_defects_that_cancel_out_are_a_residual_still() -> None:
    actual = account(record(2, "canceled"), record(2, "accepted"), present=N - 1)
    assert sum(actual.states.values()) == N
    assert actual.residual == 2


def test_contradicting_receipts_are_no_loss_and_the_best_one_counts() -> None:
    actual = account(record(1, "accepted"), record(1, "undelivered"), record(1, "delivered"), record(1, "rejected"))
    assert actual.residual == 0
    assert actual.states["delivered"] == 1


def test_a_withdrawn_recipient_is_shown_as_canceled_until_anything_else_is_recorded() -> None:
    assert account(record(1, "withdrawn")).states["canceled"] == 1
    assert account(record(1, "withdrawn"), record(1, "accepted")).states["canceled"] == 0


def test_a_skipped_recipient_is_shown_as_skipped_until_a_lane_emits_a_status() -> None:
    """A chunk that is judged again after an opt-out passes over somebody who has the message."""
    over = record(1, "passed_over", reason="opted_out")
    actual = account(over)
    assert (actual.states["skipped"], actual.reasons["skipped"], actual.residual) == (1, {"opted_out": 1}, 0)
    for state in (*WAITING, *SUBMITTED, *FINAL):
        actual = account(record(1, state), over)
        assert (actual.states[state], sum(actual.states.values()), actual.residual) == (1, N, 0)
        assert actual.doubled == 0
    assert account(record(1, "withdrawn"), over).states["skipped"] == 1


def test_a_late_result_takes_an_unknown_over() -> None:
    actual = account(record(1, "unknown"), record(1, "accepted"))
    assert (actual.states["unknown"], actual.states["accepted"], actual.residual) == (0, 1, 0)


def test_an_unknown_recipient_who_waits_again_counts_as_waiting_and_is_not_billed() -> None:
    again = record(1, "queued", 1, "not_sent_by_lost_owner")
    way = [record(1, "in_flight"), record(1, "unknown", 0, "owner_lost"), again]
    actual = account(*way)
    assert (actual.states["unknown"], actual.states["queued"], actual.residual) == (0, 1, 0)
    assert (actual.accepted_ever, actual.spend) == (0, 0)
    for state in FINAL:
        actual = account(*way, record(1, state, 1))
        assert (actual.states[state], actual.residual, actual.accepted_ever) == (1, 0, 0)
    actual = account(*way, record(1, "in_flight", 1), record(1, "unknown", 1, "owner_lost"))
    assert (actual.states["unknown"], actual.residual, actual.accepted_ever) == (1, 0, 0)
    actual = account(*way, record(1, "in_flight", 1), record(1, "unknown", 1), record(1, "delivered"))
    assert (actual.states["delivered"], actual.residual, actual.accepted_ever) == (1, 0, 1)


def test_attempts_order_the_waiting_states() -> None:
    way = [record(1, "in_flight", 0), record(1, "delayed", 1, "throttled")]
    assert account(*way).states["delayed"] == 1
    assert account(*way, record(1, "queued", 1), record(1, "in_flight", 1)).states["in_flight"] == 1


def test_clicks_of_people_and_of_bots_are_apart_and_not_part_of_the_conservation() -> None:
    clicks = [record(1, "clicked"), record(1, "clicked", reason="preview"), record(2, "clicked", reason="preview")]
    actual = account(*clicks)
    assert actual.events == {"clicked": {"": 1, "preview": 2}}
    assert actual.states["pending"] == N


def test_the_order_of_states_is_strict() -> None:
    places = [rank(state, attempt) for state, attempt in LAWFUL_WAY]
    assert places == sorted(set(places))
    assert may_follow(("in_flight", 7), ("skipped", 0))
    assert not may_follow(("skipped", 0), ("accepted", 0))
    assert not may_follow(("accepted", 0), ("canceled", 0))
    with pytest.raises(ValueError, match="tuple"):
        rank("clicked", 0)
    assert [rank(state, 0) for state in BEFORE_LANE] == [0, 1]
    assert all(f"'{state}'" in rank_sql() for state in (*WAITING, *FINAL, *SUBMITTED))
