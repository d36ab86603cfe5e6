"""Whom an export and a retry may be limited to."""

from __future__ import annotations

import pytest

from pipeline.campaign.selecting import RETRIED, count, selected, to_retry
from schemas.reasons import MEANINGS, of_kind
from schemas.selection import EVERYBODY, Selection
from schemas.succession import SHOWN

COUNTED = {
    "rejected": {"code:30006": 1, "refused": 2},
    "undelivered": {"": 4, "code:30003": 8},
    "expired": {"deadline": 16, "too_late": 32},
    "skipped": {"smart_sending": 64},
    "delivered": {"": 128},
}


def taken(states: list[str], reasons: list[str]) -> int:
    selection = to_retry(states, reasons)
    assert isinstance(selection, Selection), selection
    return count(selection, COUNTED)


def test_by_default_who_failed_and_was_not_past_the_deadline_is_retried() -> None:
    assert taken([], []) == 1 + 2 + 4 + 8 + 32


@pytest.mark.parametrize(
    ("states", "reasons", "expected"),
    [
        (["rejected"], [], 3),
        (["rejected", "undelivered"], [], 15),
        (["expired"], [], 48),
        ([], ["deadline"], 16),
        ([], ["code"], 9),
        ([], ["code:30003"], 8),
        (["rejected"], ["code"], 1),
        (["rejected"], ["code:30003"], 0),
        ([], ["smart_sending", "refused"], 66),
        (["canceled"], [], 0),
    ],
)
def test_who_is_chosen_is_retried(states: list[str], reasons: list[str], expected: int) -> None:
    assert taken(states, reasons) == expected


@pytest.mark.parametrize(
    ("states", "reasons", "problem"),
    [
        (["unknown"], [], "state: unknown messages may have arrived"),
        (["delivered"], [], "state: delivered messages did not fail"),
        (["accepted"], [], "state: accepted messages did not fail"),
        (["queued"], [], "state: queued messages did not fail"),
        (["sent"], [], "state: unknown state 'sent'; use one of rejected"),
        ([], ["because"], "reason: unknown reason 'because'"),
        ([], [""], "reason: unknown reason ''"),
        ([], ["refused:so"], "reason: unknown reason 'refused:so'"),
        ([], ["empty_audience"], "reason: unknown reason 'empty_audience'"),
        (["rejected"], ["deadline"], "reason: nobody is rejected for the reason deadline; it is of expired"),
        ([], ["no_query_url"], "reason: nobody is rejected or undelivered"),
    ],
)
def test_what_is_wrong_is_said(states: list[str], reasons: list[str], problem: str) -> None:
    outcome = to_retry(states, reasons)
    assert isinstance(outcome, str)
    assert outcome.startswith(problem)


def test_nobody_who_may_have_got_the_message_is_retried() -> None:
    assert set(RETRIED).isdisjoint({"unknown", "accepted", "delivered", "pending", "delayed", "queued", "in_flight"})
    assert set(RETRIED) <= set(SHOWN)


def test_an_export_may_be_of_any_state_and_reason() -> None:
    assert selected([], []) == EVERYBODY
    for state in SHOWN:
        assert selected([state], []) == Selection(states=(state,))
    for reason in of_kind("recipient"):
        if MEANINGS[reason].states:
            assert selected([], [str(reason)]) == Selection(reasons=(str(reason),))
    assert selected(["sent"], []) == f"state: unknown state 'sent'; use one of {', '.join(SHOWN)}"
