"""The system holds a campaign: its lanes' controls stay `running`, since what holds back and probes is the lane."""

from __future__ import annotations

from pipeline.campaign.transitions import Transition, successor
from schemas.campaign import CampaignDocument, Hold, Status, Suspension
from schemas.reasons import Reason, in_words, with_remedy


def suspend(document: CampaignDocument, record: Suspension, now: int) -> Transition:
    """Take note of who holds the campaign. It shows where the campaign is sending: a paused one stays paused, and
    its resume leads to suspended."""
    if document.status not in ("sending", "suspended", "paused"):
        return Transition(document)
    known = next((hold for hold in document.holds if hold.by == record.by), None)
    if known is not None and record.at <= known.at:
        return Transition(document)
    reason = (record.reason or Reason.HELD_BY_SYSTEM) if record.suspended else ""
    holds = [hold for hold in document.holds if hold.by != record.by]
    holds.append(Hold(by=record.by, reason=reason, at=record.at))
    if document.status == "paused":
        return Transition(successor(document, now, holds=holds), changed=True)
    return Transition(successor(document, now, **where_to(holds, back_to(document)), holds=holds), changed=True)


def back_to(document: CampaignDocument) -> Status:
    """The status of a campaign that nobody pauses or holds: until the ledger has reserved for it, it is processed."""
    return "processing" if document.bound is not None and not document.is_funded else "sending"


def where_to(holds: list[Hold], back: Status) -> dict[str, object]:
    """Status, reason and `resume_to` of a campaign that nobody pauses, while `holds` hold; without them it is `back`.
    The reason is that of the first holder by name; `reason_in_words` says it of all."""
    reason = next((hold.reason for hold in _holding(holds)), "")
    if reason:
        return {"status": "suspended", "resume_to": back, "reason": reason}
    return {"status": back, "resume_to": None, "reason": ""}


def reason_in_words(document: CampaignDocument) -> str:
    """Why a campaign waits or is held, for people: of a suspended one each reason with who gave it."""
    if document.status == "suspended":
        return "; ".join(f"{in_words(hold.reason)} ({hold.by})" for hold in _holding(document.holds))
    return with_remedy(document.reason)


def _holding(holds: list[Hold]) -> list[Hold]:
    return sorted((hold for hold in holds if hold.reason), key=lambda hold: hold.by)


def released(holds: list[Hold]) -> list[Hold]:
    """The holds after an operator's resume, which overrules all of them."""
    return [Hold(by=hold.by, reason="", at=hold.at) for hold in holds]
