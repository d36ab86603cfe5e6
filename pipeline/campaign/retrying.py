"""A retry: a draft to some recipients of an earlier campaign, whose list is made once the draft is there."""

from __future__ import annotations

import msgspec

from pipeline.campaign.transitions import TendRetryList, Transition, successor
from schemas.campaign import CampaignDocument, Retry, RetryListed
from schemas.chunk import DropRetryList, MakeRetryList
from schemas.ids import retry_list
from schemas.selection import Selection


def retry_of(original: CampaignDocument, selection: Selection) -> Retry:
    """What a campaign is that tries those recipients of `original` again."""
    return Retry(
        of=original.id,
        first=original.id if original.retry is None else original.retry.first,
        states=list(selection.states),
        reasons=list(selection.reasons),
        left_out=list(selection.left_out),
    )


def make_list(document: CampaignDocument) -> tuple[TendRetryList, ...]:
    """The effect that makes the list of a retry; none where it is made, or the campaign is no retry."""
    retry = document.retry
    if retry is None or retry.recipients is not None:
        return ()
    task = MakeRetryList(
        campaign=document.id, of=retry.of, states=retry.states, reasons=retry.reasons, left_out=retry.left_out
    )
    return (TendRetryList(task),)


def drop_list(document: CampaignDocument) -> tuple[TendRetryList, ...]:
    """The effect of a retry's end as a draft."""
    if document.retry is None:
        return ()
    return (TendRetryList(DropRetryList(campaign=document.id, of=document.retry.of)),)


def listed(document: CampaignDocument, record: RetryListed, now: int) -> Transition:
    """The list is made: from now on the campaign can be launched."""
    if document.retry is None or document.retry.recipients is not None:
        return Transition(document)
    retry = msgspec.structs.replace(document.retry, recipients=record.recipients)
    return Transition(successor(document, now, retry=retry), changed=True)


def not_listed(document: CampaignDocument) -> str:
    """Why a retry cannot be launched yet; "" if it can be, or names its list no longer."""
    retry = document.retry
    if retry is None or retry.recipients is not None:
        return ""
    if retry_list(retry.of, document.id) not in document.spec.get("audience", {}).get("lists", ()):
        return ""
    return f"campaign {document.id}: the list of those whom it tries again is not made yet; launch it in a moment"
