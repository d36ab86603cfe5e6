"""The status machine of a campaign, as one pure function over its document.

    draft ──launch──▶ scheduled ──due──▶ processing ──frozen──▶ sending ──▶ sent ──▶ finished
      ▲ (due soon: processing at once)      │ nobody in it       │   │
      └─────────────────────────────────────┘                    │   └─ suspended, while a lane holds it
                                                                 │      ──resume──▶ sending
                paused ◀─pause─┘ (from processing and suspended too) ──resume──▶ where it was
    frozen, and its account pays beforehand: processing until the ledger has reserved the most that it can cost;
    too little: a launch for now ──▶ draft again, a scheduled one ──▶ suspended ──top-up──▶ sending
    launched, due or frozen while its account is inactive or its sender removed ──▶ failed
    cancel: scheduled ──▶ draft; processing, sending, paused, suspended ──▶ canceled; sent, finished: refused

Every command leaves its outcome in the document, refused or not. A record that comes again changes nothing and
gives its effects again, as of the document that holds by then.
"""

from __future__ import annotations

from typing import Final

from pipeline.campaign.funding import ask, begin, funded, repeated, unwanted
from pipeline.campaign.retrying import listed
from pipeline.campaign.status_commands import command, due
from pipeline.campaign.suspension import suspend
from pipeline.campaign.transitions import (
    AS_DRAFT,
    Effect,
    TermsOf,
    Transition,
    control,
    failed,
    finish,
    give_back,
    successor,
    unfit,
    withdraw,
)
from schemas.campaign import (
    IN_LANES,
    CampaignDocument,
    Command,
    CommandsRecord,
    Frozen,
    Funding,
    Note,
    Progress,
    RetryListed,
    Status,
    Suspension,
)
from schemas.reasons import Reason

_NOTED: Final[frozenset[Status]] = frozenset({"scheduled", "processing", "sending", "paused", "sent"})
"""Statuses whose reason a note may set; that of a suspended campaign says who holds it."""


def apply(document: CampaignDocument | None, record: CommandsRecord, now: int, terms_of: TermsOf) -> Transition:
    """Apply a record of topic `commands` to a campaign. `now` in ms; a user's mistake is refused, not raised."""
    if isinstance(record, Command):
        return command(document, record, now, terms_of)
    if document is None:
        return unwanted(record, now) if isinstance(record, Funding) else Transition(None)
    match record:
        case Frozen():
            return _frozen(document, record, now, terms_of)
        case Funding():
            return funded(document, record, now, terms_of)
        case RetryListed():
            return listed(document, record, now)
        case Note():
            return _note(document, record, now)
        case Progress(reached="due"):
            return due(document, record.at, now, terms_of)
        case Progress():
            return _progress(document, record, now)
        case Suspension():
            return suspend(document, record, now)


def _frozen(document: CampaignDocument, record: Frozen, now: int, terms_of: TermsOf) -> Transition:
    if record.revision != document.launch_revision:
        return Transition(document)
    if document.recipients:
        return _frozen_again(document, now)
    if document.status == "canceled":
        return _frozen_too_late(document, record, now)
    if "processing" not in (document.status, document.resume_to):
        return Transition(document)
    if not record.recipients:
        back = successor(document, now, **AS_DRAFT, reason=Reason.EMPTY_AUDIENCE)
        return Transition(back, changed=True)
    if problem := unfit(document, terms_of):
        return failed(document, problem.reason, now)
    if record.bound is None:
        return begin(document, now, recipients=record.recipients)
    return ask(document, record, now)


def _frozen_again(document: CampaignDocument, now: int) -> Transition:
    if document.status == "canceled":
        effects: tuple[Effect, ...] = (
            control(document, now),
            *withdraw(document, now),
            *give_back(document, now),
        )
        return Transition(document, effects=effects)
    return Transition(document, effects=repeated(document, now))


def _frozen_too_late(document: CampaignDocument, record: Frozen, now: int) -> Transition:
    """The freeze ended after a cancel: all recipients are counted as canceled and none is fanned out."""
    if not record.recipients:
        return Transition(document)
    counted = successor(document, now, recipients=record.recipients)
    return Transition(counted, changed=True, effects=withdraw(counted, now))


def _note(document: CampaignDocument, record: Note, now: int) -> Transition:
    if document.status not in _NOTED or document.reason == record.reason:
        return Transition(document)
    return Transition(successor(document, now, reason=record.reason), changed=True)


def _progress(document: CampaignDocument, record: Progress, now: int) -> Transition:
    """Record progress. A paused campaign becomes sent, since nothing is left to pause; a canceled one stays so."""
    if record.reached == "finished" and document.finished:
        return Transition(document, effects=(finish(document),))
    if record.reached == "finished" and document.status == "canceled":
        ended = successor(document, now, finished=record.at)
        return Transition(ended, changed=True, effects=(finish(ended),))
    before = IN_LANES if record.reached == "sent" else IN_LANES | {"sent"}
    if document.status not in before or not document.recipients:
        return Transition(document)
    finished = record.at if record.reached == "finished" else 0
    reached = successor(document, now, status=record.reached, resume_to=None, reason="", finished=finished, holds=[])
    return Transition(reached, changed=True, effects=(finish(reached),) if finished else ())
