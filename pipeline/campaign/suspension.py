"""The system holds a campaign: its lanes' controls stay `running`, since what holds back and probes is the lane."""

from __future__ import annotations

from pipeline.campaign.transitions import Transition, successor
from schemas.campaign import CampaignDocument, Hold, Suspension

NO_REASON = "held by the system"


def suspend(document: CampaignDocument, record: Suspension, now: int) -> Transition:
    """Take note of who holds the campaign. It shows where the campaign is sending: a paused one stays paused, and
    its resume leads to suspended."""
    if document.status not in ("sending", "suspended", "paused"):
        return Transition(document)
    known = next((hold for hold in document.holds if hold.by == record.by), None)
    if known is not None and record.at <= known.at:
        return Transition(document)
    reason = (record.reason or NO_REASON) if record.suspended else ""
    holds = [hold for hold in document.holds if hold.by != record.by]
    holds.append(Hold(by=record.by, reason=reason, at=record.at))
    if document.status == "paused":
        return Transition(successor(document, now, holds=holds), changed=True)
    return Transition(successor(document, now, **where_to(holds), holds=holds), changed=True)


def where_to(holds: list[Hold]) -> dict[str, object]:
    """Status, reason and `resume_to` of a campaign that nobody pauses, while `holds` hold."""
    why = why_held(holds)
    if why:
        return {"status": "suspended", "resume_to": "sending", "reason": why}
    return {"status": "sending", "resume_to": None, "reason": ""}


def why_held(holds: list[Hold]) -> str:
    """The reasons of those that hold, with their names; "" where nobody does."""
    return "; ".join(f"{hold.reason} ({hold.by})" for hold in sorted(holds, key=lambda one: one.by) if hold.reason)


def released(holds: list[Hold]) -> list[Hold]:
    """An operator overrules all that hold."""
    return [Hold(by=hold.by, reason="", at=hold.at) for hold in holds]
