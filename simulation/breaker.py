"""The circuit breaker of the modelled aggregator on the virtual clock: the production rule, its checks and probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.ports import SubmitOutcome
from pipeline.sending.breaker import Breaker
from schemas.reasons import Reason, written
from simulation.aggregator import ModelledAggregator
from simulation.clock import Clock

NO_JITTER = 0.0
"""One worker checks, so there is nobody to keep apart from."""


class SimulatedBreaker:
    """Shared by all lanes, as `agents.lane.breaker` is; `limit` failed batches in a row open it."""

    def __init__(self, clock: Clock, aggregator: ModelledAggregator, limit: int) -> None:
        self.opened = 0
        """How often it has opened."""
        self._rule = Breaker(limit)
        self._clock = clock
        self._aggregator = aggregator
        self._wake: list[Callable[[], None]] = []

    def join(self, wake: Callable[[], None]) -> None:
        """A lane that is to be woken when it closes or lets a probe through."""
        self._wake.append(wake)

    def allowance(self, under_way: int) -> int:
        """How many messages a lane's next INTENT may have, 0 for none."""
        return self._rule.allowance(self._clock.seconds, under_way)

    def proposed(self) -> None:
        """An INTENT is being written."""
        self._rule.proposed(self._clock.seconds)

    def admit(self) -> bool:
        """Whether a slice may be handed over now."""
        return self._rule.admit(self._clock.seconds)

    @property
    def able(self) -> bool:
        """Whether the aggregator works, as far as is known."""
        return self._rule.state == "closed"

    @property
    def held(self) -> float:
        """Seconds that the account has to wait still because the aggregator said so."""
        return self._rule.held(self._clock.seconds)

    def told(self, outcomes: Sequence[SubmitOutcome]) -> None:
        """What the aggregator said of a slice that was admitted."""
        before, held = self._rule.state, self._rule.held_until
        self._rule.judge(self._clock.seconds, outcomes, NO_JITTER)
        if self._rule.held_until != held:
            self._clock.after(self.held, self._awake)
        if self._rule.state == before:
            return
        if self._rule.state == "open":
            self.opened += before == "closed"
            self._check_later()
        self._awake()

    def _check_later(self) -> None:
        self._clock.after(self._rule.check_at - self._clock.seconds, self._check_health)

    def _check_health(self) -> None:
        away = written(Reason.HTTP, "503") if self._aggregator.is_out(self._clock.ms) else ""
        self._rule.record_health_check(self._clock.seconds, away, NO_JITTER)
        if self._rule.state == "open":
            self._check_later()
        else:
            self._awake()

    def _awake(self) -> None:
        for wake in self._wake:
            wake()
