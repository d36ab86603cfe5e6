"""Which blows fall, in which order: a pure function of their number and a seed."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

WEIGHTS: Final = {
    "worker": 8,
    "coordinator": 5,
    "broker": 5,
    "zombie": 4,
    "writer": 6,
    "ingress": 6,
    "clickhouse": 5,
    "everything": 1,
    "storm": 1,
    "overlap": 6,
    "rolling": 1,
    "scale": 1,
    "restart": 1,
}
"""Kinds of blows and their shares; few blows take the first kinds. `worker` and `coordinator` (the worker that has
the coordinator's partition of a running campaign) are `kill -9` of a worker; `zombie` is SIGSTOP for longer than the
session time-out, then SIGCONT; `everything` kills all at once, supervisor included; `storm` adds and removes workers
every few seconds; `overlap` is two of SIGKILL and SIGSTOP, of a worker and of the broker, the second 0 to 15 s after
the first. In good order: `rolling` is SIGTERM of each worker in turn, `scale` adds two workers and takes them away
again, `restart` is `down` and `up` of the whole stack."""
PAUSE_SECONDS: Final = 2.0
OVERLAPPING: Final = ("kill worker", "kill broker", "stop worker", "stop broker")
"""Where two blows overlap, what each may be; what is stopped goes on after a few seconds."""
APART_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Blow:
    """`pick` in [0, 1) chooses among the possible targets, `pause` are seconds of quiet before it."""

    kind: str
    pick: float
    pause: float
    pair: tuple[str, str] = ("", "")
    """Of an overlap: what each of the two does."""
    apart: float = 0.0
    """Seconds from the first of the two to the second."""


def plan(blows: int, seed: int, only: Collection[str] = ()) -> list[Blow]:
    """`blows` of them in random order, the kinds (or `only` these) by their shares."""
    draw = random.Random(seed)
    kinds = [kind for kind, count in quotas(blows, only).items() for _ in range(count)]
    draw.shuffle(kinds)
    return [_drawn(kind, draw) for kind in kinds]


def _drawn(kind: str, draw: random.Random) -> Blow:
    blow = Blow(kind, draw.random(), draw.uniform(0.2, PAUSE_SECONDS))
    if kind != "overlap":
        return blow
    pair = (draw.choice(OVERLAPPING), draw.choice(OVERLAPPING))
    return replace(blow, pair=pair, apart=draw.uniform(0.0, APART_SECONDS))


def quotas(blows: int, only: Collection[str] = ()) -> dict[str, int]:
    """How many of each kind: one of each first, as far as they go, then by the largest share still unmet."""
    weights = {kind: weight for kind, weight in WEIGHTS.items() if not only or kind in only}
    total = sum(weights.values())
    quotas_by_kind = {kind: int(n < blows) for n, kind in enumerate(weights)}
    for _ in range(blows - sum(quotas_by_kind.values())):
        most = max(weights, key=lambda kind: weights[kind] / total * blows - quotas_by_kind[kind])
        quotas_by_kind[most] += 1
    return quotas_by_kind
