"""Who of a recipient chunk gets the message: a WORK for its lane, and a reason for everybody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.carrier_day import FIELD as CARRIER
from pipeline.optouts import OptOuts
from pipeline.plan import CampaignPlan, MessagePlan
from pipeline.segments import MAX_PARTS
from pipeline.smart_sending import Table, check_and_reserve
from schemas.chunk import RecipientChunk, lane_of_ordinal
from schemas.lane import Work
from schemas.status import StatusChunk, StatusGroup


class Reason(StrEnum):
    """Why a recipient gets nothing. Where several apply, the first in this order is given."""

    INVALID_NUMBER = "invalid_number"
    OPTED_OUT = "opted_out"
    EMPTY_TEXT = "empty_text"
    TOO_LONG = "too_long"
    SMART_SENDING = "smart_sending"


SHORTEST_NUMBER: Final = 1_000_000
"""Seven digits with the country code: no shorter number that takes texts is assigned under E.164."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`work`: (lane, WORK). Every recipient of the chunk is in `work` or in `statuses`, none in both; of a canceled
    campaign nobody is in either."""

    work: list[tuple[int, Work]] = field(default_factory=list)
    statuses: list[StatusChunk] = field(default_factory=list)


def decide(chunk: RecipientChunk, plan: CampaignPlan, table: Table, optouts: OptOuts, now: int) -> Decision:
    """Decide for a chunk. `table`: bucket -> smart-sending reservations; assigned once per bucket that changes.

    Repeating a chunk reserves nothing twice and lets the same recipients through, but for what happened since
    (opt-outs, a cancel); the lane that has the earlier WORK sees to those itself. So nothing is said of a canceled
    campaign: the cancel has withdrawn everybody who is in no lane, and who is in one may have got it. Nor does the
    deadline decide here: only the lane knows who was sent to before it.

    Raises:
        ValueError: the chunk is of another launch than the plan, or of a campaign without lanes.
    """
    _check_fit(chunk, plan)
    if plan.canceled:
        return Decision()
    message = plan.messages[chunk.message]
    numbers = np.array(chunk.numbers, np.uint64)
    segments, reasons = _texts(chunk, message, plan.link_base)
    reasons[optouts.contains_many(chunk.numbers)] = _CODES[Reason.OPTED_OUT]
    reasons[numbers < SHORTEST_NUMBER] = _CODES[Reason.INVALID_NUMBER]
    if not plan.transactional:
        _smart_sending(reasons, numbers, message.identity, plan, table, now)
    return Decision(_work(chunk, plan, segments, reasons == _MAY_GO, now), _skipped(chunk, reasons, now))


_REASONS: Final = tuple(Reason)
_MAY_GO: Final = 0
_CODES: Final = {reason: code for code, reason in enumerate(_REASONS, 1)}
Reasons = NDArray[np.uint8]


def _check_fit(chunk: RecipientChunk, plan: CampaignPlan) -> None:
    if chunk.campaign != plan.campaign or chunk.revision != plan.launch_revision:
        raise ValueError(
            f"a chunk of {chunk.campaign} launched as revision {chunk.revision} met the plan of {plan.campaign} "
            f"launched as revision {plan.launch_revision}"
        )
    if not plan.lanes and not plan.canceled:
        raise ValueError(f"campaign {plan.campaign} has no lanes: it was not launched")
    if chunk.message >= len(plan.messages):
        raise ValueError(f"campaign {plan.campaign} has no message {chunk.message}")


def _texts(chunk: RecipientChunk, message: MessagePlan, link_base: str) -> tuple[NDArray[np.uint16], Reasons]:
    """Segments of each text, and the reasons that lie in the text alone."""
    n = len(chunk.numbers)
    reasons = np.zeros(n, np.uint8)
    segments = message.renderer.segments(chunk.fields, n, link_base)
    if segments.max() > MAX_PARTS:
        reasons[segments > MAX_PARTS] = _CODES[Reason.TOO_LONG]
    if message.renderer.may_be_blank:
        texts = message.renderer.lengths(chunk.fields, n, link_base)
        reasons[[not text or text.isspace() for text in texts]] = _CODES[Reason.EMPTY_TEXT]
    return segments, reasons


def _smart_sending(
    reasons: Reasons, numbers: NDArray[np.uint64], identity: int, plan: CampaignPlan, table: Table, now: int
) -> None:
    """Reserve for those that nothing else holds back; whoever is refused gets that reason."""
    left = np.flatnonzero(reasons == _MAY_GO)
    if len(left):
        check = check_and_reserve(table, numbers[left], plan.due, identity, plan.window, now)
        reasons[left[~check.ok]] = _CODES[Reason.SMART_SENDING]


def _work(
    chunk: RecipientChunk, plan: CampaignPlan, segments: NDArray[np.uint16], goes: NDArray[np.bool_], now: int
) -> list[tuple[int, Work]]:
    places = np.flatnonzero(goes)
    if not len(places):
        return []
    prices = plan.prices.column(chunk.countries, chunk.country)
    needed = (*plan.messages[chunk.message].renderer.fields, CARRIER)
    columns = {name: chunk.fields[name] for name in needed if name in chunk.fields}
    numbers, zone = chunk.numbers, chunk.zone
    if len(places) < len(numbers):
        keep = goes.tolist()
        numbers, zone, prices = (list(compress(column, keep)) for column in (numbers, zone, prices))
        columns = {name: list(compress(column, keep)) for name, column in columns.items()}
    work = Work(
        campaign=chunk.campaign,
        message=chunk.message,
        at=now,
        ordinals=(places + chunk.first).tolist(),
        numbers=numbers,
        segments=segments[places].tolist(),
        prices=prices,
        dues=[(len(places), plan.due)],
        zones=chunk.zones,
        zone=zone,
        fields=columns,
    )
    return [(lane_of_ordinal(chunk.first, plan.lanes), work)]


def _skipped(chunk: RecipientChunk, reasons: Reasons, now: int) -> list[StatusChunk]:
    groups = [
        StatusGroup(
            state="skipped",
            reason=_REASONS[code - 1].value,
            ordinals=(np.flatnonzero(reasons == code) + chunk.first).tolist(),
        )
        for code in np.flatnonzero(np.bincount(reasons, minlength=1)).tolist()
        if code != _MAY_GO
    ]
    return [StatusChunk(campaign=chunk.campaign, message=chunk.message, at=now, groups=groups)] if groups else []
