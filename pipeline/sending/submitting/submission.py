"""What is decided between a valid INTENT and its RESULT: the last check before submitting, and the RESULT's groups.

The same for a lane's owner, who then asks an aggregator, and for the simulator, which asks a modelled one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.lane.state import Flight, LaneState
from pipeline.sending.effects import Answered
from pipeline.timing.quiet_gate import held_until
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import Control, ResultGroup
from schemas.reasons import Reason

STALE_MS: Final = 3000
"""An INTENT older than this is not submitted: its owner stalled, and what the checks rest on may be stale too."""
HANDOVER_MS: Final = STALE_MS + 1000
"""What an earlier owner had an INTENT for less than this long ago it may have submitted within the last second."""
FIRST_BACKOFF_MS: Final = 500
LAST_BACKOFF_MS: Final = 60_000
THROTTLED_BACKOFF_MS: Final = 8_000
"""Longest wait after a throttled answer. A full account throttles the same message many times; doubling the wait each
time would leave these messages minutes behind the others."""
FIRST_RESEND_MS: Final = 5_000
"""The same where the message may have arrived: an aggregator that hangs has time to recover."""


def held_back(
    flight: Flight,
    control: Control,
    numbers: list[int],
    blocked: Callable[[list[int]], list[str]],
    now: int,
    quiet: Sequence[int] | None = None,
) -> list[ResultGroup | None]:
    """Rule L5: why each recipient of a flight is held back just before submitting, None for those that may go.

    `control` is the campaign's newest, `now` in ms; `quiet`: when each may go by its hours (0: at once), None where
    all may, as of `hours_of`.
    """
    if control.state != "running" or is_stale(flight, now):
        return held_all(len(numbers), now)
    if control.settings.deadline is not None and now >= control.settings.deadline:
        return [ResultGroup(outcome="expired", reason=Reason.DEADLINE)] * len(numbers)
    asleep = [_asleep(due) for due in quiet or [0] * len(numbers)]
    if control.settings.messages[flight.key[1]].to_opted_out:
        return asleep
    skips: dict[str, ResultGroup] = {
        why: ResultGroup(outcome="skipped", reason=why) for why in (Reason.OPTED_OUT, Reason.HELD_FOR_REVIEW)
    }
    return [skips.get(why, later) for why, later in zip(blocked(numbers), asleep, strict=True)]


def is_stale(flight: Flight, now: int) -> bool:
    """Whether an INTENT is too old to be submitted at `now` (ms)."""
    return now - flight.at > STALE_MS


def _asleep(due: int) -> ResultGroup | None:
    return ResultGroup(outcome="retry", reason=Reason.QUIET_HOURS, due=due) if due else None


def hours_of(state: LaneState, flight: Flight, quiet: QuietHours, now: int) -> list[int] | None:
    """When each recipient of a flight may go (ms; 0: at once); None where all may at once, as who is exempt."""
    if state.campaigns[flight.key[0]].settings.transactional:
        return None
    held: list[int] = []
    for chunk, start, stop in flight.slices:
        held += held_until(quiet, state.work(chunk), start, stop, now) or [0] * (stop - start)
    return held if any(held) else None


def starts_full(last_intent_at: int, owned_at: int) -> bool:
    """Whether a new owner has to take it that the limit of the last second is used up (invariant I7); times in ms."""
    return last_intent_at >= owned_at - HANDOVER_MS


def held_all(count: int, now: int) -> list[ResultGroup | None]:
    """Everybody goes back into the queue."""
    return [ResultGroup(outcome="retry", reason=Reason.HELD_BACK, due=now)] * count


def away(held: Sequence[ResultGroup | None], seconds: float, now: int) -> list[ResultGroup | None]:
    """`held` where the aggregator takes nothing: those that could go wait, for `seconds` where it said how long (0:
    until it is there again). `now` in ms."""
    why = ResultGroup(
        outcome="retry", reason=Reason.THROTTLED if seconds else Reason.AGGREGATOR_AWAY, due=now + int(seconds * 1000)
    )
    return [one or why for one in held]


def result_groups(
    held: Sequence[ResultGroup | None], answers: Sequence[Answered], flight: Flight, at: int
) -> list[ResultGroup]:
    """Outcomes grouped by what they have in common. Whole-slice acceptance, the common case, names no indices.

    `answers` are of those that were not held back, in their order; `at` in ms.
    """
    if len(answers) == len(held) and all(answer.outcome == "accepted" for answer in answers):
        return [ResultGroup(outcome="accepted", ids=[answer.aggregator_id for answer in answers])]
    attempt = max(flight.attempts)
    groups: dict[tuple[str, str, int], ResultGroup] = {}
    following = iter(answers)
    for index, why in enumerate(held):
        one = _one(next(following), attempt, at) if why is None else why
        identity = (one.outcome, one.reason, one.due)
        group = groups.get(identity)
        if group is None:
            group = groups[identity] = ResultGroup(
                outcome=one.outcome, reason=one.reason, due=one.due, indices=[], ids=None if one.ids is None else []
            )
        assert group.indices is not None
        group.indices.append(index)
        if group.ids is not None and one.ids is not None:
            group.ids += one.ids
    return list(groups.values())


def _one(answer: Answered, attempt: int, at: int) -> ResultGroup:
    """`due` is when to try again: of a retry, and of an unknown where the campaign's policy is to resend."""
    if answer.outcome == "accepted":
        return ResultGroup(outcome="accepted", ids=[answer.aggregator_id])
    if answer.outcome == "rejected":
        return ResultGroup(outcome="rejected", reason=answer.reason)
    first = FIRST_RESEND_MS if answer.outcome == "unknown" else FIRST_BACKOFF_MS
    last = THROTTLED_BACKOFF_MS if answer.reason == Reason.THROTTLED else LAST_BACKOFF_MS
    if answer.reason == Reason.NOT_WRITTEN_IN_TIME:
        attempt = 0  # a process that was slow is no reason to wait longer each time
    # Where the whole account waits (`holds`), that is the pause; the message's own would only come on top.
    backoff = 0 if answer.holds else min(first * 2 ** min(attempt, 7), last)
    due = at + max(backoff, int(answer.retry_after * 1000))
    return ResultGroup(outcome=answer.outcome, reason=answer.reason, due=due)
