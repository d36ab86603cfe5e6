"""The breaker of one aggregator on this worker, shared by its lanes: the clock, the jitter and the health checks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from adapters.clock import now_ms
from adapters.ports import AggregatorPort, SubmitOutcome
from pipeline.sending.outage.breaker import Breaker
from schemas import metrics

log = logging.getLogger(__name__)

_SHOWN: Final = {"closed": 0, "open": 1, "half-open": 2}


class AggregatorBreaker:
    """Made and used in one event loop. `name` is the aggregator's in the settings, `limit` as in
    `pipeline.sending.outage.breaker`."""

    def __init__(self, name: str, aggregator: AggregatorPort, limit: int) -> None:
        self.name = name
        self.rule = Breaker(limit)
        self._aggregator = aggregator
        self._about = {"aggregator": name}
        self._checking: asyncio.Task[None] | None = None
        self._wake: set[Callable[[], None]] = set()
        self.held_until_ms = 0
        """Until when the aggregator accepts nothing from this account (ms), according to its last answer."""
        self._held_timer: asyncio.TimerHandle | None = None
        metrics.AGGREGATOR_HELD.labels(name).set(0)
        self._show("closed")

    def join(self, wake: Callable[[], None]) -> None:
        """A lane that wants to be woken when the breaker changes."""
        self._wake.add(wake)

    def leave(self, wake: Callable[[], None]) -> None:
        self._wake.discard(wake)

    def allowance(self, under_way: int) -> int:
        """How many messages the lane's next INTENT may have, 0 for none."""
        return self.rule.allowance(monotonic(), under_way)

    def proposed(self) -> None:
        """An INTENT is being written."""
        self.rule.proposed(monotonic())

    def admit(self) -> bool:
        """Whether a slice may be handed over now; call it only for one that is."""
        return self.rule.admit(monotonic())

    @property
    def held(self) -> float:
        """Seconds that the account still has to wait because the aggregator said so."""
        return self.rule.held(monotonic())

    def record_result(self, outcomes: Sequence[SubmitOutcome]) -> None:
        """What the aggregator said of a slice that was admitted."""
        before, until, held = self.rule.state, self.rule.held_until, self.held
        self.rule.judge(monotonic(), outcomes, random.random())
        self._changed(before)
        if self.rule.held_until != until:
            self._hold(first=not held)

    async def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
        if self._held_timer is not None:
            self._held_timer.cancel()

    def _hold(self, *, first: bool) -> None:
        """The aggregator told the account to wait: all lanes know, and are woken when it is over. Slices that were
        under way get the same answer; only the `first` is logged."""
        seconds = self.held
        self.held_until_ms = now_ms() + int(seconds * 1000)
        metrics.AGGREGATOR_HELD.labels(self.name).set(1)
        if first:
            metrics.AGGREGATOR_HOLDS.labels(self.name).inc()
            log.warning(
                "aggregator %s wants nothing of this account for %.1f s", self.name, seconds, extra=self._about
            )
        if self._held_timer is not None:
            self._held_timer.cancel()
        self._held_timer = asyncio.get_running_loop().call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        metrics.AGGREGATOR_HELD.labels(self.name).set(0)
        for wake in self._wake:
            wake()

    def _changed(self, before: str) -> None:
        state = self.rule.state
        if state == before:
            return
        self._show(state)
        if state == "closed":
            log.warning("aggregator %s answers again", self.name, extra=self._about)
        elif state == "open":
            log.warning(
                "aggregator %s does not work (%s): nothing is submitted to it",
                self.name,
                self.rule.reason,
                extra=self._about,
            )
            if self._checking is not None:
                self._checking.cancel()
            self._checking = asyncio.create_task(self._check_health(), name=f"health-check-{self.name}")
        for wake in self._wake:
            wake()

    async def _check_health(self) -> None:
        while self.rule.state == "open":
            await asyncio.sleep(max(0.0, self.rule.check_at - monotonic()))
            reason = await self._aggregator.check_health()
            before = self.rule.state
            self.rule.record_health_check(monotonic(), reason, random.random())
            self._changed(before)

    def _show(self, state: str) -> None:
        metrics.AGGREGATOR_BREAKER.labels(self.name).set(_SHOWN[state])
