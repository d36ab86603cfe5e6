"""Which recipients a person may select: of an export, and of those who are tried again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from schemas.reasons import MEANINGS, Reason, is_reason, of_kind, split
from schemas.selection import Selection
from schemas.succession import FINAL, HANDED_OVER, SHOWN, UNSENT

FAILED: Final = ("rejected", "undelivered", "expired")
"""States that are tried again where nobody says which."""
RETRIED: Final = (*FAILED, *(state for state in FINAL if state not in FAILED))
"""States that may be tried again: nobody in them got the message, and nothing of them is under way."""
LEFT_OUT: Final = (Reason.DEADLINE,)
"""Reasons that are tried again only where somebody says so: the campaign's own deadline was meant."""
_REASONS: Final = of_kind("recipient")


def selected(states: Sequence[str], reasons: Sequence[str]) -> Selection | str:
    """The recipients in one of `states` for one of `reasons` ([] = any), or what is wrong and what to do."""
    return _problem(states, reasons, SHOWN) or Selection(tuple(states), tuple(reasons))


def to_retry(states: Sequence[str], reasons: Sequence[str]) -> Selection | str:
    """Whom a retry goes to, or what is wrong and what to do. Without states and reasons: who was rejected or not
    delivered to, or expired for another reason than the campaign's deadline."""
    for state in states:
        if refusal := _refusal(state):
            return f"state: {refusal}"
    if problem := _problem(states, reasons, RETRIED):
        return problem
    if reasons:
        return Selection(tuple(states) or RETRIED, tuple(reasons))
    return Selection(tuple(states)) if states else Selection(FAILED, left_out=tuple(map(str, LEFT_OUT)))


def count(selection: Selection, reasons: Mapping[str, Mapping[str, int]]) -> int:
    """How many are selected, by the figures: state to reason to recipients."""
    return sum(
        number
        for state, numbers in reasons.items()
        for reason, number in numbers.items()
        if selection.has(state, reason)
    )


def _refusal(state: str) -> str:
    if state == "unknown":
        return (
            "unknown messages may have arrived, so they are not tried again; ask the aggregator, then `longwave "
            "campaign resolve`"
        )
    if state in UNSENT or (state in HANDED_OVER and state not in RETRIED):
        return f"{state} messages did not fail; use one of {', '.join(RETRIED)}"
    return ""


def _problem(states: Sequence[str], reasons: Sequence[str], allowed: Collection[str]) -> str:
    for state in states:
        if state not in allowed:
            return f"state: unknown state {state!r}; use one of {', '.join(allowed)}"
    for reason in reasons:
        if problem := _wrong_reason(reason, states or allowed):
            return f"reason: {problem}"
    return ""


def _wrong_reason(text: str, states: Collection[str]) -> str:
    """What is wrong with a reason of recipients that are in one of `states`; "" if nothing is."""
    reason, detail = split(text)
    if reason not in _REASONS or (detail and not is_reason(text)):
        return f"unknown reason {text[:80]!r}; `longwave campaign show` lists those of a campaign"
    having = MEANINGS[reason].states
    if not set(having) & set(states):
        return f"nobody is {' or '.join(states)} for the reason {text[:80]}; it is of {', '.join(having) or 'nobody'}"
    return ""
