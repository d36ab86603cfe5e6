"""Decisions between a valid INTENT and its RESULT: who is held back just before submitting, and the RESULT's groups.

The rules are the same for a lane's owner, who submits to an aggregator, and the simulator, which has a modeled one.
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
"""An INTENT older than this is not submitted: its owner stalled, and the data for its checks may be stale too."""
HANDOVER_MS: Final = STALE_MS + 1000
"""An earlier owner may, within the last second, have submitted an INTENT written less than this long ago."""
FIRST_BACKOFF_MS: Final = 500
LAST_BACKOFF_MS: Final = 60_000
THROTTLED_BACKOFF_MS: Final = 8_000
"""Longest wait after a throttled answer. A full account throttles the same message many times; doubling the wait each
time would leave these messages minutes behind the others."""
FIRST_RESEND_MS: Final = 5_000
"""First back-off where the message may have arrived: an aggregator that hangs gets time to recover."""


def held_back(
    flight: Flight,
    control: Control,
    numbers: list[int],
    blocked: Callable[[list[int]], list[str]],
    now: int,
    quiet: Sequence[int] | None = None,
) -> list[ResultGroup | None]:
    """Rule L5: why each recipient of a flight is held back just before submitting; None for those who may go.

    `control` is the campaign's newest, `now` in ms; `quiet`: when each may go by quiet hours (0: now), None if all
    may go now, as `hours_of` gives it.
    """
    if control.state != "running" or is_stale(flight, now):
        return held_all(len(numbers), now)
    if control.settings.deadline is not None and now >= control.settings.deadline:
        return [ResultGroup(outcome="expired", reason=Reason.DEADLINE)] * len(numbers)
    waits = [_until_hours(due) for due in quiet or [0] * len(numbers)]
    if control.settings.messages[flight.key[1]].to_opted_out:
        return waits
    skips: dict[str, ResultGroup] = {
        reason: ResultGroup(outcome="skipped", reason=reason) for reason in (Reason.OPTED_OUT, Reason.HELD_FOR_REVIEW)
    }
    return [skips.get(reason, later) for reason, later in zip(blocked(numbers), waits, strict=True)]


def is_stale(flight: Flight, now: int) -> bool:
    """Whether an INTENT is too old to be submitted at `now` (ms)."""
    return now - flight.at > STALE_MS


def _until_hours(due: int) -> ResultGroup | None:
    return ResultGroup(outcome="retry", reason=Reason.QUIET_HOURS, due=due) if due else None


def hours_of(state: LaneState, flight: Flight, quiet: QuietHours, now: int) -> list[int] | None:
    """When each recipient of a flight may go (ms; 0: now); None if all may go now, which includes exempt
    campaigns."""
    if state.campaigns[flight.key[0]].settings.transactional:
        return None
    held: list[int] = []
    for chunk, start, stop in flight.slices:
        held += held_until(quiet, state.work(chunk), start, stop, now) or [0] * (stop - start)
    return held if any(held) else None


def starts_full(last_intent_at: int, owned_at: int) -> bool:
    """Whether a new owner must assume that the limit of the last second is used up (invariant I7); times in ms."""
    return last_intent_at >= owned_at - HANDOVER_MS


def held_all(count: int, now: int) -> list[ResultGroup | None]:
    """Groups that put all recipients back into the queue."""
    return [ResultGroup(outcome="retry", reason=Reason.HELD_BACK, due=now)] * count


def hold_while_away(held: Sequence[ResultGroup | None], seconds: float, now: int) -> list[ResultGroup | None]:
    """`held` while the aggregator takes nothing: those who could go wait, for `seconds` if it said how long (0: until
    it works again). `now` in ms."""
    pause = ResultGroup(
        outcome="retry", reason=Reason.THROTTLED if seconds else Reason.AGGREGATOR_AWAY, due=now + int(seconds * 1000)
    )
    return [group or pause for group in held]


def result_groups(
    held: Sequence[ResultGroup | None], answers: Sequence[Answered], flight: Flight, at: int
) -> list[ResultGroup]:
    """The RESULT's groups: recipients with the same outcome, reason and due time. If the whole slice was accepted,
    the common case, there is one group without indices.

    `answers` are about the recipients who were not held back, in their order; `at` in ms.
    """
    if len(answers) == len(held) and all(answer.outcome == "accepted" for answer in answers):
        return [ResultGroup(outcome="accepted", ids=[answer.aggregator_id for answer in answers])]
    attempt = max(flight.attempts)
    groups: dict[tuple[str, str, int], ResultGroup] = {}
    following = iter(answers)
    for index, held_group in enumerate(held):
        outcome = _outcome_of(next(following), attempt, at) if held_group is None else held_group
        identity = (outcome.outcome, outcome.reason, outcome.due)
        group = groups.get(identity)
        if group is None:
            group = groups[identity] = ResultGroup(
                outcome=outcome.outcome,
                reason=outcome.reason,
                due=outcome.due,
                indices=[],
                ids=None if outcome.ids is None else [],
            )
        assert group.indices is not None
        group.indices.append(index)
        if group.ids is not None and outcome.ids is not None:
            group.ids += outcome.ids
    return list(groups.values())


def _outcome_of(answer: Answered, attempt: int, at: int) -> ResultGroup:
    """The group of one answer. Its `due` is when to try again, after a retry or an unknown that is resent."""
    if answer.outcome == "accepted":
        return ResultGroup(outcome="accepted", ids=[answer.aggregator_id])
    if answer.outcome == "rejected":
        return ResultGroup(outcome="rejected", reason=answer.reason)
    first = FIRST_RESEND_MS if answer.outcome == "unknown" else FIRST_BACKOFF_MS
    last = THROTTLED_BACKOFF_MS if answer.reason == Reason.THROTTLED else LAST_BACKOFF_MS
    if answer.reason == Reason.NOT_WRITTEN_IN_TIME:
        attempt = 0  # a slow process is no reason to wait longer each time
    # If the whole account waits (`holds`), that is the pause; the message's own back-off would only add to it.
    backoff = 0 if answer.holds else min(first * 2 ** min(attempt, 7), last)
    due = at + max(backoff, int(answer.retry_after * 1000))
    return ResultGroup(outcome=answer.outcome, reason=answer.reason, due=due)
