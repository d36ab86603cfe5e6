"""Which recipients of a flight had which outcome: the groups of a RESULT, cut to the flight's slices.

A RESULT that contradicts itself must not stop the lane. The first group that names a recipient counts; an index that
is out of range is ignored; a list of ids of the wrong length is ignored; and a recipient that no group names is
unknown. A list of segments of the wrong length is ignored, too: then those of the WORK count.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from pipeline.lane.state import Flight, subtract
from pipeline.lane.status import Part
from schemas.lane import FlightResult, ResultGroup, Slice
from schemas.reasons import Reason

Outcome = tuple[ResultGroup, Part]


def outcomes(flight: Flight, landed: FlightResult) -> tuple[list[Outcome], list[str]]:
    """Each recipient of the flight in one part, with the group that names it; and the problems in the groups. Of a
    flight that is asked for, only the open recipients have to be in a group."""
    segments, wrong = _segments(landed, flight.count)
    decided, problems = _decided(flight, landed.groups, segments)
    return decided, [*wrong, *problems]


def _segments(landed: FlightResult, count: int) -> tuple[list[int] | None, list[str]]:
    if landed.segments is None or len(landed.segments) == count:
        return landed.segments, []
    return None, [f"{len(landed.segments)} counts of segments for {count} recipients"]


def _decided(
    flight: Flight, groups: list[ResultGroup], segments: list[int] | None
) -> tuple[list[Outcome], list[str]]:
    if len(groups) == 1 and groups[0].indices is None:
        ids, all_problems = _ids(groups[0], flight.count)
        return [
            (groups[0], part) for part in _cut(flight, groups[0], range(flight.count), ids, segments)
        ], all_problems
    decided: list[Outcome] = []
    all_problems = []
    named: set[int] = set()
    for group in groups:
        indices, ids, problems = _sound(group, flight.count, named)
        all_problems += problems
        named.update(indices)
        decided += [(group, part) for part in _cut(flight, group, indices, ids, segments)]
    due = range(flight.count) if not flight.asking else open_indices(flight)
    missing = [index for index in due if index not in named]
    if missing:
        all_problems.append(f"{len(missing)} recipients are in no group")
        missing_group = ResultGroup(outcome="unknown", reason=Reason.NOT_IN_RESULT)
        decided += [(missing_group, part) for part in _cut(flight, missing_group, missing, None, segments)]
    return decided, all_problems


def _ids(group: ResultGroup, count: int) -> tuple[list[str] | None, list[str]]:
    if group.ids is None or len(group.ids) == count:
        return group.ids, []
    return None, [f"{len(group.ids)} ids for {count} recipients {group.outcome}"]


def _sound(group: ResultGroup, count: int, named: set[int]) -> tuple[range | list[int], list[str] | None, list[str]]:
    """The indices of a group that are in range and not named before, their ids, and the problems."""
    indices: range | list[int] = range(count) if group.indices is None else group.indices
    ids, problems = _ids(group, len(indices))
    fresh = set(indices)
    if len(fresh) == len(indices) and named.isdisjoint(fresh) and max(indices, default=0) < count:
        return indices, ids, problems
    problems.append(f"indices of {group.outcome} are out of range or named before")
    kept: list[int] = []
    places: list[int] = []
    taken = set(named)
    for place, index in enumerate(indices):
        if index < count and index not in taken:
            taken.add(index)
            kept.append(index)
            places.append(place)
    return kept, None if ids is None else [ids[place] for place in places], problems


def _cut(
    flight: Flight,
    group: ResultGroup,
    indices: range | list[int],
    ids: list[str] | None,
    segments: list[int] | None,
) -> list[Part]:
    starts = list(accumulate((stop - start for _, start, stop in flight.slices), initial=0))
    parts: list[Part] = []
    for first, last, place in _runs(indices):
        at = first
        while at < last:
            n = bisect_right(starts, at) - 1
            end = min(last, starts[n + 1])
            chunk, start, _ = flight.slices[n]
            low = start + at - starts[n]
            part_ids = None if ids is None else ids[place + at - first : place + end - first]
            own = None if segments is None else segments[at:end]
            slice_ = (chunk, low, low + end - at)
            parts.append(Part(slice_, flight.attempts[n], group.outcome, group.reason, part_ids, own))
            at = end
    return parts


def _runs(indices: range | list[int]) -> Iterator[tuple[int, int, int]]:
    """(first index, index after the last, place in the list) of each stretch of consecutive indices."""
    if isinstance(indices, range):
        yield indices.start, indices.stop, 0
        return
    begin = 0
    for place in range(1, len(indices) + 1):
        if place == len(indices) or indices[place] != indices[place - 1] + 1:
            yield indices[begin], indices[place - 1] + 1, begin
            begin = place


def cut_part(part: Part, low: int, high: int) -> Part:
    """Positions [low, high) of a part."""
    chunk, start, _ = part.slice
    ids = None if part.ids is None else part.ids[low - start : high - start]
    segments = None if part.segments is None else part.segments[low - start : high - start]
    return Part((chunk, low, high), part.attempt, part.state, part.reason, ids, segments)


def without(part: Part, settled: list[Slice]) -> list[Part]:
    """What remains of a part without the slices in `settled`."""
    remaining = subtract(part.slice, settled)
    return [part] if remaining == [part.slice] else [cut_part(part, low, high) for _, low, high in remaining]


def open_indices(flight: Flight) -> list[int]:
    """The indices of the flight's recipients that are not settled, as a RESULT counts them."""
    starts = accumulate((stop - start for _, start, stop in flight.slices), initial=0)
    return [
        first + position - start
        for first, slice_ in zip(starts, flight.slices, strict=False)
        for _, low, high in subtract(slice_, flight.settled)
        for start in (slice_[1],)
        for position in range(low, high)
    ]
