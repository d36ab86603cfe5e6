"""The result of a command about accounts: what is stored, and the effects to carry out."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from schemas.accounts import (
    KEPT_ANSWERS,
    AccountDocument,
    AccountsRecord,
    Answer,
    Answers,
    PriceListDocument,
    SenderDocument,
    Verdict,
)
from schemas.campaign import Suspension
from schemas.lane import AccountTerms, DomainTerms, SenderTerms


@dataclass(frozen=True, slots=True)
class WriteTerms:
    """Write a record to a lane. A lane ignores a revision that is not newer."""

    lane: int
    record: AccountTerms | SenderTerms | DomainTerms


@dataclass(frozen=True, slots=True)
class Hold:
    """Tell a campaign that an account or sender holds it, or no longer does."""

    record: Suspension


Effect = WriteTerms | Hold
"""Effects, carried out in order. Each may be repeated: after a crash the step gets its command again."""


@dataclass(frozen=True, slots=True)
class Transition:
    """`writes`: what is stored from now on, by key, in this order."""

    verdict: Verdict
    error: str = ""
    writes: tuple[tuple[str, AccountsRecord], ...] = ()
    effects: tuple[Effect, ...] = ()


def answer_to(known: Answers | None, command: str) -> Answer | None:
    """What became of a command, if it was carried out or refused already."""
    return next((answer for answer in (known.answers if known else ()) if answer.command == command), None)


def answered(known: Answers | None, subject: str, command: str, transition: Transition) -> Answers | None:
    """The answers with one more; None where the command was answered already."""
    if answer_to(known, command) is not None:
        return None
    before = [] if known is None else known.answers
    answer = Answer(command=command, verdict=transition.verdict, error=transition.error)
    return Answers(subject=subject, answers=[*before, answer][-KEPT_ANSWERS:])


def stale(what: str, actual: AccountDocument | SenderDocument | PriceListDocument | None) -> Transition:
    """The refusal of a change whose author saw something else than there is."""
    happened = "does not exist anymore" if actual is None or actual.removed else f"was changed by {actual.by}"
    return Transition("stale", f"{what} {happened} in the meantime; look at it again, then change it")


def wrong_fields(what: str, error: ValidationError) -> str:
    """What is wrong with a spec, field by field."""
    fields = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
    return f"{what}: {fields}"
