"""The circuit breaker of one aggregator on one worker (Nygard, Release It!, "Circuit Breaker").

    closed ──N failed batches in a row──▶ open ──back-off, then a health check──▶ half-open ──a probe──▶ closed
                                           ▲ longer each time ◀──no answer─┘   └──the probe fails──▶ open

While it is open no INTENT is written, so no recipient becomes unknown or uses up an attempt. A health check is a
request without messages; it costs nothing, however long the outage is. Only an aggregator that answers it gets a
probe of one message. After a first failure slices go one at a time: when the aggregator hangs with the window full,
only that window fails.

An aggregator that answers 429, or says when to retry (Retry-After), works but takes nothing from the account until
then: all lanes wait, and no INTENT is written. After that slices go one at a time in each lane until one is accepted.

Pure: `now` is in seconds of any steady clock, `jitter` in [0, 1) is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.sending.effects import Answered
from schemas.reasons import Reason

BreakerState = Literal["closed", "open", "half-open"]

FIRST_PAUSE, LAST_PAUSE = 1.0, 10.0
"""Seconds from opening to the first health check, doubled with each that fails; up to `JITTER` of it is added."""
JITTER: Final = 0.25
PROBE_MESSAGES: Final = 1
PROBE_PATIENCE: Final = 30.0
"""Seconds after which a probe that was never submitted (its campaign was paused) makes way for another."""
UNLIMITED: Final = 1_000_000
FIRST_HOLD, LAST_HOLD = 1.0, 60.0
"""Seconds that the account waits after a 429 without a Retry-After, doubled with each in a row."""


@dataclass(slots=True)
class Breaker:
    """State of one breaker; `limit` failed batches in a row open it."""

    limit: int
    state: BreakerState = "closed"
    failures: int = 0
    """Failed batches in a row."""
    reason: str = ""
    """Why the newest batch failed; "" since the last success."""
    opened_at: float = 0.0
    """When the current outage began; failed probes do not move it."""
    check_at: float = 0.0
    """When the next health check is due, while open."""
    worked: bool = False
    """Whether the newest answer was a success; False before the first one."""
    throttles: int = 0
    """Throttled batches in a row."""
    held_until: float = 0.0
    """Until when the aggregator takes nothing from this account, as it said."""
    _pause: float = FIRST_PAUSE
    _probe_at: float | None = None
    _probe_out: bool = False

    def allowance(self, now: float, under_way: int) -> int:
        """Maximum messages of an INTENT now, 0 for none; `under_way` slices of the lane have no outcome yet."""
        if self.state == "open" or self.held(now):
            return 0
        if self.state == "half-open":
            free = self._probe_at is None or now - self._probe_at > PROBE_PATIENCE
            return PROBE_MESSAGES if free and not self._probe_out and not under_way else 0
        return 0 if (self.failures or self.throttles) and under_way else UNLIMITED

    def held(self, now: float) -> float:
        """Seconds that the whole account still has to wait, 0 for none."""
        return max(0.0, self.held_until - now)

    def proposed(self, now: float) -> None:
        """Record that an INTENT is being written. In half-open it is the only probe."""
        if self.state == "half-open":
            self._probe_at = now

    def admit(self, now: float) -> bool:
        """Whether a slice may be handed over now; the state may have changed since its INTENT was written."""
        if self.held(now):
            return False
        if self.state == "half-open" and not self._probe_out:
            self._probe_out = True
            return True
        return self.state == "closed"

    def judge(self, now: float, answers: Sequence[Answered], jitter: float) -> None:
        """Process the answers to a slice that was admitted."""
        if reason := failure((answer.outcome, answer.reason) for answer in answers):
            self.failed(now, reason, jitter)
        else:
            self.succeeded()
        if answers and all(answer.holds for answer in answers):
            self._hold(now, max(answer.retry_after for answer in answers), jitter)
        else:
            self.throttles = 0

    def _hold(self, now: float, asked: float, jitter: float) -> None:
        if not self.held(now):
            # Slices that were under way before the first such answer get one, too; they count once.
            self.throttles += 1
        seconds = asked or min(FIRST_HOLD * 2.0 ** min(self.throttles - 1, 16), LAST_HOLD)
        self.held_until = max(self.held_until, now + seconds * (1 + JITTER * jitter))

    def succeeded(self) -> None:
        """Record that a batch was answered, even if it was rejected or throttled."""
        self.state, self.failures, self.reason, self.worked = "closed", 0, "", True
        self._pause = FIRST_PAUSE

    def failed(self, now: float, reason: str, jitter: float) -> None:
        """Record that a batch was not answered, or was answered with a server error."""
        self.failures += 1
        self.reason, self.worked = reason, False
        if self.state == "half-open":
            self._pause = min(2 * self._pause, LAST_PAUSE)
            self._open(now, jitter)
        elif self.state == "closed" and self.failures >= self.limit:
            self.opened_at = now
            self._open(now, jitter)

    def record_health_check(self, now: float, reason: str, jitter: float) -> None:
        """Record a health check: `reason` "" if the aggregator answered, else why it did not."""
        if self.state != "open":
            return
        if not reason:
            self.state, self._probe_at, self._probe_out = "half-open", None, False
            return
        self.reason = reason
        self._pause = min(2 * self._pause, LAST_PAUSE)
        self._open(now, jitter)

    def _open(self, now: float, jitter: float) -> None:
        self.state = "open"
        self.check_at = now + self._pause * (1 + JITTER * jitter)


def failure(outcomes: Iterable[tuple[str, str]]) -> str:
    """Why a batch of (outcome, reason) failed as a whole; "" if any of its messages was answered.

    `retry` is a failure unless it was throttled: refused connections, time-outs before the body was written, 503;
    also 401 and 404, which are not a message's fault. `unknown` is a failure: 5xx, no answer.
    """
    first = ""
    for outcome, reason in outcomes:
        if outcome not in {"retry", "unknown"} or reason == Reason.THROTTLED:
            return ""
        first = first or reason or outcome
    return first
