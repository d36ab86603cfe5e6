"""The circuit breaker of the modeled aggregator on the virtual clock: the production rule, its checks and probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.ports import SubmitOutcome
from pipeline.sending.outage.breaker import Breaker
from schemas.reasons import Reason, written
from simulation.aggregator import ModelledAggregator
from simulation.clock import Clock

NO_JITTER = 0.0
"""One worker checks, so there is nobody to keep apart from."""


class SimulatedBreaker:
    """Shared by all lanes, as `agents.lane.breaker` is; `limit` failed batches in a row open it."""

    def __init__(self, clock: Clock, aggregator: ModelledAggregator, limit: int) -> None:
        self.name = "simulated"
        self.rule = Breaker(limit)
        self.held_until_ms = 0
        """Until when the aggregator takes nothing from this account (ms), as it last said."""
        self.opened = 0
        """How often the breaker has opened."""
        self._clock = clock
        self._aggregator = aggregator
        self._wake: list[Callable[[], None]] = []

    def join(self, wake: Callable[[], None]) -> None:
        """Add a lane's callback that wakes it when the breaker closes or lets a probe through."""
        self._wake.append(wake)

    def record_result(self, outcomes: Sequence[SubmitOutcome]) -> None:
        """Process the aggregator's answers to a slice that was admitted."""
        before, held = self.rule.state, self.rule.held_until
        self.rule.judge(self._clock.seconds, outcomes, NO_JITTER)
        if self.rule.held_until != held:
            seconds = self.rule.held(self._clock.seconds)
            self.held_until_ms = self._clock.ms + int(seconds * 1000)
            self._clock.after(seconds, self._awake)
        if self.rule.state == before:
            return
        if self.rule.state == "open":
            self.opened += before == "closed"
            self._check_later()
        self._awake()

    def _check_later(self) -> None:
        self._clock.after(self.rule.check_at - self._clock.seconds, self._check_health)

    def _check_health(self) -> None:
        away = written(Reason.HTTP, "503") if self._aggregator.is_out(self._clock.ms) else ""
        self.rule.record_health_check(self._clock.seconds, away, NO_JITTER)
        if self.rule.state == "open":
            self._check_later()
        else:
            self._awake()

    def _awake(self) -> None:
        for wake in self._wake:
            wake()
