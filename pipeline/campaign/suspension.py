"""The system holds a campaign: its lanes' controls stay `running`, since what holds back and probes is the lane."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from pipeline.campaign.transitions import RaiseAlert, Transition, successor
from schemas.alerts import MOST_TEXT, Alert, alert_id
from schemas.campaign import CampaignDocument, Hold, Suspended, Suspension
from schemas.reasons import Reason, in_words, with_remedy


def suspend(document: CampaignDocument, record: Suspension, now: int) -> Transition:
    """Take note of who holds the campaign. It shows where the campaign is sending: a paused one stays paused, and
    its resume leads to suspended."""
    if document.status not in ("sending", "suspended", "paused"):
        return Transition(document)
    cause = f"{record.by}/{record.at}"
    known = next((hold for hold in document.holds if hold.by == record.by), None)
    if known is not None and record.at <= known.at:
        return Transition(document, effects=alert_again(document, cause))
    reason = (record.reason or Reason.HELD_BY_SYSTEM) if record.suspended else ""
    holds = [hold for hold in document.holds if hold.by != record.by]
    holds.append(Hold(by=record.by, reason=reason, at=record.at))
    changes = {} if document.status == "paused" else where_to(holds)
    return alerting(Transition(successor(document, now, **changes, holds=holds), changed=True), cause, record.at)


def where_to(holds: list[Hold]) -> dict[str, object]:
    """Status, reason and `resume_to` of a campaign that nobody pauses, while `holds` hold. The reason is that of the
    first holder by name; `reason_in_words` says it of all."""
    reason = next((hold.reason for hold in _holding(holds)), "")
    if reason:
        return {"status": "suspended", "resume_to": "sending", "reason": reason}
    return {"status": "sending", "resume_to": None, "reason": ""}


def reason_in_words(document: CampaignDocument) -> str:
    """Why a campaign waits or is held, for people: of a suspended one each reason with who gave it."""
    if document.status == "suspended":
        return "; ".join(f"{in_words(hold.reason)} ({hold.by})" for hold in _holding(document.holds))
    return with_remedy(document.reason)


def alerting(transition: Transition, cause: str, at: int) -> Transition:
    """The transition, with an alert where the campaign has become suspended by it: once, until it has gone on.
    `cause` names the record that led to it, `at` is when."""
    document = transition.document
    assert document is not None, "there is one that is held or resumed"
    known = document.suspended
    if known is not None and not known.over:
        if _holding(document.holds):
            return transition
        after = msgspec.structs.replace(document, suspended=msgspec.structs.replace(known, over=True))
        return replace(transition, document=after)
    if document.status != "suspended":
        return transition
    alert = alert_id("campaign_suspended", document.account, document.id, cause)
    suspended = Suspended(alert=alert, cause=cause, at=at)
    after = msgspec.structs.replace(document, suspended=suspended)
    return replace(transition, document=after, effects=(*transition.effects, *alert_again(after, cause)))


def alert_again(document: CampaignDocument, cause: str) -> tuple[RaiseAlert, ...]:
    """The alert that the record named `cause` led to, if it did: what it led to may not have been written."""
    suspended = document.suspended
    if suspended is None or suspended.cause != cause or not document.account:
        return ()
    reasons = "; ".join(dict.fromkeys(with_remedy(hold.reason) for hold in _holding(document.holds)))
    name = str(document.spec.get("name", ""))
    text = (
        f'Campaign "{name}" ({document.id}) is suspended: {reasons or in_words(Reason.HELD_BY_SYSTEM)}. Whoever has '
        f"not got its message waits. It goes on by itself once the cause is gone; `longwave campaign resume "
        f"{document.id}` tries at once, `longwave campaign cancel {document.id}` ends it"
    )
    return (
        RaiseAlert(
            Alert(
                id=suspended.alert,
                account=document.account,
                about="campaign_suspended",
                subject=document.id,
                at=suspended.at,
                text=text[:MOST_TEXT],
            )
        ),
    )


def _holding(holds: list[Hold]) -> list[Hold]:
    return sorted((hold for hold in holds if hold.reason), key=lambda hold: hold.by)


def released(holds: list[Hold]) -> list[Hold]:
    """The holds after an operator's resume, which overrules all of them."""
    return [Hold(by=hold.by, reason="", at=hold.at) for hold in holds]
