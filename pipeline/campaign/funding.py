"""A campaign whose cost must be reserved: what it asks of the ledger, and what follows from each answer.

Only what is reserved, or needs no reservation, is fanned out. A launch for now that the balance is short of is taken
back; who launched it looks on. A scheduled campaign waits for a top-up: the ledger keeps its place in the queue.
"""

from __future__ import annotations

from typing import Final

from pipeline.campaign.suspension import alert_again, alerting, where_to
from pipeline.campaign.transitions import (
    AS_DRAFT,
    AskReserve,
    Effect,
    GiveBack,
    TermsOf,
    Transition,
    control,
    failed,
    fanout,
    give_back,
    successor,
    unfit,
)
from schemas.accounts import in_credits
from schemas.campaign import (
    OVER,
    SENT_OUT,
    CampaignDocument,
    Frozen,
    Funding,
    Hold,
    Outcome,
    Status,
)
from schemas.ledger import Bound, Release, Reserve
from schemas.reasons import Reason, in_words, written

HOLDER: Final = "ledger"
_WAITING: Final[frozenset[Status]] = frozenset({"processing", "suspended", "paused"})


def ask(document: CampaignDocument, record: Frozen, now: int) -> Transition:
    """Fix the audience and what it can cost, and ask the ledger to reserve it. Nothing is fanned out yet."""
    assert record.bound is not None, "else it is fanned out at once"
    asking = successor(document, now, recipients=record.recipients, bound=record.bound)
    return Transition(asking, changed=True, effects=_asked(asking, record.bound, now))


def begin(document: CampaignDocument, now: int, **changes: object) -> Transition:
    """Fix the audience and fan out. A paused campaign too: its lanes keep all messages waiting."""
    holds = [hold for hold in document.holds if hold.by != HOLDER]
    begun = successor(
        document, now, **where_to(holds, "sending"), holds=holds, is_funded=True, launch_command="", **changes
    )
    if document.status == "paused":
        begun.status, begun.resume_to, begun.reason = "paused", "sending", ""
    effects = (control(begun, now), fanout(begun))
    return alerting(Transition(begun, changed=True, effects=effects), f"{HOLDER}/begun", now)


def repeated(document: CampaignDocument, now: int) -> tuple[Effect, ...]:
    """The effects of a frozen audience, as of the document that holds by now."""
    if document.status in OVER | SENT_OUT or not document.recipients:
        return ()
    if document.bound is None or document.is_funded:
        return (control(document, now), fanout(document))
    return _asked(document, document.bound, now)


def funded(document: CampaignDocument, record: Funding, now: int, terms_of: TermsOf) -> Transition:
    """Go on as the ledger has answered. An answer about a launch that is no more is given back."""
    if record.revision != document.launch_revision or document.bound is None:
        return Transition(document, effects=unwanted(record, now).effects)
    if document.is_funded:
        is_running = record.state == "reserved" and document.status != "canceled"
        return Transition(document, effects=repeated(document, now) if is_running else ())
    if document.status not in _WAITING:
        return Transition(document, effects=give_back(document, now))
    match record.state:
        case "reserved":
            return _reserved(document, now, terms_of)
        case "waiting":
            return _wait(document, record, now)
        case "refused":
            return _refused(document, record, now)
        case _:
            return Transition(document)


def unwanted(record: Funding, now: int) -> Transition:
    """Give back what is reserved for a launch that is no more."""
    if record.state not in ("reserved", "waiting") or not record.revision:
        return Transition(None)
    release = Release(account=record.account, campaign=record.campaign, revision=record.revision, at=now)
    return Transition(None, effects=(GiveBack(release),))


def _asked(document: CampaignDocument, bound: Bound, now: int) -> tuple[AskReserve, ...]:
    reserve = Reserve(
        account=document.account,
        campaign=document.id,
        revision=document.launch_revision,
        billing=bound.billing,
        amount=bound.amount,
        segments=bound.segments,
        trial=bound.trial,
        waits=bool(document.begins),
        at=now,
    )
    return (AskReserve(reserve),)


def _reserved(document: CampaignDocument, now: int, terms_of: TermsOf) -> Transition:
    problem = unfit(document, terms_of)
    if problem is None:
        return begin(document, now)
    transition = failed(document, problem.reason, now)
    return Transition(transition.document, changed=True, effects=give_back(document, now))


def _wait(document: CampaignDocument, record: Funding, now: int) -> Transition:
    cause = f"{HOLDER}/{record.revision}"
    known = next((hold for hold in document.holds if hold.by == HOLDER), None)
    reason = written(Reason.BALANCE_SHORT, in_credits(record.missing))
    if known is not None and known.reason == reason:
        return Transition(document, effects=alert_again(document, cause))
    holds = [hold for hold in document.holds if hold.by != HOLDER]
    holds.append(Hold(by=HOLDER, reason=reason, at=record.at))
    changes = {} if document.status == "paused" else where_to(holds, "processing")
    return alerting(Transition(successor(document, now, **changes, holds=holds), changed=True), cause, record.at)


def _refused(document: CampaignDocument, record: Funding, now: int) -> Transition:
    if not record.missing:
        return failed(document, Reason.TRIAL_LIMIT, now)
    reason = written(Reason.BALANCE_SHORT, in_credits(record.missing))
    error = f"not launched: {in_words(reason)}; top it up (`longwave balance top-up {document.account}`), then launch"
    outcomes = [
        Outcome(command=outcome.command, error=error) if outcome.command == document.launch_command else outcome
        for outcome in document.outcomes
    ]
    back = successor(document, now, **{**AS_DRAFT, "reason": reason, "outcomes": outcomes})
    return Transition(back, changed=True)
