"""What operators may do to a campaign in each status, and the text of each refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pipeline.campaign.actions import is_allowed
from pipeline.campaign.completeness import complete, in_one_line
from pipeline.campaign.plan import CampaignPlan, PlanError, compile_plan
from pipeline.campaign.resolving import KEPT_RESOLVED, consequences, not_resolvable, notes
from pipeline.campaign.retrying import drop_list, make_list, not_listed
from pipeline.campaign.suspension import alert_again, alerting, released, where_to
from pipeline.campaign.transitions import (
    AS_DRAFT,
    Effect,
    StartFreeze,
    TermsOf,
    Transition,
    Unfit,
    control,
    failed,
    give_back,
    successor,
    unfit,
    with_outcome,
    withdraw,
)
from pipeline.campaign.when import begins
from schemas.campaign import SENT_OUT, CampaignDocument, Command, DraftSpec, Status, UnreadableSpec, stored
from schemas.chunk import Freeze
from schemas.reasons import in_words


def command(document: CampaignDocument | None, record: Command, now: int, terms_of: TermsOf) -> Transition:
    """Carry a command out, or refuse it with the reason and what to do."""
    if document is None:
        return _create(record, now) if record.action == "create" else _no_such(record)
    if record.action == "create" and record.id == document.create_command:
        return Transition(document, effects=make_list(document))
    for outcome in document.outcomes:
        if outcome.command == record.id:
            effects = () if outcome.error else _repeated(document, record, now)
            return Transition(document, effects=effects, error=outcome.error)
    match record.action:
        case "create":
            return _refuse(
                document, record, now, f"campaign {document.id} exists already; edit it, or use another id"
            )
        case "edit":
            return _edit(document, record, now)
        case "delete":
            return _delete(document, record, now)
        case "launch":
            return _launch(document, record, now, terms_of)
        case "pause":
            return _pause(document, record, now)
        case "resume":
            return _resume(document, record, now)
        case "cancel":
            return _cancel(document, record, now)
        case "resolve":
            return _resolve(document, record, now)


def _repeated(document: CampaignDocument, record: Command, now: int) -> tuple[Effect, ...]:
    """The effects of a repeated command, as of now: a later command may have superseded it."""
    if record.action == "launch" and "processing" in (document.status, document.resume_to):
        return (_freeze(document),)
    if record.action in ("pause", "resume"):
        return (control(document, now), *alert_again(document, record.id))
    if record.action == "cancel" and document.status == "canceled":
        return (control(document, now), *withdraw(document, now), *give_back(document, now))
    if record.action == "resolve":
        return (control(document, now), *consequences(record))
    return ()


def _create(record: Command, now: int) -> Transition:
    spec, error = _spec(record.spec)
    if spec is None:
        return Transition(None, error=error)
    document = CampaignDocument(
        id=record.campaign,
        spec=spec,
        status="draft",
        revision=1,
        created=record.at,
        create_command=record.id,
        updated=now,
        retry=record.retry,
    )
    document.outcomes = with_outcome(document, record.id)
    return Transition(document, changed=True, effects=make_list(document))


def _no_such(record: Command) -> Transition:
    return Transition(None, error=f"no campaign {record.campaign}; see `longwave campaign list`")


def _edit(document: CampaignDocument, record: Command, now: int) -> Transition:
    if not is_allowed("edit", document.status):
        return _refuse(document, record, now, only_draft(document, "edited"))
    spec, error = _spec(record.spec)
    if spec is None:
        return _refuse(document, record, now, error)
    if problem := other_identity(document, spec):
        return _refuse(document, record, now, problem)
    if is_stale(document, record.expected):
        return _refuse_stale(document, record, now)
    return _done(document, record, now, spec=spec, reason="", edited=document.revision + 1)


def is_stale(document: CampaignDocument, seen: int | None) -> bool:
    """Whether the definition was changed after somebody saw revision `seen` (None: they need not have seen any). What
    only changed the status, or was refused, makes nobody's knowledge of it old."""
    return seen is not None and not document.edited <= seen <= document.revision


def other_identity(document: CampaignDocument, spec: Mapping[str, Any]) -> str:
    """Why a spec cannot replace a document's: its id follows from key and account; "" where it can."""
    key, account = document.spec.get("key"), document.account
    if spec["key"] == key and (key is None or spec["account"] == account):
        return ""
    if key is None:
        return (
            f"key: campaign {document.id} was created without one, and keeps its id; take it out, or create another"
        )
    return (
        f"key: campaign {document.id} is {key!r} of account {account!r} for good; leave both as they are, or create "
        "another campaign"
    )


def _delete(document: CampaignDocument, record: Command, now: int) -> Transition:
    if not is_allowed("delete", document.status):
        return _refuse(document, record, now, only_draft(document, "deleted"))
    return Transition(None, changed=True, delete=True, effects=drop_list(document))


def _launch(document: CampaignDocument, record: Command, now: int, terms_of: TermsOf) -> Transition:
    if not is_allowed("launch", document.status):
        return _refuse(document, record, now, only_draft(document, "launched"))
    if problem := not_listed(document):
        return _refuse(document, record, now, problem)
    # As of when it was asked for: read again after its time, a launch that was scheduled is scheduled still, and what
    # followed (it was taken back, deleted) follows again.
    at = min(record.at, now)
    launched = successor(
        document,
        now,
        status="processing",
        reason="",
        launched=at,
        launch_revision=document.revision + 1,
        launch_command=record.id,
        outcomes=with_outcome(document, record.id),
    )
    try:
        spec = complete(launched.draft())
        if isinstance(spec, tuple):
            return _refuse(document, record, now, f"not launched: {in_one_line(spec)}")
        terms = terms_of(spec)
        if isinstance(terms, str):
            return _refuse(document, record, now, terms)
        if isinstance(terms, Unfit):
            return _not_fit(document, record, now, terms)
        plan = compile_plan(launched, terms)
        error = _too_late(plan, now)
    except ValidationError as invalid:
        return _refuse(document, record, now, _explain(invalid))
    except PlanError as invalid:
        return _refuse(document, record, now, str(invalid))
    if error:
        return _refuse(document, record, now, error)
    launched.lanes = list(terms.lanes)
    launched.senders = list(terms.senders)
    launched.wording = terms.wording
    if begins(plan) > at:
        launched.status, launched.begins = "scheduled", begins(plan)
        return Transition(launched, changed=True)
    return Transition(launched, changed=True, effects=(_freeze(launched),))


def _not_fit(document: CampaignDocument, record: Command, now: int, terms: Unfit) -> Transition:
    if terms.refusal:
        return _refuse(document, record, now, terms.refusal)
    outcomes = with_outcome(document, record.id)
    return failed(document, terms.reason, now, launched=min(record.at, now), outcomes=outcomes)


def due(document: CampaignDocument, at: int, now: int, terms_of: TermsOf) -> Transition:
    """Begin processing a campaign that is scheduled for `at` (ms) or earlier."""
    if document.status != "scheduled" or at < document.begins:
        return Transition(document, effects=(_freeze(document),) if document.status == "processing" else ())
    if problem := unfit(document, terms_of):
        return failed(document, problem.reason, now)
    begun = successor(document, now, status="processing", reason="")
    return Transition(begun, changed=True, effects=(_freeze(begun),))


def _too_late(plan: CampaignPlan, now: int) -> str:
    if plan.deadline is not None and plan.deadline <= max(now, plan.due):
        return "deadline: it is not after the time of sending, so nothing would be sent; set a later one"
    return ""


def _pause(document: CampaignDocument, record: Command, now: int) -> Transition:
    if not is_allowed("pause", document.status):
        problem = f"campaign {document.id} is {document.status}; only processing and sending campaigns can be paused"
        return _refuse(document, record, now, problem)
    back = document.resume_to if document.status == "suspended" else document.status
    return _controlled(document, record, now, status="paused", resume_to=back, reason="")


def _resume(document: CampaignDocument, record: Command, now: int) -> Transition:
    if document.status == "suspended" and document.resume_to == "processing":
        return _refuse(document, record, now, _not_reserved(document))
    if document.status == "suspended":
        holds = released(document.holds)
        resumed = _controlled(document, record, now, **where_to(holds, "sending"), holds=holds)
        return alerting(resumed, record.id, record.at)
    if not is_allowed("resume", document.status):
        return _refuse(document, record, now, f"campaign {document.id} is {document.status}, not paused")
    back: Status = "processing" if document.resume_to == "processing" else "sending"
    return alerting(_controlled(document, record, now, **where_to(document.holds, back)), record.id, record.at)


def _cancel(document: CampaignDocument, record: Command, now: int) -> Transition:
    if document.status == "scheduled":
        return _done(document, record, now, **AS_DRAFT, reason="")
    if not is_allowed("cancel", document.status):
        return _refuse(document, record, now, _not_cancelable(document))
    transition = _controlled(document, record, now, status="canceled", resume_to=None, reason="", holds=[])
    assert transition.document is not None
    effects = (*transition.effects, *withdraw(transition.document, now), *give_back(transition.document, now))
    return Transition(transition.document, changed=True, effects=effects)


def _resolve(document: CampaignDocument, record: Command, now: int) -> Transition:
    if not is_allowed("resolve", document.status):
        return _refuse(document, record, now, not_resolvable(document))
    if not any(resolution.ordinals for resolution in record.resolutions):
        return _refuse(
            document, record, now, f"campaign {document.id}: no recipients were given, so nothing is resolved"
        )
    resolved = [*document.resolved, *notes(record)][-KEPT_RESOLVED:]
    transition = _done(document, record, now, resolved=resolved)
    assert transition.document is not None
    # The lanes first: from there on nobody of whom the operator decided waits again.
    effects = (control(transition.document, now), *consequences(record))
    return Transition(transition.document, changed=True, effects=effects)


def _not_reserved(document: CampaignDocument) -> str:
    return (
        f"campaign {document.id} is suspended: {in_words(document.reason)}; top it up (`longwave balance top-up "
        f"{document.account}`), and it goes on by itself. Until then it can be canceled"
    )


def _not_cancelable(document: CampaignDocument) -> str:
    if document.status == "draft":
        return f"campaign {document.id} is a draft, so there is nothing to cancel; delete it if it is not wanted"
    if document.status in SENT_OUT:
        return f"campaign {document.id} is {document.status}: all messages were submitted; it can only be duplicated"
    return f"campaign {document.id} is {document.status} already; it can only be duplicated"


def only_draft(document: CampaignDocument, done: str) -> str:
    """Why a campaign cannot be edited, deleted or launched, and what can be done instead."""
    remedy = {
        "scheduled": "cancel it first, which makes it a draft again",
        "processing": "cancel it and duplicate it",
        "sending": "cancel it and duplicate it",
        "paused": "resume it, or cancel it and duplicate it",
        "suspended": "cancel it and duplicate it",
    }.get(document.status, "it can only be duplicated")
    return f"campaign {document.id} is {document.status}; only a draft can be {done}: {remedy}"


def _freeze(document: CampaignDocument) -> StartFreeze:
    return StartFreeze(Freeze(campaign=document.id, revision=document.launch_revision))


def _controlled(document: CampaignDocument, record: Command, now: int, **changes: object) -> Transition:
    after = successor(document, now, outcomes=with_outcome(document, record.id), **changes)
    return Transition(after, changed=True, effects=(control(after, now),))


def _done(document: CampaignDocument, record: Command, now: int, **changes: object) -> Transition:
    return Transition(successor(document, now, outcomes=with_outcome(document, record.id), **changes), changed=True)


def _refuse(document: CampaignDocument, record: Command, now: int, error: str) -> Transition:
    after = successor(document, now, outcomes=with_outcome(document, record.id, error))
    return Transition(after, changed=True, error=error)


def _refuse_stale(document: CampaignDocument, record: Command, now: int) -> Transition:
    error = (
        f"campaign {document.id} was changed by somebody else meanwhile (revision {document.edited}); look at it "
        "again, then repeat your change"
    )
    after = successor(document, now, outcomes=with_outcome(document, record.id, error, is_stale=True))
    return Transition(after, changed=True, error=error)


def _spec(given: dict[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
    """(the spec in JSON form, "") or (None, what is wrong)."""
    if given is None:
        return None, "spec: missing; a campaign is created and edited with one"
    try:
        return stored(DraftSpec.model_validate(given)), ""
    except ValidationError as error:
        return None, _explain(error)
    except UnreadableSpec as error:
        return None, str(error)


def _explain(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'spec'}: {e['msg']}" for e in error.errors())
