"""The last check before a slice is handed over (rule L5), and once more in the moment of writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pipeline.eligibility.optouts import Blocked
from pipeline.lane.state import Flight, LaneState
from pipeline.limits.rate import Charge
from pipeline.sending.effects import AwaitConsents, Instant, WakeLine
from pipeline.sending.outage.breaker import Breaker
from pipeline.sending.submitting.line import QueuedSlice
from pipeline.sending.submitting.submission import away, held_all, held_back, hours_of, is_stale
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import ResultGroup

LOOK_SECONDS: Final = 0.1
"""How often at least a slice that waits in its place looks whether it still may."""
SHORT_HOLD_SECONDS: Final = 1.0
"""Slices wait in their place while the aggregator wants nothing of the account for so long; longer, in the queue."""
CHECK_HOLDS_SECONDS: Final = 0.2
"""A slice that is not written within this of its last check is checked again at the moment of writing."""

Held = list[ResultGroup | None]
"""Why each recipient is held back, None for those that go."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A slice after its last check, at `at` (boot seconds). `charge` is its place in the limit, None: nobody goes."""

    flight: Flight
    numbers: list[int]
    held: Held
    at: float
    charge: Charge | None

    def going(self, items: list[Any]) -> list[Any]:
        """Those of `items`, one per recipient, that are not held back."""
        return [item for item, why in zip(items, self.held, strict=True) if why is None]


class LastCheck:
    """Decides for one lane who of a slice goes now. `knows_consents`: whether every opt-out is known here that was
    acknowledged until a moment ago."""

    def __init__(
        self, breaker: Breaker, blocked: Blocked, knows_consents: Callable[[], bool], quiet: QuietHours
    ) -> None:
        self._breaker = breaker
        self._blocked = blocked
        self._knows_consents = knows_consents
        self._quiet = quiet

    def pause(self, active: bool, flight: Flight, now: Instant) -> WakeLine | AwaitConsents | None:
        """Wait in place for what is over in a moment: a short hold of the account, opt-outs that come late on a busy
        machine. Slices that were given back for it would be written, read back and given back again, which keeps the
        machine busy. Whoever waited until the slice is stale is given back. None: the check can be made now."""
        if not active or is_stale(flight, now.ms):
            return None
        held = self._breaker.held(now.seconds)
        if 0 < held <= SHORT_HOLD_SECONDS:
            return WakeLine(min(held, LOOK_SECONDS))
        if not held and not self._knows_consents():
            return AwaitConsents(LOOK_SECONDS)
        return None

    def check(self, state: LaneState, active: bool, queued: QueuedSlice, now: Instant) -> Held:
        """Why each recipient is held back, None for those that go now."""
        held = self._held_back(state, active, queued.flight, queued.prepared.numbers, now.ms)
        if None in held and not self._breaker.admit(now.seconds):
            return away(held, self._breaker.held(now.seconds), now.ms)
        return held

    def may_still_go(self, state: LaneState, active: bool, checked: Checked, now: Instant) -> bool:
        """Whether what the last check let through may be written now. A process that stood still in between (SIGSTOP,
        a machine asleep, a connection that was long in coming) would send to who has opted out meanwhile."""
        if now.boot - checked.at < CHECK_HOLDS_SECONDS:
            return True
        again = self._held_back(state, active, checked.flight, checked.numbers, now.ms)
        return all(after is None for before, after in zip(checked.held, again, strict=True) if before is None)

    def _held_back(self, state: LaneState, active: bool, flight: Flight, numbers: list[int], now: int) -> Held:
        """Why the campaign's state, the hours or an opt-out hold each recipient back, None for those that may go."""
        if not (active and self._knows_consents()):
            return held_all(len(numbers), now)
        control = state.campaigns[flight.key[0]]
        hours = hours_of(state, flight, self._quiet, now)
        return held_back(flight, control, numbers, self._blocked, now, hours)
