"""Finds the waiting slice that makes picking fail, by trying each alone, so that the others go on."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.lane.delay_table import Span
from pipeline.lane.state import LaneState
from pipeline.sending.picking.picked import Picked
from schemas.lane import SenderId, Slice


class _Only(Picked):
    """Lets only one of the waiting spans be picked."""

    def __init__(self, picked: Picked, span: Span) -> None:
        super().__init__()
        self._picked = picked
        self._span = span

    def free(self, span: Span) -> list[tuple[int, int]]:
        return self._picked.free(span) if span is self._span else []


def find_poison(
    state: LaneState, sender: SenderId, picked: Picked, attempt: Callable[[Picked], object]
) -> tuple[list[Slice], str] | None:
    """The slices of the sender's first ready span for which `attempt` raises, and the error; None if it never raises.

    `attempt` picks from what it is given and must change nothing.
    """
    for key in state.table.ready_keys(sender):
        for span in state.table.ready((sender, key)):
            slices = [(span.chunk, start, stop) for start, stop in picked.free(span)]
            if not slices or not state.running(key[0]):
                continue
            try:
                attempt(_Only(picked, span))
            except Exception as error:  # noqa: BLE001 - no exception may stop the other slices
                return slices, f"{type(error).__name__}: {error}"
    return None
