"""When a lane's owner asks for the outcomes of flights that are unknown, and what it writes about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.lane.outcomes import open_indices
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.effects import Answered, Instant, Log, Lookup, Plain, Report, Wake
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.sending.unknown.ask import (
    ASKED_FOR_MS,
    HEARD_BY_MS,
    ask_after,
    open_ids,
    pause_before,
    result_of_answer,
    result_without_answer,
)
from schemas.lane import intent_of
from schemas.reasons import Reason

AT_ONCE: Final = 4
"""Maximum queries under way at once: after a crash a whole in-flight window may be asked for."""


@dataclass(slots=True)
class _Question:
    """A question about one flight. `due` (s): when to ask, or to stop waiting for the lost owner."""

    due: float
    asks: bool
    """Whether the aggregator is asked; if not, the lost owner's RESULT is waited for."""
    attempt: int = 0
    lookup: Lookup | None = None
    """The query under way."""


class Asking:
    """The questions of one lane, from the Ask effects of its log until their RESULTs are written or the lane is lost.

    The next owner asks again for what is still unanswered, because its OWNER record causes the same effects.
    """

    def __init__(self, aggregator_of: Callable[[Flight], LaneAggregator | None]) -> None:
        self._aggregator_of = aggregator_of
        self._questions: dict[int, _Question] = {}

    def start(self, state: LaneState, flight: Flight, now: float) -> None:
        """Ask for a flight, unless it is asked for already."""
        if flight.id not in self._questions:
            asks = state.asks(flight.key[0])
            aggregator = self._aggregator_of(flight)
            settled_after = 0.0 if aggregator is None else aggregator.settled_after
            pause = ask_after(settled_after) if asks else HEARD_BY_MS
            self._questions[flight.id] = _Question(now + pause / 1000, asks)

    def clear(self) -> None:
        """Drop all questions: the lane has a new owner, who asks them."""
        self._questions.clear()

    def pause(self, now: float) -> float | None:
        """Seconds until there is something to ask or to write; None if time alone changes nothing."""
        if self._under_way() >= AT_ONCE:
            return None
        return min(
            (max(0.0, question.due - now) for question in self._questions.values() if question.lookup is None),
            default=None,
        )

    def on_time(self, state: LaneState, now: Instant) -> list[Plain]:
        """Ask the questions that are due. Only for the lane's owner."""
        effects: list[Plain] = []
        due = [
            flight
            for flight, question in self._questions.items()
            if question.lookup is None and question.due <= now.seconds
        ]
        for flight in due:
            effects += self._ask(state, flight, now)
        return effects

    def on_lookup(
        self, state: LaneState, lookup: Lookup, answers: Sequence[Answered] | str, now: Instant
    ) -> list[Plain]:
        """Process what the aggregator answered, or why it did not."""
        question = self._questions.get(lookup.flight)
        if question is None or question.lookup is not lookup:
            return []
        question.lookup = None
        if not isinstance(answers, str):
            del self._questions[lookup.flight]
            intent = intent_of(lookup.flight)
            text = f"the aggregator answered what became of {len(lookup.ids)} messages of INTENT {intent}"
            result = result_of_answer(lookup.flight, lookup.indices, answers, now.ms)
            return [Report(result), Log("info", text), Wake(0.0)]
        question.attempt += 1
        question.due = now.seconds + pause_before(question.attempt) / 1000
        if question.attempt > 1:
            return [Wake(0.0)]
        return [Log("warning", f"no answer about {len(lookup.ids)} messages: {answers}"), Wake(0.0)]

    def _ask(self, state: LaneState, flight_id: int, now: Instant) -> list[Plain]:
        question, flight = self._questions[flight_id], state.flights.get(flight_id)
        if flight is None or not flight.asking:
            del self._questions[flight_id]
            return []
        aggregator = self._aggregator_of(flight)
        if not question.asks or now.ms - flight.at > ASKED_FOR_MS or aggregator is None:
            del self._questions[flight_id]
            return [
                Report(
                    result_without_answer(flight, now.ms)
                    if question.asks
                    else result_without_answer(flight, now.ms, Reason.OWNER_LOST)
                )
            ]
        if self._under_way() >= AT_ONCE:
            return []
        question.lookup = Lookup(flight_id, aggregator.name, open_ids(state, flight), open_indices(flight))
        return [question.lookup]

    def _under_way(self) -> int:
        return sum(question.lookup is not None for question in self._questions.values())
