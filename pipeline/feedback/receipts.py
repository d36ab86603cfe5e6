"""Delivery receipts become states of recipients. The order in which they come does not matter: states have ranks."""

from __future__ import annotations

from schemas.carrier_codes import reason_of_code
from schemas.feedback import ReceiptBatch
from schemas.status import StatusChunk, StatusGroup


def statuses(batch: ReceiptBatch) -> StatusChunk | None:
    """The status chunk of a batch, None for an empty one; one group per state and reason.

    `at` is when the batch was received, by our clock: that of an aggregator may be wrong.
    """
    groups: dict[tuple[str, str], StatusGroup] = {}
    for ordinal, state, code in zip(batch.ordinals, batch.states, batch.codes, strict=True):
        key = (state, code)
        group = groups.get(key)
        if group is None:
            groups[key] = group = StatusGroup(state=state, ordinals=[], reason=reason_of_code(code))
        group.ordinals.append(ordinal)
    if not groups:
        return None
    return StatusChunk(
        campaign=batch.campaign,
        message=batch.message,
        at=batch.received,
        groups=list(groups.values()),
        receipts=True,
    )
