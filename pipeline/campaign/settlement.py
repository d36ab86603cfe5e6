"""How far a campaign is, by its accounting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from schemas.campaign import CampaignDocument
from schemas.figures import Figures

UNSENT: Final = ("pending", "delayed", "queued", "in_flight")
"""States in which something is still to be done before a message is handed over, or not."""


def reached(
    document: CampaignDocument, found: Sequence[Figures], now: int, receipt_window: int
) -> Literal["sent", "finished"] | None:
    """`sent`: everybody was handed over or will not be. `finished`: the receipts are in too, or `receipt_window`
    (ms) has passed since the last status. None while neither holds, or while the figures do not balance.

    `found` has one entry per message of the campaign; `now` in ms.
    """
    if len(found) < len(document.parsed().messages) or any(one.residual for one in found):
        return None
    if any(one.states[state] for one in found for state in UNSENT):
        return None
    awaiting = any(one.states["accepted"] for one in found)
    newest = max(one.newest_at for one in found)
    return "sent" if awaiting and now < newest + receipt_window else "finished"
