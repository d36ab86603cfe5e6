"""The conservation accounting: from sizes of sets to figures in which every recipient is in exactly one state.

A state's figure is its set without the sets of the states that may follow it (`schemas.succession`). The engine
measures the unions along that order, so each figure is a difference of two sizes. States that may not follow each
other are not taken off each other: who is canceled and accepted counts twice, and the residual is not 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from schemas.figures import Figures, MessageSets, StateSet
from schemas.succession import BILLED, EVENTS, FINAL, SHOWN, SHOWN_AS, rank


def figures(sets: MessageSets) -> Figures:
    """The figures of one message.

    Raises:
        ValueError: a set has a state that the conservation does not know.
    """
    kept = [item for item in sets.sets if item.state not in EVENTS]
    current = _current(kept)
    per_reason: defaultdict[tuple[str, str], int] = defaultdict(int)
    for state_set, count in current:
        per_reason[state_set.state, state_set.reason] += count
    recorded = sum(count for _, count in current)
    doubled = _own_finals(kept, per_reason)
    states = dict.fromkeys(SHOWN, 0)
    reasons: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (state, reason), count in per_reason.items():
        shown = SHOWN_AS.get(state, state)
        states[shown] += count
        if count:
            reasons[shown][reason] += count
    states["pending"] = sets.audience_rows - (recorded - sets.outside)
    missing = sets.recipients - sets.audience_rows
    lines = _billed(sets, current)
    undecided = [
        (count * state_set.segments, state_set.price) for state_set, count in current if state_set.state == "unknown"
    ]
    return Figures(
        campaign=sets.campaign,
        message=sets.message,
        targeted=sets.recipients,
        states=states,
        reasons={state: dict(counts) for state, counts in reasons.items()},
        events=_events(sets.sets),
        clicks=sets.clicks,
        accepted_ever=sum(messages for _, messages, _ in lines),
        segments=sum(segments for _, _, segments in lines),
        spend=sum(price * segments for price, _, segments in lines),
        lines=lines,
        undecided=sum(segments * price for segments, price in undecided),
        undecided_segments=sum(segments for segments, _ in undecided),
        residual=_residual(sets.recipients, states, (missing, doubled, sets.outside)),
        missing=missing,
        doubled=doubled,
        outside=sets.outside,
        newest_at=sets.newest_at,
        inserted_at=sets.inserted_at,
    )


def _residual(recipients: int, states: Mapping[str, int], defects: tuple[int, int, int]) -> int:
    balance = recipients - sum(states.values())
    return balance or sum(abs(defect) for defect in defects)


def _place(state_set: StateSet) -> tuple[int, bool, str, int, int]:
    """Of sets of one state that with a reason comes first: a receipt without a code does not erase one with."""
    return (
        -rank(state_set.state, state_set.attempt),
        not state_set.reason,
        state_set.reason,
        state_set.segments,
        state_set.price,
    )


def _current(kept: Sequence[StateSet]) -> list[tuple[StateSet, int]]:
    """Each set with how many of its ordinals no set before it in the order reached."""
    order = sorted(kept, key=_place)
    before = [0, *(state_set.reached for state_set in order)]
    return [(state_set, state_set.reached - size) for state_set, size in zip(order, before, strict=False)]


def _own_finals(kept: Iterable[StateSet], counts: defaultdict[tuple[str, str], int]) -> int:
    """Put the whole of each final state into `counts`; returns how many were in a state before it in the order."""
    finals: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for state_set in kept:
        if state_set.state in FINAL:
            finals[state_set.state][state_set.reason] = state_set.own
    doubled = 0
    for state, sizes in finals.items():
        before = 0
        for reason, size in sorted(sizes.items()):
            doubled += size - before - counts[state, reason]
            counts[state, reason] = size - before
            before = size
    return doubled


def _events(sets: Iterable[StateSet]) -> dict[str, dict[str, int]]:
    events: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for item in sets:
        if item.state in EVENTS:
            events[item.state][item.reason] = item.own
    return dict(events)


def _billed(sets: MessageSets, current: Iterable[tuple[StateSet, int]]) -> tuple[tuple[int, int, int], ...]:
    """(price, messages, segments) of all that the aggregator took, whatever a receipt said later.

    That is what was accepted, and what was unknown and has a receipt that only a message it took can have.
    """
    sizes: defaultdict[tuple[int, int], int] = defaultdict(int)
    for state_set, count in _chained(sets.sets):
        if state_set.state == "accepted" or sets.settled is None:
            sizes[state_set.segments, state_set.price] += count
    if sets.settled is None:
        for state_set, count in current:
            if state_set.state == "unknown":
                sizes[state_set.segments, state_set.price] -= count
    for late in sets.settled or ():
        sizes[late.segments, late.price] += late.recipients
    lines: defaultdict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (segments, price), size in sizes.items():
        lines[price] = lines[price][0] + size, lines[price][1] + size * segments
    return tuple((price, *line) for price, line in sorted(lines.items()) if any(line))


def _chained(sets: Iterable[StateSet]) -> list[tuple[StateSet, int]]:
    """Each accepted set, then each unknown one, with how many of its ordinals no set before it has."""
    billed = [item for item in sets if item.state in BILLED]
    order = sorted(
        billed,
        key=lambda state_set: (
            state_set.state,
            state_set.segments,
            state_set.price,
            state_set.reason,
            state_set.attempt,
        ),
    )
    before = [0, *(state_set.own for state_set in order)]
    return [(state_set, state_set.own - size) for state_set, size in zip(order, before, strict=False)]
