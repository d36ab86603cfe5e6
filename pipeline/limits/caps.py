"""Caps: at most so many messages to one recipient in any span of time that holds the planned time.

Two kinds: those of the law of the recipient's place (`Rule.cap` of `pipeline.timing.quiet_rules`), for which the
messages of all accounts count, and those that an account sets itself per day and per week, for which its own count. A
day is any 24 hours, a week any 7 times 24: [t, t + span). Counted are the reservations that hold (`smart_sending`),
so what is exempt from smart sending, transactional messages and replies, neither asks nor counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.timing import tz
from pipeline.timing.location_key import Place
from pipeline.timing.quiet_hours import Instants, QuietHours
from pipeline.timing.quiet_rules import Cap, Reading, rule_for
from schemas.reasons import Reason

LONGEST: Final = 7 * tz.DAY
"""No span is longer, because the table of reservations reaches no further back."""
_HOUR: Final = 3_600_000
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `messages` in any `span` (ms). `account`: only messages with this tag count, None: all do. `whom`: the
    recipients for whom it counts, None: all."""

    reason: Literal[Reason.LEGAL_CAP, Reason.ACCOUNT_CAP]
    messages: int
    span: int
    account: int | None = None
    whom: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.messages < 1 or not 0 < self.span <= LONGEST:
            raise ValueError(f"a cap of {self.messages} messages in {self.span} ms: at least 1, at most a week")


@dataclass(frozen=True, slots=True)
class Held:
    """Columns of the messages that recipients are to get, in order of (`who`, `times`): index of the recipient,
    planned time (ms), tag of the account."""

    who: NDArray[np.int64]
    times: Instants
    accounts: NDArray[np.uint64]


def account_limits(tag: int, day: int | None, week: int | None) -> tuple[Limit, ...]:
    """The cap limits of an account; `day` and `week` are None if it has none."""
    limits = ((day, tz.DAY), (week, 7 * tz.DAY))
    return tuple(Limit(Reason.ACCOUNT_CAP, messages, span, tag) for messages, span in limits if messages is not None)


def legal_limits(quiet: QuietHours, rule_ids: Instants, now: int) -> list[Limit]:
    """The limits of the law for a chunk, as of `now` (ms); `rule_ids` as of `quiet`. None for an account whose
    messages reach nobody (reading "none")."""
    if quiet.reading == "none":
        return []
    limits: dict[Cap, NDArray[np.bool_]] = {}
    for rule_id in np.flatnonzero(np.bincount(rule_ids)).tolist():
        cap = cap_of(quiet.place(rule_id), now // tz.DAY, quiet.reading)
        if cap is not None:
            mine = rule_ids == rule_id
            limits[cap] = limits[cap] | mine if cap in limits else mine
    return [Limit(Reason.LEGAL_CAP, cap.messages, cap.hours * _HOUR, None, whom) for cap, whom in limits.items()]


@lru_cache(maxsize=20_000)
def cap_of(place: Place, day: int, reading: Reading) -> Cap | None:
    """The cap of the law in a place on a day (since 1970), None where there is none."""
    return rule_for(*place, date.fromordinal(_EPOCH + day), reading).cap


def full(limit: Limit, held: Held, planned: Instants) -> NDArray[np.int64]:
    """For each recipient the index in `held` of the first message of a span that holds `planned` and is full already,
    -1 where there is room: of several such spans that of the earliest."""
    blockers = np.full(len(planned), -1, np.int64)
    counted = None if limit.account is None else np.flatnonzero(held.accounts == np.uint64(limit.account))
    who, times = (held.who, held.times) if counted is None else (held.who[counted], held.times[counted])
    sizes = np.bincount(who, minlength=len(planned))
    asked = sizes >= limit.messages
    asking = np.flatnonzero(asked if limit.whom is None else asked & limit.whom)
    if not len(asking):
        return blockers
    before = np.bincount(who[times <= planned[who]], minlength=len(planned))[asking]
    first, size = (np.cumsum(sizes) - sizes)[asking], sizes[asking]
    for earlier in range(limit.messages + 1):
        # A full span has `earlier` messages up to the planned time and the others after it; the last to be found
        # begins first.
        low = before - earlier
        fits = np.flatnonzero((low >= 0) & (low + limit.messages <= size))
        at = planned[asking[fits]]
        begins = (first + low)[fits]
        start = times[begins] if earlier else at
        end = times[begins + limit.messages - 1] if earlier < limit.messages else at
        is_full = end - start < limit.span
        blockers[asking[fits[is_full]]] = begins[is_full]
    return blockers if counted is None else np.where(blockers < 0, -1, counted[blockers])
