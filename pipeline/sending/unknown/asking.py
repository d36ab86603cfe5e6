"""When a lane's owner asks what became of flights that nobody knows the outcome of, and what it writes then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.lane.outcomes import open_indices
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.effects import Answered, Instant, Log, Lookup, Plain, Report, Wake
from pipeline.sending.unknown.ask import (
    ASKED_FOR_MS,
    HEARD_BY_MS,
    answered,
    ask_after,
    given_up,
    open_ids,
    pause_before,
)
from schemas.reasons import Reason

AT_ONCE: Final = 4
"""Queries under way at once: after a crash there may be an in-flight window of them."""


@dataclass(slots=True)
class _Question:
    """About one flight. `due` (s): when to ask, or to give up on the lost owner."""

    due: float
    asks: bool
    """Whether the aggregator is asked, else the lost owner is waited for."""
    attempt: int = 0
    lookup: Lookup | None = None
    """What is under way."""


class Asking:
    """The questions of one lane, from the Ask effects of its log until their RESULTs are written or the lane is lost.

    What an owner leaves unanswered the next one asks for, because its OWNER record gives the same effects again.
    """

    def __init__(self, settled_after: float) -> None:
        self._settled_after = settled_after
        self._questions: dict[int, _Question] = {}

    def start(self, state: LaneState, flight: Flight, now: float) -> None:
        """Ask for a flight; nothing if it is asked for already."""
        if flight.offset not in self._questions:
            asks = state.asks(flight.key[0])
            pause = ask_after(self._settled_after) if asks else HEARD_BY_MS
            self._questions[flight.offset] = _Question(now + pause / 1000, asks)

    def clear(self) -> None:
        """The lane is lost, or has a new owner: who owns it asks."""
        self._questions.clear()

    def pause(self, now: float) -> float | None:
        """Seconds until there is something to ask or to write; None where time alone brings nothing."""
        if self._under_way() >= AT_ONCE:
            return None
        return min(
            (max(0.0, question.due - now) for question in self._questions.values() if question.lookup is None),
            default=None,
        )

    def on_time(self, state: LaneState, now: Instant) -> list[Plain]:
        """Ask what is due; the lane is ours."""
        effects: list[Plain] = []
        due = [
            offset
            for offset, question in self._questions.items()
            if question.lookup is None and question.due <= now.seconds
        ]
        for offset in due:
            effects += self._ask(state, offset, now)
        return effects

    def on_found(
        self, state: LaneState, lookup: Lookup, found: Sequence[Answered] | str, now: Instant
    ) -> list[Plain]:
        """What the aggregator said, or why there is no answer."""
        question = self._questions.get(lookup.intent)
        if question is None or question.lookup is not lookup:
            return []
        question.lookup = None
        if not isinstance(found, str):
            del self._questions[lookup.intent]
            told = f"told what became of {len(lookup.ids)} messages of INTENT {lookup.intent}"
            result = answered(lookup.intent, lookup.indices, found, now.ms)
            return [Report(result), Log("info", told), Wake(0.0)]
        question.attempt += 1
        question.due = now.seconds + pause_before(question.attempt) / 1000
        if question.attempt > 1:
            return [Wake(0.0)]
        return [Log("warning", f"no answer about {len(lookup.ids)} messages: {found}"), Wake(0.0)]

    def _ask(self, state: LaneState, offset: int, now: Instant) -> list[Plain]:
        question, flight = self._questions[offset], state.flights.get(offset)
        if flight is None or not flight.asking:
            del self._questions[offset]
            return []
        if not question.asks or now.ms - flight.at > ASKED_FOR_MS:
            del self._questions[offset]
            return [
                Report(given_up(flight, now.ms) if question.asks else given_up(flight, now.ms, Reason.OWNER_LOST))
            ]
        if self._under_way() >= AT_ONCE:
            return []
        question.lookup = Lookup(offset, open_ids(state, flight), open_indices(flight))
        return [question.lookup]

    def _under_way(self) -> int:
        return sum(question.lookup is not None for question in self._questions.values())
