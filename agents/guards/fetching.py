"""The fetcher of aiokafka, so that an idle process costs little and a lane's record waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Final

from aiokafka.consumer.fetcher import Fetcher

BUSY_WAIT_MS: Final = 50
"""How long a fetch that leaves out a partition may wait for the others."""
IDLE_WAIT_MS: Final = 250
"""How long a fetch of all partitions may wait: the first record ends it. A question that goes to the broker by the
same connection waits as long, and so does a seek."""


class PatientFetcher(Fetcher):  # type: ignore[misc]
    """Hazard: aiokafka keeps one fetch per broker in flight. One that leaves out a partition, whose records were not
    yet taken, keeps that partition waiting for as long as nothing comes for the others: Faust's 1,500 ms would show
    in the latency of a lane. A short wait for every fetch would cost an idle process and its broker most of what they
    use. Here a fetch waits long if it leaves out only what nobody takes (changelogs), and if the others are read on
    from where they are: a rebalance and a recovery move them."""

    taken: Callable[[], Container[Any]]
    """The partitions whose records are taken, and read on from where they are."""

    @classmethod
    def guard(cls, fetcher: Any, taken: Callable[[], Container[Any]]) -> None:
        """Make a fetcher that aiokafka has just started one of these."""
        if type(fetcher) is Fetcher:
            fetcher.__class__ = cls
            fetcher.taken = taken

    def _get_actions_per_node(self, assignment: Any) -> Any:
        self._fetch_max_wait_ms = self._wait_ms(assignment)
        return super()._get_actions_per_node(assignment)

    def _wait_ms(self, assignment: Any) -> int:
        taken = self.taken()
        asked_for = [tp for tp in assignment.tps if tp in taken]
        # A fetch asks for a partition if none of its records waits, its position is known, and it is not paused.
        asks_for_all = asked_for and all(
            tp not in self._records and (state := assignment.state_value(tp)).has_valid_position and not state.paused
            for tp in asked_for
        )
        return IDLE_WAIT_MS if asks_for_all else BUSY_WAIT_MS
