"""Assigns lanes to workers: evenly by the load of the lanes, with as few moves as possible.

Faust assigns partitions by their number alone, so the lanes of one busy sender may all land on one worker. Here a
lane's weight is its limit; lanes without a sender weigh nothing and are spread by their count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

Assigned = dict[str, set[int]]
"""Worker → its lanes."""


def spread_lanes(weights: Mapping[int, int], before: Mapping[str, Collection[int]]) -> Assigned:
    """Assign each lane of `weights` (lane → load, 0 for none) to exactly one of the workers in `before` (worker → the
    lanes that it had). No single move makes two workers' loads more equal. Without workers nothing is assigned."""
    if not before:
        return {}
    loaded = {lane: weight for lane, weight in weights.items() if weight > 0}
    idle = dict.fromkeys(weights.keys() - loaded.keys(), 1)
    first, second = _balance(loaded, before), _balance(idle, before)
    return {worker: first[worker] | second[worker] for worker in before}


def _balance(weights: Mapping[int, int], before: Mapping[str, Collection[int]]) -> Assigned:
    assigned = _kept(weights, before)
    loads = {worker: sum(weights[lane] for lane in lanes) for worker, lanes in assigned.items()}
    for lane in _heaviest_first(weights, weights.keys() - set().union(*assigned.values())):
        worker = _lightest(loads)
        assigned[worker].add(lane)
        loads[worker] += weights[lane]
    while (move := _best_move(weights, assigned, loads)) is not None:
        lane, giver, taker = move
        assigned[giver].remove(lane)
        assigned[taker].add(lane)
        loads[giver] -= weights[lane]
        loads[taker] += weights[lane]
    return assigned


def _kept(weights: Mapping[int, int], before: Mapping[str, Collection[int]]) -> Assigned:
    """The lanes that each worker had and no worker before it claims: a worker that was away for a while still claims
    lanes that others have by now."""
    kept: Assigned = {}
    taken: set[int] = set()
    for worker in sorted(before):
        kept[worker] = (set(before[worker]) & weights.keys()) - taken
        taken |= kept[worker]
    return kept


def _best_move(
    weights: Mapping[int, int], assigned: Assigned, loads: Mapping[str, int]
) -> tuple[int, str, str] | None:
    """The (lane, from, to) that brings two workers' loads closest together; None if no move helps. A lane lighter
    than their difference always helps, and the sum of the squared loads falls with each move, so this ends."""
    taker = _lightest(loads)
    for giver in sorted(loads, key=lambda worker: (-loads[worker], worker)):
        gap = loads[giver] - loads[taker]
        movable = [lane for lane in assigned[giver] if weights[lane] < gap]
        if movable:
            return min(movable, key=lambda lane: (abs(gap - 2 * weights[lane]), lane)), giver, taker
    return None


def _lightest(loads: Mapping[str, int]) -> str:
    return min(loads, key=lambda worker: (loads[worker], worker))


def _heaviest_first(weights: Mapping[int, int], lanes: Collection[int]) -> list[int]:
    return sorted(lanes, key=lambda lane: (-weights[lane], lane))
