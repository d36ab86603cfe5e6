"""What the HTTP status of an answer says of all messages of a request, for adapters of every kind that speaks HTTP.

The table is docs/connecting/answers.md, "The answer to a batch". A kind whose aggregator means something else by a
status judges that status itself, before it asks here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from adapters import clock
from adapters.ports import Submission, SubmitOutcome
from schemas.reasons import UNREACHABLE_REASONS, Reason, written

ANSWERS: Final = frozenset({200, 201, 202, 207})
"""The batch was processed, and the body says what became of each message."""

OURS_TO_FIX: Final = frozenset({307, 308, 401, 402, 403, 404, 405, 407, 410, 413, 421, 426})
"""Nothing was processed, and the cause is our URL, secret, account or batch size, not a recipient. The messages wait
until somebody has fixed that, and the breaker opens."""

NOT_PROCESSED: Final = OURS_TO_FIX | {408, 425, 429, 503}
"""Answers after which the server has processed nothing (RFC 9110 15.5.9, RFC 8470; 429 and 503 as
aggregators use them)."""

_REASONS: Final = {402: Reason.PAYMENT_REQUIRED, 429: Reason.THROTTLED}

RETRY_AFTER_LIMIT: Final = 3600.0


def outcome_of_status(
    status: int, retry_after: str, messages: int, refusal: Callable[[], str] = lambda: ""
) -> SubmitOutcome:
    """The outcome of each of the `messages` of a request where the status is not one of `ANSWERS`. `retry_after` is
    the header, "" without one; `refusal` gives the reason in the body of a refused request, "" if it has none."""
    if status in NOT_PROCESSED:
        seconds = seconds_of(retry_after)
        holds = status == 429 or (status == 503 and seconds > 0)
        return SubmitOutcome("retry", reason_of(status), "", seconds, holds)
    if 400 <= status < 500 and status != 409:
        reason = refusal()
        # Of several messages nobody knows whose number cannot be reached: no number may be suppressed for it.
        blames_somebody = messages > 1 and reason in UNREACHABLE_REASONS
        return SubmitOutcome("rejected", reason_of(status) if blames_somebody or not reason else reason)
    return SubmitOutcome("unknown", reason_of(status))


def reason_of(status: int) -> str:
    """The reason for an outcome that the HTTP status of the whole batch gives."""
    return _REASONS.get(status) or written(Reason.HTTP, str(status))


def why_unavailable(status: int) -> str:
    """What the answer to an empty batch means: "" if a batch with messages may go, else why not."""
    if status >= 500 or (status in NOT_PROCESSED and status != 429):
        return reason_of(status)
    return ""


def all_same(
    batch: list[Submission], outcome: Literal["rejected", "retry", "unknown"], reason: str
) -> list[SubmitOutcome]:
    """One outcome for the whole batch."""
    return [SubmitOutcome(outcome, reason)] * len(batch)


def seconds_of(header: str) -> float:
    """Seconds of a Retry-After header (a number or an HTTP date), 0 if it says nothing usable."""
    with contextlib.suppress(ValueError):
        return bounded(float(header))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return bounded(parsedate_to_datetime(header).timestamp() - clock.now_ms() / 1000)
    return 0.0


def bounded(seconds: float) -> float:
    """A wait that an aggregator asked for, from 0 to an hour; 0 for one that is no finite number."""
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT) if math.isfinite(seconds) else 0.0
