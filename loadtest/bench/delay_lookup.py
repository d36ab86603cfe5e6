"""What looking for due work costs in one process, with few and with many waiting (no stack: the lane's own state)."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

from loadtest.bench.delay_records import Template
from pipeline.lane.fold import apply
from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import Chunk, LaneState, pack
from pipeline.sending.picking.due import release_due
from pipeline.sending.picking.picked import Picked
from pipeline.sending.picking.picker import Room, pick
from schemas.lane import LANES, Control
from schemas.wire import CHUNK_LIMIT

WAITING, DUE = "0000wa1t", "0000dye1"
SENDER = ("demo", "main")
ROUNDS = 60
HOUR = 3_600_000


def microseconds(waiting: int, control: Callable[[str, int], Control]) -> dict[str, float]:
    """Medians of: when is the next due, releasing a chunk of 500 that is due, picking 100 of it, while `waiting`
    others wait in the same lane."""
    state, now = _lane(waiting, control), 10 * HOUR
    times: dict[str, list[float]] = {"next_due": [], "release": [], "pick": []}
    template = Template(DUE, 1)
    offset = state.next_offset
    for turn in range(ROUNDS):
        raw = template.record(turn * CHUNK_LIMIT, now, [(CHUNK_LIMIT, now + 1)])
        apply(state, offset, LANES.decode(raw), raw)
        offset += 1
        _timed(times["next_due"], state.table.next_due)
        _timed(times["release"], lambda at=now + 1: release_due(state, at, lambda sender: None))  # type: ignore[misc]
        _timed(times["pick"], lambda at=now + 1: _pick(state, at))  # type: ignore[misc]
        state.clear(DUE)
        now += 2
    return {name: round(statistics.median(values) * 1e6, 1) for name, values in times.items()}


def _timed(into: list[float], do: Callable[[], Any]) -> None:
    begun = perf_counter()
    do()
    into.append(perf_counter() - begun)


def _pick(state: LaneState, now: int) -> None:
    chosen = pick(
        state,
        Picked(),
        FairShare(),
        lambda numbers: [""] * len(numbers),
        now,
        Room(SENDER, messages=100, segments=200),
    )
    assert chosen is not None


def _lane(waiting: int, control: Callable[[str, int], Control]) -> LaneState:
    """Chunks of 500 in four runs each, due over many hours; they share their bytes, since nobody reads them."""
    state = LaneState()
    apply(state, 0, control(WAITING, 0), b"")
    apply(state, 1, control(DUE, 0), b"")
    packed = pack(Template(WAITING, 1).record(0, 0, [(CHUNK_LIMIT, 1)]))
    quarter = CHUNK_LIMIT // 4
    for n in range(waiting // CHUNK_LIMIT):
        chunk = Chunk(2 + n, (WAITING, 0), SENDER, packed)
        state.hold(chunk)
        for part in range(4):
            due = 20 * HOUR + part * HOUR + n % 5000 * 1000
            state.wait(chunk, part * quarter, (part + 1) * quarter, due, 0)
    state.next_offset = 2 + waiting // CHUNK_LIMIT
    return state
