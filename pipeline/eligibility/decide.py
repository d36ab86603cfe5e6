"""Decides for each recipient of a chunk: a place in the WORK for its lane, or a reason to skip.

`judge` decides and `decide` turns its judgment into records. The review before a launch calls `judge` alone, over
the audience as it would be frozen (`pipeline.eligibility.rehearsal`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.accounts.prices import NO_PRICE
from pipeline.campaign.plan import CampaignPlan, MessagePlan
from pipeline.campaign.when import Dues, dues
from pipeline.eligibility.optouts import REASONS as CONSENT
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.pool import senders_of
from pipeline.eligibility.unreachable import NOBODY, UnreachableNumbers
from pipeline.limits.caps import Limit, legal_limits
from pipeline.limits.carrier_day import FIELD as CARRIER
from pipeline.limits.smart_sending import FIRST_LIMIT, SMART_SENDING, Spacing, Table, blocker_text, check_and_reserve
from pipeline.timing.quiet_hours import Instants
from pipeline.timing.zones import UNKNOWN, ZoneIds, id_of, zone_ids
from schemas.audience import Indices
from schemas.campaign import SENT_OUT, LaunchedSender
from schemas.chunk import RecipientChunk, lane_of_ordinal
from schemas.lane import Work
from schemas.reasons import Reason
from schemas.status import StatusChunk, StatusGroup
from schemas.wire import CHUNK_LIMIT

WORK_SECONDS: Final = 10
SMALLEST_WORK: Final = 20
"""A WORK has as many recipients as its sender sends to in so many seconds, but at least so many: a lane keeps those
of all its senders decoded, and there may be thousands."""
SHORTEST_NUMBER: Final = 1_000_000
"""Seven digits with the country code: no shorter number that takes texts is assigned under E.164."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`work`: (lane, WORK). Every recipient of the chunk is in `work` or in `statuses`, none in both; of a campaign
    in which everybody is accounted for nobody is in either."""

    work: list[tuple[int, Work]] = field(default_factory=list)
    statuses: list[StatusChunk] = field(default_factory=list)


def decide(
    chunk: RecipientChunk,
    plan: CampaignPlan,
    table: Table,
    optouts: OptOuts,
    now: int,
    unreachable: UnreachableNumbers = NOBODY,
) -> Decision:
    """Decide for a chunk. `table`: bucket -> smart-sending reservations; assigned once per bucket that changes.

    Repeating a chunk reserves nothing twice and lets the same recipients through, but for what happened since
    (opt-outs, reservations given back, the hour). Two things make that harmless, and cost nothing here. Of a campaign
    that is canceled, sent or finished nothing is said: everybody in it is accounted for, so the chunk is a repeat.
    Of one under way, who is in a lane has the lane's word in the accounting, whatever is said here (`passed_over` in
    `schemas.succession`), and the lane sees to opt-outs and its bitmap to repeats. Nor does the deadline decide here:
    only the lane knows who was sent to before it.

    Raises:
        ValueError: the chunk is of another launch than the plan, or of a campaign without lanes.
    """
    _check_fit(chunk, plan)
    if plan.status in _ACCOUNTED:
        return Decision()
    judgment = judge(chunk, chunk.message, plan, History(table, optouts, unreachable), now)
    return Decision(_work(chunk, plan, judgment, now), _skipped(chunk, judgment.reasons, judgment.blockers, now))


class Recipients(Protocol):
    """Columns of recipients: a `RecipientChunk`, or a page of an audience as large as memory allows."""

    @property
    def numbers(self) -> Indices: ...
    @property
    def zones(self) -> Sequence[str]: ...
    @property
    def zone(self) -> Indices: ...
    @property
    def countries(self) -> Sequence[str]: ...
    @property
    def country(self) -> Indices: ...
    @property
    def regions(self) -> Sequence[str]: ...
    @property
    def region(self) -> Indices: ...
    @property
    def fields(self) -> Mapping[str, Sequence[str]]: ...


class Consent(Protocol):
    """`OptOuts`, or what it answered for these recipients."""

    def codes_of(self, account: str, numbers: Indices) -> NDArray[np.uint8]: ...


class Unreachable(Protocol):
    """`UnreachableNumbers`, or what it answered for these recipients."""

    def mask(self, numbers: Indices, now: int, retry_days: int) -> NDArray[np.bool_]: ...


@dataclass(frozen=True, slots=True)
class History:
    """What is known of numbers from before: the reservations by bucket, who opted out, and who cannot be reached."""

    table: Table
    consent: Consent
    unreachable: Unreachable = NOBODY


@dataclass(frozen=True, slots=True)
class Where:
    """Columns of n: zones as of pipeline.timing.zones, places as of the plan's quiet hours."""

    zone_ids: ZoneIds
    rule_ids: Instants


@dataclass(frozen=True, slots=True)
class Judgment:
    """Columns of n. `reasons`: 0 for who goes, else a code of `reason_of`; `blockers`: what blocks those that are
    skipped for another message, by their place, as `blocker_text` has it."""

    reasons: NDArray[np.uint8]
    segments: NDArray[np.uint16]
    where: Where
    when: Dues
    prices: NDArray[np.int64]
    """Millionths of a credit per segment when each is due; `NO_PRICE` where there is none."""
    blockers: dict[int, str] = field(default_factory=dict)


def judge(people: Recipients, message_index: int, plan: CampaignPlan, history: History, now: int) -> Judgment:
    """Decide as of `now` (ms) who goes, and reserve for them; recipients do not influence each other."""
    message = plan.messages[message_index]
    numbers = np.array(people.numbers, np.uint64)
    segments, reasons = _texts(people, message, plan)
    _note(reasons, history.unreachable.mask(people.numbers, now, plan.unreachable_retry_days), Reason.UNREACHABLE)
    blocked = history.consent.codes_of(plan.spec.account, people.numbers)
    if blocked.any():
        for code, reason in enumerate(CONSENT[1:], 1):
            _note(reasons, blocked == code, Reason(reason))
    _note(reasons, numbers < SHORTEST_NUMBER, Reason.INVALID_NUMBER)
    where = _where(people, numbers, plan, reasons)
    when = dues(plan, where.zone_ids, where.rule_ids, now)
    _note(reasons, when.passed, Reason.LOCAL_TIME_PASSED)
    _note(reasons, when.never, Reason.NO_ALLOWED_HOURS)
    prices = plan.prices.column(people.countries, people.country, when.due, people.fields.get(CARRIER))
    _note(reasons, prices == NO_PRICE, Reason.NO_PRICE)
    judgment = Judgment(reasons, segments, where, when, prices)
    if not plan.transactional:
        limits = [*legal_limits(plan.quiet, where.rule_ids, now), *plan.caps]
        _reserve(judgment, numbers, plan.deadline, Spacing(message.identity, plan.window, limits), history.table, now)
    return judgment


def reason_of(code: int) -> Reason:
    """The reason that a code of `Judgment.reasons` stands for; 0 stands for none."""
    return _REASONS[code - 1]


_ACCOUNTED: Final = SENT_OUT | {"canceled"}
"""Statuses in which each recipient has a final state, or a message that only waits for its receipt."""
_REASONS: Final = (
    Reason.INVALID_NUMBER, Reason.OPTED_OUT, Reason.HELD_FOR_REVIEW, Reason.UNREACHABLE, Reason.EMPTY_TEXT,
    Reason.TOO_MANY_SEGMENTS, Reason.UNKNOWN_ZONE, Reason.LOCAL_TIME_PASSED, Reason.NO_ALLOWED_HOURS,
    Reason.NO_PRICE, Reason.SMART_SENDING, Reason.LEGAL_CAP, Reason.ACCOUNT_CAP,
)  # fmt: skip
"""Why a recipient gets nothing. Where several apply, the first in this order is given: `_note` keeps to it, whatever
the order of the checks. Those of `_BLOCKED` must be the last: they are checked only for whoever has no other."""
_BLOCKED: Final = frozenset({Reason.SMART_SENDING, Reason.LEGAL_CAP, Reason.ACCOUNT_CAP})
"""Reasons that come from other messages to the same number."""
_MAY_GO: Final = 0
_CODES: Final = {reason: code for code, reason in enumerate(_REASONS, 1)}
Reasons = NDArray[np.uint8]
Places = NDArray[np.intp]
"""Positions in a chunk."""


def _check_fit(chunk: RecipientChunk, plan: CampaignPlan) -> None:
    if chunk.campaign != plan.campaign or chunk.revision != plan.launch_revision:
        raise ValueError(
            f"a chunk of {chunk.campaign} launched as revision {chunk.revision} met the plan of {plan.campaign} "
            f"launched as revision {plan.launch_revision}"
        )
    if not plan.senders and not plan.canceled:
        raise ValueError(f"campaign {plan.campaign} has no senders: it was not launched")
    if chunk.message >= len(plan.messages):
        raise ValueError(f"campaign {plan.campaign} has no message {chunk.message}")


def _texts(people: Recipients, message: MessagePlan, plan: CampaignPlan) -> tuple[NDArray[np.uint16], Reasons]:
    """Segments of each text, and the reasons that lie in the text alone."""
    n = len(people.numbers)
    reasons = np.zeros(n, np.uint8)
    segments = message.renderer.segments(people.fields, n, plan.links)
    if segments.max(initial=0) > plan.max_segments:
        _note(reasons, segments > plan.max_segments, Reason.TOO_MANY_SEGMENTS)
    if message.empty is not None:
        _note(reasons, message.empty.are_empty(people.fields, n), Reason.EMPTY_TEXT)
    return segments, reasons


def _where(people: Recipients, numbers: NDArray[np.uint64], plan: CampaignPlan, reasons: Reasons) -> Where:
    """Zones and places. Who is skipped for want of a zone has the store's here, so that later columns are whole; a
    transactional message does not ask for the time."""
    ids = zone_ids(numbers, people.zones, people.zone, plan.store_zone, plan.unknown_zone)
    unknown = ids == UNKNOWN
    if unknown.any():
        if not plan.transactional:
            _note(reasons, unknown, Reason.UNKNOWN_ZONE)
        ids[unknown] = id_of((plan.store_zone,))
    return Where(ids, plan.quiet.rule_ids(people.countries, people.country, people.regions, people.region))


def _note(reasons: Reasons, whom: NDArray[np.bool_], reason: Reason) -> None:
    """Set a reason for recipients that have none yet, or one that comes later in `_REASONS`."""
    if whom.any():
        code = _CODES[reason]
        reasons[whom & ((reasons == _MAY_GO) | (reasons > code))] = code


def _reserve(
    judgment: Judgment, numbers: NDArray[np.uint64], deadline: int | None, spacing: Spacing, table: Table, now: int
) -> None:
    """Reserve for those that nothing else holds back; note for whoever is refused the reason and what blocks them.

    Who is due at the deadline will only expire in the lane, and reserves nothing: it would hold others back."""
    left = np.flatnonzero(judgment.reasons == _MAY_GO)
    if not len(left):
        return
    due = judgment.when.due[left]
    asked = spacing
    if len(left) < len(numbers):
        asked = replace(spacing, limits=[_limit_of(limit, left) for limit in spacing.limits])
    in_time = None if deadline is None else due < deadline
    check = check_and_reserve(table, numbers[left], due, asked, now, in_time)
    refused = np.flatnonzero(~check.ok)
    if not len(refused):
        return
    codes = np.zeros(FIRST_LIMIT + len(spacing.limits), np.uint8)
    codes[SMART_SENDING] = _CODES[Reason.SMART_SENDING]
    codes[FIRST_LIMIT:] = [_CODES[Reason(limit.reason)] for limit in spacing.limits]
    places = left[refused]
    judgment.reasons[places] = codes[check.rule[refused]]
    causes = zip(places.tolist(), check.blocker[refused].tolist(), check.blocked_at[refused].tolist(), strict=True)
    judgment.blockers.update((place, blocker_text(other, at)) for place, other, at in causes)


def _limit_of(limit: Limit, places: NDArray[np.int64]) -> Limit:
    """A cap as it is for the recipients at these places alone."""
    return limit if limit.whom is None else replace(limit, whom=limit.whom[places])


def _work(chunk: RecipientChunk, plan: CampaignPlan, judgment: Judgment, now: int) -> list[tuple[int, Work]]:
    """The WORK of the recipients that get the message, by sender, in order of due times."""
    places = np.flatnonzero(judgment.reasons == _MAY_GO)
    if not len(places):
        return []
    when = judgment.when
    places = places[np.lexsort((when.quiet[places], when.planned[places]))]
    if len(plan.senders) == 1:
        return _of_sender(chunk, plan, judgment, plan.senders[0], places, now)
    numbers = np.array(chunk.numbers, np.uint64)
    chosen = senders_of(plan.senders, plan.spec.pool_by, numbers, chunk.countries, chunk.country, chunk.first)[places]
    work: list[tuple[int, Work]] = []
    for index in np.unique(chosen).tolist():
        work += _of_sender(chunk, plan, judgment, plan.senders[index], places[chosen == index], now)
    return work


def _of_sender(
    chunk: RecipientChunk, plan: CampaignPlan, judgment: Judgment, sender: LaunchedSender, places: Places, now: int
) -> list[tuple[int, Work]]:
    """The WORK of a sender's recipients, in chunks that it sends in some seconds."""
    lane = lane_of_ordinal(chunk.first, sender.lanes)
    size = min(CHUNK_LIMIT, max(SMALLEST_WORK, int(sender.rate / len(sender.lanes) * WORK_SECONDS)))
    parts = [places[start : start + size] for start in range(0, len(places), size)]
    return [(lane, _work_of(chunk, plan, judgment, sender.sender, part, now)) for part in parts]


def _work_of(
    chunk: RecipientChunk, plan: CampaignPlan, judgment: Judgment, sender: str, places: Places, now: int
) -> Work:
    where, when = judgment.where, judgment.when
    runs, wait_reasons = _runs(when.planned[places], when.quiet[places])
    needed = (*plan.messages[chunk.message].renderer.fields, CARRIER)
    columns = {name: chunk.fields[name] for name in needed if name in chunk.fields}
    numbers = chunk.numbers
    order = places.tolist()
    if order != list(range(len(numbers))):
        numbers = [numbers[place] for place in order]
        columns = {name: [column[place] for place in order] for name, column in columns.items()}
    zones, zone = plan.quiet.keys(where.zone_ids[places], where.rule_ids[places])
    return Work(
        campaign=chunk.campaign,
        message=chunk.message,
        account=plan.spec.account,
        sender=sender,
        at=now,
        ordinals=(places + chunk.first).tolist(),
        numbers=numbers,
        segments=judgment.segments[places].tolist(),
        prices=judgment.prices[places].tolist(),
        dues=runs,
        reasons=wait_reasons,
        zones=zones,
        zone=zone,
        fields=columns,
    )


def _runs(due: Instants, quiet: NDArray[np.bool_]) -> tuple[list[tuple[int, int]], list[str]]:
    """The due column in run lengths, and the reason of each run, none where nobody has one."""
    starts = np.flatnonzero(np.concatenate(([True], (due[1:] != due[:-1]) | (quiet[1:] != quiet[:-1]))))
    counts = np.diff(np.append(starts, len(due)))
    runs = list(zip(counts.tolist(), due[starts].tolist(), strict=True))
    return runs, [Reason.QUIET_HOURS if held else "" for held in quiet[starts].tolist()] if quiet.any() else []


def _skipped(chunk: RecipientChunk, reasons: Reasons, blockers: dict[int, str], now: int) -> list[StatusChunk]:
    groups = []
    for code in np.flatnonzero(np.bincount(reasons, minlength=1)).tolist():
        if code == _MAY_GO:
            continue
        places = np.flatnonzero(reasons == code)
        reason = _REASONS[code - 1]
        ids = [blockers[place] for place in places.tolist()] if reason in _BLOCKED else None
        groups.append(StatusGroup(state="skipped", reason=reason, ordinals=(places + chunk.first).tolist(), ids=ids))
    return [StatusChunk(campaign=chunk.campaign, message=chunk.message, at=now, groups=groups)] if groups else []
