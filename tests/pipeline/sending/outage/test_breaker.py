"""The breaker's machine, step by step and over any sequence of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ports import SubmitOutcome
from pipeline.sending.outage.breaker import (
    FIRST_HOLD,
    FIRST_PAUSE,
    JITTER,
    LAST_HOLD,
    LAST_PAUSE,
    PROBE_PATIENCE,
    UNLIMITED,
    Breaker,
    failure,
)

N = 3
NOW = 0.0


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(N)
    for _ in range(N):
        breaker.failed(now, "connect", 0.0)
    return breaker


def test_it_opens_after_n_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(N)
    for _ in range(N - 1):
        breaker.failed(0.0, "http:500", 0.0)
    breaker.succeeded()
    for n in range(N):
        assert breaker.state == "closed"
        breaker.failed(float(n), "http:503", 0.0)
    assert (breaker.state, breaker.reason, breaker.opened_at) == ("open", "http:503", N - 1)
    assert breaker.allowance(1e9, 0) == 0
    assert not breaker.admit(NOW)


def test_after_a_first_failure_slices_go_one_at_a_time() -> None:
    breaker = Breaker(N)
    assert breaker.allowance(0.0, 15) == UNLIMITED
    breaker.failed(0.0, "no_answer", 0.0)
    assert [breaker.allowance(0.0, under_way) for under_way in (2, 1, 0)] == [0, 0, UNLIMITED]
    breaker.succeeded()
    assert breaker.allowance(0.0, 15) == UNLIMITED


def test_a_health_check_that_is_answered_leads_to_one_probe_that_closes_it() -> None:
    breaker = opened()
    breaker.record_health_check(1.0, "", 0.0)
    assert breaker.state == "half-open"
    assert breaker.allowance(1.0, 1) == 0
    assert breaker.allowance(1.0, 0) == 1
    breaker.proposed(1.0)
    assert breaker.allowance(2.0, 0) == 0  # another lane of the worker
    assert breaker.admit(NOW)
    assert not breaker.admit(NOW)  # an INTENT from before
    breaker.succeeded()
    assert (breaker.state, breaker.reason, breaker.allowance(2.0, 9)) == ("closed", "", UNLIMITED)


def test_a_probe_that_fails_opens_it_again_for_longer_and_the_outage_began_when_it_did() -> None:
    breaker = opened(10.0)
    assert breaker.check_at == 10.0 + FIRST_PAUSE
    breaker.record_health_check(11.0, "", 0.0)
    breaker.proposed(11.0)
    assert breaker.admit(NOW)
    breaker.failed(12.0, "http:500", 0.0)
    assert (breaker.state, breaker.opened_at, breaker.check_at) == ("open", 10.0, 12.0 + 2 * FIRST_PAUSE)


def test_a_probe_that_was_never_submitted_makes_way_for_another() -> None:
    breaker = opened()
    breaker.record_health_check(1.0, "", 0.0)
    breaker.proposed(1.0)
    assert breaker.allowance(1.0 + PROBE_PATIENCE, 0) == 0
    assert breaker.allowance(1.1 + PROBE_PATIENCE, 0) == 1


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.99])
def test_the_back_off_doubles_up_to_a_bound_and_starts_over_after_a_success(jitter: float) -> None:
    breaker, pauses = opened(), []
    for n in range(8):
        breaker.record_health_check(float(n), "connect", jitter)
        pauses.append(breaker.check_at - n)
    plain = [min(LAST_PAUSE, FIRST_PAUSE * 2 ** (n + 1)) for n in range(8)]
    assert pauses == pytest.approx([pause * (1 + JITTER * jitter) for pause in plain])
    breaker.succeeded()
    for _ in range(N):
        breaker.failed(100.0, "connect", 0.0)
    assert breaker.check_at == 100.0 + FIRST_PAUSE


def test_late_answers_of_what_was_under_way() -> None:
    breaker = opened(0.0)
    breaker.failed(5.0, "no_answer", 0.0)
    assert (breaker.opened_at, breaker.check_at) == (0.0, FIRST_PAUSE)  # a late failure changes nothing
    breaker.succeeded()
    assert breaker.state == "closed"
    breaker.record_health_check(6.0, "connect", 0.0)  # a health check that was under way
    assert breaker.state == "closed"


def too_fast(seconds: float = 0.0, reason: str = "throttled") -> list[SubmitOutcome]:
    """Each message of a batch whose answer was for the whole account."""
    return [SubmitOutcome("retry", reason, "", seconds, True)] * 2


def test_a_429_holds_the_account_for_as_long_as_it_says_and_then_one_slice_at_a_time_goes() -> None:
    breaker = Breaker(N)
    breaker.judge(10.0, too_fast(30.0), 0.0)
    assert (breaker.state, breaker.failures) == ("closed", 0)
    assert [breaker.allowance(at, 0) for at in (10.0, 39.9)] == [0, 0]
    assert not breaker.admit(39.9)  # slices whose INTENT is older go back without a request
    for at in (11.0, 12.0):
        breaker.judge(at, too_fast(5.0), 0.0)  # what was under way
    assert (breaker.held(12.0), breaker.throttles) == (28.0, 1)
    assert breaker.admit(40.0)
    assert [breaker.allowance(40.0, under_way) for under_way in (2, 1, 0)] == [0, 0, UNLIMITED]
    breaker.judge(41.0, [SubmitOutcome("accepted"), SubmitOutcome("retry", "throttled", "", 9.0)], 0.0)
    assert (breaker.allowance(41.0, 9), breaker.throttles) == (UNLIMITED, 0)


def test_a_429_that_does_not_say_how_long_holds_longer_each_time() -> None:
    breaker, now, holds = Breaker(N), 0.0, []
    for _ in range(8):
        breaker.judge(now, too_fast(), 0.0)
        holds.append(breaker.held(now))
        now += holds[-1]
    assert holds == [min(LAST_HOLD, FIRST_HOLD * 2**n) for n in range(8)]
    breaker.judge(now, [SubmitOutcome("accepted")], 0.0)
    breaker.judge(now, too_fast(), 0.0)
    assert breaker.held(now) == FIRST_HOLD


def test_an_aggregator_that_is_away_and_says_for_how_long_is_left_alone_until_then() -> None:
    breaker = Breaker(N)
    for _ in range(N):
        breaker.judge(0.0, too_fast(30.0, "http:503"), 0.0)
    assert breaker.state == "open"
    breaker.record_health_check(2.0, "", 0.0)
    assert (breaker.state, breaker.allowance(29.0, 0), breaker.admit(29.0)) == ("half-open", 0, False)
    assert breaker.allowance(30.0, 0) == 1


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_throttled_account_costs_few_requests(lanes: int) -> None:
    """Every lane has sixteen slices under way when the first 429 comes; ten minutes of Retry-After: 5 follow."""
    breaker, requests, seconds = Breaker(N), 0, 25
    for _ in range(16 * lanes):
        requests += breaker.admit(0.0)
        breaker.judge(0.0, too_fast(5.0), 0.0)
    assert requests == 1
    for tick in range(1, seconds * 100):
        for _ in range(lanes):
            if breaker.allowance(tick / 100, 0) and breaker.admit(tick / 100):
                requests += 1
                breaker.judge(tick / 100, too_fast(5.0), 0.0)
    assert requests <= 1 + seconds / 5


EVENTS = st.lists(st.sampled_from(["turn", "fail", "succeed", "health_check", "no_answer", "later"]), max_size=60)


@given(EVENTS)
def test_with_any_sequence_nothing_is_let_through_while_open_and_one_while_half_open(events: list[str]) -> None:
    breaker, now, through = Breaker(N), 0.0, 0
    for event in events:
        before = breaker.state
        match event:
            case "turn":
                allowed = breaker.allowance(now, 0)
                if allowed:
                    breaker.proposed(now)
                    admitted = breaker.admit(NOW)
                    assert breaker.state != "open"
                    through += admitted and breaker.state == "half-open"
            case "fail":
                breaker.failed(now, "connect", 0.3)
            case "succeed":
                breaker.succeeded()
            case "health_check":
                breaker.record_health_check(now, "", 0.3)
            case "no_answer":
                breaker.record_health_check(now, "connect", 0.3)
            case "later":
                now += 10
        if before != breaker.state:
            through = 0
        assert through <= 1
        assert (breaker.state == "closed") or breaker.failures >= N
        assert breaker.check_at <= now + LAST_PAUSE * (1 + JITTER)


@pytest.mark.parametrize(
    ("outcomes", "why"),
    [
        ([("retry", "connect")] * 2, "connect"),
        ([("retry", "http:503")], "http:503"),
        ([("unknown", "http:500")], "http:500"),
        ([("unknown", "no_answer")] * 3, "no_answer"),
        ([("retry", "http:401")], "http:401"),
        ([("unknown", "")], "unknown"),
        ([("retry", "throttled")] * 2, ""),
        ([("rejected", "30006")] * 2, ""),
        ([("accepted", "")], ""),
        ([("unknown", "not_in_answer"), ("accepted", "")], ""),
        ([], ""),
    ],
)
def test_what_counts_as_a_failed_batch(outcomes: list[tuple[str, str]], why: str) -> None:
    assert failure(outcomes) == why
