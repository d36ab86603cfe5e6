"""Decides from the figures whether a campaign is sent or finished, and why one that is over reached no recipient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from schemas.campaign import SENT_OUT, CampaignDocument
from schemas.figures import Figures
from schemas.reasons import in_words
from schemas.succession import UNSENT

REACHED_NOBODY: Final = "reached nobody"
_REACHED: Final = ("accepted", "delivered", "unknown")
"""States in which the recipient has the message, or may have it."""


def reached(
    document: CampaignDocument, figures: Sequence[Figures], now: int, receipt_window: int
) -> Literal["sent", "finished"] | None:
    """`sent`: no message is still to be submitted. `finished`: the receipts are in too, or `receipt_window`
    (ms) has passed since the last status. None while neither holds, or while the figures do not balance.

    `figures` has one entry per message of the campaign; `now` in ms.
    """
    if len(figures) < len(document.parsed().messages) or any(message_figures.residual for message_figures in figures):
        return None
    if any(message_figures.states[state] for message_figures in figures for state in UNSENT):
        return None
    awaiting = any(message_figures.states["accepted"] for message_figures in figures)
    newest = max(message_figures.newest_at for message_figures in figures)
    return "sent" if awaiting and now < newest + receipt_window else "finished"


def nobody_why(status: str, states: Mapping[str, int], targeted: int, reasons: Sequence[Mapping[str, Any]]) -> str:
    """Why a campaign reached no recipient, as text; "" if it reached one or is not over.

    `states`: recipients by state; `targeted`: all of them; `reasons`: state, reason and count, most frequent first.
    """
    if status not in SENT_OUT or any(states.get(state, 0) for state in _REACHED):
        return ""
    if not targeted:
        return "the audience was empty when it was frozen"
    state, count = max(states.items(), key=lambda pair: pair[1])
    reason = next((reason["reason"] for reason in reasons if reason["state"] == state), "")
    return f"{count:,} of {targeted:,} {state}" + (f", most of them because: {in_words(reason)}" if reason else "")
