"""The spans of sampled chunks in one lane, from the delay table to the RESULT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from adapters.clock import now_ns
from adapters.ports import Span
from agents.traces import KAFKA, NOTHING, Attributes, Traces, eligibility_of, harmless
from pipeline.insight.traces import chunk_of, span_id
from pipeline.lane.lateness import planned
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.driver import LaneDriver
from schemas import topics
from schemas.ids import bucket, partition_of_bucket
from schemas.lane import Defer, Drop, FlightResult, Result, ResultGroup, Slice, Work, intent_of
from schemas.reasons import label_of

_MS: Final = 1_000_000
"""Nanoseconds."""


_KINDS: Final[Mapping[str, Literal["client", "producer"]]] = {
    "intent": "producer",
    "submit": "client",
    "result": "producer",
}
"""Of spans that are not internal."""


@dataclass(slots=True)
class _Part:
    """What a record has of one sampled chunk."""

    trace: int
    lane: int
    about: Attributes
    eligibility: int
    """Id of the span that wrote the WORK."""
    places: list[tuple[int, int]] = field(default_factory=list)
    """[first, last) of its recipients among those of the record."""

    @property
    def count(self) -> int:
        return sum(last - first for first, last in self.places)

    def has(self, index: int) -> bool:
        return any(first <= index < last for first, last in self.places)

    def span(self, name: str, which: tuple[int, ...], during: tuple[int, int], more: Attributes = NOTHING) -> Span:
        """The span `name` below eligibility, from when to when (ns); `which` tells it from others of its name."""
        return Span(
            trace=self.trace,
            id=span_id(self.trace, name, self.lane, *which),
            parent=self.eligibility,
            name=name,
            kind=_KINDS.get(name, "internal"),
            begin=during[0],
            end=during[1],
            attributes={**self.about, **more},
        )

    def below(self, span: Span, flight: int) -> Span:
        """The same below the span of a pick of an INTENT."""
        return replace(span, parent=span_id(self.trace, "intent", self.lane, flight))


@dataclass(slots=True)
class _Open:
    """A pick of ours with sampled chunks, and when (ns) it went through what; 0: not yet."""

    parts: list[_Part]
    read: int
    aggregator: str
    handed_over: int = 0
    reported: int = 0
    groups: list[ResultGroup] = field(default_factory=list)


class LaneTraces:
    """Makes the spans of one lane on one worker. Its memory is the sampled INTENTs in flight: all else is in the
    lane's log, so a wait of hours across restarts has its span too."""

    def __init__(self, lane: int, traces: Traces, driver: LaneDriver[Any]) -> None:
        self._lane = lane
        self._traces = traces
        self._driver = driver
        self._open: dict[int, _Open] = {}

    @harmless
    def read(self, offset: int, at: int) -> None:
        """The record at `offset` of the log was read at `at` (ms), and processed."""
        state = self._driver.state
        for flight_id in self._open.keys() - state.flights.keys():
            self._landed(flight_id, self._open.pop(flight_id))
        if not self._driver.active:
            return
        for flight in state.flights.values():
            if flight.intent == offset and flight.epoch == self._driver.claim.epoch:
                self._picked(state, flight, at)

    @harmless
    def handed_over(self, intent: int) -> None:
        """The slice of an INTENT goes to the aggregator now."""
        for flight, slice_ in self._open.items():
            if intent_of(flight) != intent:
                continue
            slice_.handed_over = now_ns()
            for part in slice_.parts:
                self._traces.add(part.below(part.span("line", (flight,), (slice_.read, slice_.handed_over)), flight))

    @harmless
    def reported(self, result: Result) -> None:
        """What became of flights is known, and their RESULT is being written."""
        for landed in result.flights:
            slice_ = self._open.get(landed.flight)
            if slice_ is not None:
                self._reported(landed, slice_)

    def _reported(self, landed: FlightResult, slice_: _Open) -> None:
        slice_.reported, slice_.groups = now_ns(), landed.groups
        if not slice_.handed_over:
            return
        for part in slice_.parts:
            outcomes, reasons = _outcomes(part, landed.groups)
            more = {"longwave.aggregator": slice_.aggregator, **_named(outcomes, reasons)}
            span = part.span("submit", (landed.flight,), (slice_.handed_over, slice_.reported), more)
            # A few numbers that are refused are no failure of the request.
            error = "" if outcomes["accepted"] else ", ".join(reasons) or "nothing was accepted"
            self._traces.add(part.below(replace(span, error=error), landed.flight))

    @harmless
    def withheld(self, record: Drop | Defer) -> None:
        """Recipients who are due are not submitted, or not yet: a DROP or DEFER is being written."""
        name = "drop" if isinstance(record, Drop) else "defer"
        for part in self._parts(self._driver.state, record.slices):
            reason = {f"longwave.reason.{label_of(record.reason)}": part.count}
            self._traces.add(part.span(name, (record.at,), (record.at * _MS, now_ns()), reason))

    def _picked(self, state: LaneState, flight: Flight, at: int) -> None:
        parts = self._parts(state, flight.slices)
        if not parts:
            return
        terms = state.senders.get(flight.sender)
        slice_ = self._open[flight.id] = _Open(parts, at * _MS, "" if terms is None else terms.aggregator)
        self._waited(state, flight, {part.trace: part for part in parts})
        for part in parts:
            more = {
                **self._sent(),
                "messaging.kafka.offset": flight.intent,
                "longwave.recipients": part.count,
                "longwave.attempt": max(flight.attempts),
            }
            self._traces.add(part.span("intent", (flight.id,), (flight.at * _MS, slice_.read), more))

    def _waited(self, state: LaneState, flight: Flight, parts: Mapping[int, _Part]) -> None:
        """The time until the recipients of a slice were due, and from then until they were picked. Since when a
        repetition was due the lane does not keep."""
        for (offset, start, stop), attempt in zip(flight.slices, flight.attempts, strict=True):
            if attempt:
                continue
            work, chunk = state.work(offset), state.chunks[offset]
            trace = self._traces.sampled(*chunk.key, chunk_of(work.ordinals[start]))
            if trace is None:
                continue
            part = parts[trace]
            for place, count, due, reason in _delays_begun(work, start, stop):
                why: Attributes = {f"longwave.reason.{label_of(reason)}": count} if reason else NOTHING
                delayed = {"longwave.recipients": count, **why}
                self._traces.add(part.span("delay", (offset, place), (work.at * _MS, due * _MS), delayed))
            due = max(planned(chunk, work, start), work.at)
            waited = {"longwave.recipients": stop - start}
            self._traces.add(part.span("wait", (flight.id, offset, start), (due * _MS, flight.at * _MS), waited))

    def _landed(self, flight: int, slice_: _Open) -> None:
        """The RESULT was read back. Without one of ours the log was read anew, and there is nothing to tell."""
        if not slice_.reported:
            return
        for part in slice_.parts:
            more = {**self._sent(), **_named(*_outcomes(part, slice_.groups))}
            self._traces.add(part.below(part.span("result", (flight,), (slice_.reported, now_ns()), more), flight))

    def _parts(self, state: LaneState, slices: Iterable[Slice]) -> list[_Part]:
        """What the slices have of sampled chunks."""
        parts: dict[int, _Part] = {}
        place = 0
        for offset, start, stop in slices:
            first, place = place, place + stop - start
            work, (campaign, message) = state.work(offset), state.chunks[offset].key
            number = chunk_of(work.ordinals[start])
            trace = self._traces.sampled(campaign, message, number)
            if trace is None:
                continue
            if trace not in parts:
                partition = partition_of_bucket(bucket(work.numbers[start]), self._traces.partitions)
                about = {**self._traces.about(campaign, message, number), "longwave.lane": self._lane}
                parts[trace] = _Part(trace, self._lane, about, eligibility_of(trace, partition))
            parts[trace].places.append((first, place))
        return [*parts.values()]

    def _sent(self) -> Attributes:
        """A record of ours in the lane's log, in the words of OpenTelemetry's conventions for messaging."""
        return {
            **KAFKA,
            "messaging.operation.type": "send",
            "messaging.operation.name": "send",
            "messaging.destination.name": topics.LANES.name,
            "messaging.destination.partition.id": str(self._lane),
        }


def _delays_begun(work: Work, start: int, stop: int) -> Iterator[tuple[int, int, int, str]]:
    """(place, count, due, reason) of each run of recipients who had to wait and of whom the first is in
    [start, stop): a run that is submitted in several slices has waited once."""
    place = 0
    for (count, due), reason in zip(work.dues, work.reasons or [""] * len(work.dues), strict=True):
        if start <= place < stop and due > work.at:
            yield place, count, due, reason
        place += count


def _outcomes(part: _Part, groups: Iterable[ResultGroup]) -> tuple[Counter[str], Counter[str]]:
    """Recipients of a part by outcome, and by reason."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for group in groups:
        count = part.count if group.indices is None else sum(map(part.has, group.indices))
        outcomes[group.outcome] += count
        if group.reason and count:
            reasons[label_of(group.reason)] += count
    return outcomes, reasons


def _named(outcomes: Counter[str], reasons: Counter[str]) -> Attributes:
    return {
        **{f"longwave.outcome.{outcome}": count for outcome, count in outcomes.items() if count},
        **{f"longwave.reason.{reason}": count for reason, count in reasons.items()},
    }
