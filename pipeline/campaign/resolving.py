"""The effects of an operator's decision about unknown messages.

`sent` is recorded as accepted and billed; `not-sent` as rejected, and its reservation is released. A receipt
that comes later wins over both (`schemas.succession`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, Literal

from pipeline.campaign.transitions import Effect, EmitStatuses, ReleaseReservations
from pipeline.limits.reservations import releases
from schemas.campaign import CampaignDocument, Command, Resolution, Resolved, Verdict
from schemas.reasons import Reason
from schemas.status import StatusChunk, StatusGroup

KEPT_RESOLVED: Final = 64
"""Decisions that a document keeps."""

_AS: Final[dict[Verdict, tuple[Literal["accepted", "rejected"], Reason]]] = {
    "sent": ("accepted", Reason.OPERATOR),
    "not-sent": ("rejected", Reason.OPERATOR_NOT_SENT),
}
_AT_ONCE: Final = 5000


def not_resolvable(document: CampaignDocument) -> str:
    """Why the campaign's unknown messages cannot be resolved now, and what to do."""
    problem = f"campaign {document.id} is {document.status}: the outcome of its unknown messages may still arrive"
    return f"{problem}; wait until it is sent, or cancel it, then resolve"


def consequences(record: Command) -> tuple[Effect, ...]:
    """Statuses and releases of a `resolve`; the same however often it is asked."""
    chunks = tuple(chunk for resolution in record.resolutions for chunk in _chunks(record, resolution))
    back = tuple(
        release
        for resolution in record.resolutions
        if resolution.verdict == "not-sent"
        for release in releases(record.campaign, resolution.message, resolution.numbers, record.at)
    )
    return (EmitStatuses(chunks), *([ReleaseReservations(back)] if back else []))


def notes(record: Command) -> list[Resolved]:
    """What the document keeps of a `resolve`."""
    counts: defaultdict[Verdict, int] = defaultdict(int)
    for resolution in record.resolutions:
        counts[resolution.verdict] += len(resolution.ordinals)
    return [
        Resolved(command=record.id, by=record.by, at=record.at, verdict=verdict, recipients=count)
        for verdict, count in counts.items()
        if count
    ]


def _chunks(record: Command, resolution: Resolution) -> Iterator[StatusChunk]:
    state, reason = _AS[resolution.verdict]
    for first in range(0, len(resolution.ordinals), _AT_ONCE):
        members: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        last = first + _AT_ONCE
        for ordinal, *kind in zip(
            resolution.ordinals[first:last],
            resolution.segments[first:last],
            resolution.prices[first:last],
            strict=True,
        ):
            members[kind[0], kind[1]].append(ordinal)
        groups = [
            StatusGroup(state=state, reason=reason, ordinals=ordinals, segments=segments, price=price)
            for (segments, price), ordinals in members.items()
        ]
        yield StatusChunk(campaign=record.campaign, message=resolution.message, at=record.at, groups=groups)
