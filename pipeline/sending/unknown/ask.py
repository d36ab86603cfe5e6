"""How to find out what became of a flight: under policy `query` by asking the aggregator, else by waiting for the
lost owner's RESULT. When to ask, for which messages, and the RESULT that the answer becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.identity.tokens import message_ids
from pipeline.lane.outcomes import open_indices
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.effects import Answered
from pipeline.sending.submitting.submission import FIRST_BACKOFF_MS, LAST_BACKOFF_MS, STALE_MS
from schemas.lane import FlightResult, Result, ResultGroup
from schemas.reasons import Reason

MARGIN_MS: Final = 1000
ASKED_FOR_MS: Final = 24 * 3_600_000
"""How long after its INTENT a flight may still be queried; what is open then is finally unknown."""
HEARD_BY_MS: Final = STALE_MS + 9000
"""How long to wait for a lost owner. An owner that is alive hands back what it has not submitted when the INTENT is
`STALE_MS` old; the rest of this time is for writing its RESULT while the group is still rebalancing. A later RESULT
counts too, but by then the recipients were shown as unknown."""


def ask_after(settled_after: float) -> int:
    """Milliseconds to wait before asking, from the moment when the flight's owner was lost or had no answer.

    A stalled owner may still submit until its INTENT is `STALE_MS` old, and its request may arrive until
    `settled_after` seconds after that. If asked earlier, the answer "not seen" could become wrong. The wait counts
    from when the new owner learned of the loss, which is later than the INTENT, so clocks of two machines are never
    compared.
    """
    return STALE_MS + int(settled_after * 1000) + MARGIN_MS


def pause_before(attempt: int) -> int:
    """Milliseconds before asking again after `attempt` attempts (1 or more) without an answer."""
    return min(FIRST_BACKOFF_MS << min(attempt, 7), LAST_BACKOFF_MS)


def open_ids(state: LaneState, flight: Flight) -> list[str]:
    """Ids of the messages of a flight whose outcome is unknown, in the order of `open_indices`."""
    return [
        message_id
        for (chunk, start, stop), _ in flight.open()
        for message_id in message_ids(*flight.key, state.work(chunk).ordinals[start:stop])
    ]


def result_of_answer(flight: int, indices: Sequence[int], answers: Sequence[Answered], at: int) -> Result:
    """The RESULT of an answer about the `indices` of a flight; `at` in ms. Messages that were open when the
    aggregator was asked may be settled by now; the fold ignores those."""
    groups: dict[tuple[str, str], ResultGroup] = {}
    for index, answer in zip(indices, answers, strict=True):
        group = groups.get((answer.outcome, answer.reason))
        if group is None:
            group = groups[answer.outcome, answer.reason] = ResultGroup(
                outcome=answer.outcome, reason=answer.reason, indices=[], due=at if answer.outcome == "retry" else 0
            )
        assert group.indices is not None
        group.indices.append(index)
        if answer.outcome == "accepted":
            group.ids = [*(group.ids or ()), answer.aggregator_id]
    return Result(flights=[FlightResult(flight=flight, groups=list(groups.values()))], at=at, asked=True)


def result_without_answer(flight: Flight, at: int, reason: Reason = Reason.NO_ANSWER_TO_QUERY) -> Result:
    """The RESULT of a flight for which the time to ask or to wait is over; `at` in ms."""
    groups = [ResultGroup(outcome="unknown", reason=reason, indices=open_indices(flight))]
    return Result(flights=[FlightResult(flight=flight.id, groups=groups)], at=at, asked=True)
