"""Status chunks: what happened to recipients, on their way to the ClickHouse writer.

Every record may be replayed: the writer keeps sets of ordinals, so a repetition adds nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from schemas.chunk import MessageIndex
from schemas.wire import Campaign, Codec, Count, Millis, Ordinal, Record, same_length

State = Literal[
    "skipped",
    "delayed",
    "queued",
    "in_flight",
    "accepted",
    "rejected",
    "unknown",
    "delivered",
    "undelivered",
    "canceled",
    "expired",
]
"""States of a recipient that are recorded; a recipient without one is `pending`."""

Event = Literal["clicked", "opted_out", "replied"]
"""Events of a recipient that are not states and not part of the conservation."""


class StatusGroup(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Recipients with the same status. `attempt` counts how often they had waited in the lane before
    this happened (0 the first time); it orders delayed, queued and in_flight of several attempts."""

    state: State | Event
    ordinals: list[Ordinal]
    reason: str = ""
    attempt: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    variant: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    segments: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    price: Count = 0
    """Millionths of a credit per segment."""
    ids: list[str] | None = None
    """One per ordinal: the aggregator's id; of who is skipped for smart sending or a cap the message that blocks,
    and when (`pipeline.limits.smart_sending.blocker_text`)."""

    def __post_init__(self) -> None:
        if self.ids is not None:
            same_length(len(self.ordinals), ids=self.ids)


class StatusChunk(Record, tag="status", kw_only=True):
    """Topic `statuses`, keyed by campaign. `at` is when it happened, `lane` -1 where no lane took part: who is
    skipped then is recorded as `passed_over`, which whatever a lane says overrides and which is shown as skipped."""

    campaign: Campaign
    message: MessageIndex
    at: Millis
    groups: list[StatusGroup]
    lane: int = -1
    receipts: bool = False
    """Whether an aggregator said so later: it counts only for who was submitted (`schemas.succession`)."""


class StatusRange(Record, tag="range", kw_only=True):
    """Topic `statuses`: every ordinal of [first, last) was withdrawn before it reached a lane (a cancel).

    Recorded as state `withdrawn`, which any other state overrides and which is shown as canceled.
    """

    campaign: Campaign
    message: MessageIndex
    at: Millis
    first: Ordinal
    last: Ordinal
    reason: str = ""


STATUSES: Codec[StatusChunk | StatusRange] = Codec(StatusChunk | StatusRange)
