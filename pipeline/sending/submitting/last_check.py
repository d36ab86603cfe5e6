"""The last check before a slice is handed over (rule L5), repeated at the moment of writing if that comes late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from pipeline.lane.state import Flight, LaneState
from pipeline.limits.rate import Charge, Window
from pipeline.sending.effects import AwaitConsents, Instant, WakeLine
from pipeline.sending.outage.breaker import Breaker
from pipeline.sending.submitting.line import QueuedSlice
from pipeline.sending.submitting.submission import held_all, held_back, hold_while_away, hours_of, is_stale
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import ResultGroup

T = TypeVar("T")
LOOK_SECONDS: Final = 0.1
"""How often a slice that waits in line is checked at least."""
SHORT_HOLD_SECONDS: Final = 1.0
"""Slices wait in line if the aggregator throttles the account for at most this long; for longer, in the queue."""
CHECK_HOLDS_SECONDS: Final = 0.2
"""A slice that is written later than this after its last check is checked again."""

Held = list[ResultGroup | None]
"""Why each recipient is held back; None for those who go."""


@dataclass(frozen=True, slots=True)
class CheckedFlight:
    """A flight after its last check."""

    flight: Flight
    numbers: list[int]
    held: Held
    counted: list[int] | None = None
    """As in `Prepared`."""

    @property
    def goes(self) -> bool:
        return None in self.held

    def going(self, items: list[T]) -> list[T]:
        """Those of `items`, one for each recipient, that are not held back."""
        return [item for item, reason_held in zip(items, self.held, strict=True) if reason_held is None]


@dataclass(frozen=True, slots=True)
class Checked:
    """A slice of so many `messages` after its last check, at `at` (boot seconds). `charges` are what it uses of each
    limit."""

    flights: Sequence[CheckedFlight]
    messages: int
    at: float
    charges: Sequence[tuple[Window, Charge]]


class LastCheck:
    """Decides for one lane which recipients of a slice go now. `knows_consents`: whether this worker knows every
    opt-out that was acknowledged until a moment ago; `blocked`: why an account may not write to numbers; `quiet`: an
    account's quiet hours."""

    def __init__(
        self,
        blocked: Callable[[str, list[int]], list[str]],
        knows_consents: Callable[[], bool],
        quiet: Callable[[str], QuietHours],
    ) -> None:
        self._blocked = blocked
        self._knows_consents = knows_consents
        self._quiet = quiet

    def pause(
        self, breaker: Breaker, active: bool, queued: QueuedSlice, now: Instant
    ) -> WakeLine | AwaitConsents | None:
        """Wait in line for something that will pass in a moment: a short throttle of the account, or opt-outs that
        come late on a busy machine. Without this, slices would be written, read back and handed back again and again,
        which keeps the machine busy. A slice that waits until it is stale is handed back. None: the check can be made
        now."""
        if not active or is_stale(queued.flights[0].flight, now.ms):
            return None
        held = breaker.held(now.seconds)
        if 0 < held <= SHORT_HOLD_SECONDS:
            return WakeLine(min(held, LOOK_SECONDS))
        if not held and not self._knows_consents():
            return AwaitConsents(LOOK_SECONDS)
        return None

    def check(
        self, state: LaneState, breaker: Breaker, active: bool, queued: QueuedSlice, now: Instant
    ) -> list[CheckedFlight]:
        """Why each recipient of a slice's flights is held back; None for those who go now."""
        checked = [
            CheckedFlight(
                waiting.flight,
                waiting.prepared.numbers,
                self._held_back(state, active, waiting.flight, waiting.prepared.numbers, now.ms),
                waiting.prepared.counted,
            )
            for waiting in queued.flights
        ]
        if any(flight.goes for flight in checked) and not breaker.admit(now.seconds):
            wait = breaker.held(now.seconds)
            return [replace(flight, held=hold_while_away(flight.held, wait, now.ms)) for flight in checked]
        return checked

    def may_still_go(self, state: LaneState, active: bool, checked: Checked, now: Instant) -> bool:
        """Whether the recipients that passed the last check may be written now. A process that was suspended in
        between (SIGSTOP, a sleeping machine, a slow connection) would otherwise send to people who have opted out
        meanwhile."""
        if now.boot - checked.at < CHECK_HOLDS_SECONDS:
            return True
        return all(self._may_still_go(state, active, flight, now.ms) for flight in checked.flights)

    def _may_still_go(self, state: LaneState, active: bool, checked: CheckedFlight, now: int) -> bool:
        held_now = self._held_back(state, active, checked.flight, checked.numbers, now)
        return all(now_held is None for then, now_held in zip(checked.held, held_now, strict=True) if then is None)

    def _held_back(self, state: LaneState, active: bool, flight: Flight, numbers: list[int], now: int) -> Held:
        """Why the terms of the sender, the campaign's state, quiet hours or an opt-out hold each recipient back; None
        for those who may go."""
        terms = state.terms_of(flight.sender)
        if not (active and self._knows_consents()) or terms is None or terms.aggregator != flight.aggregator:
            return held_all(len(numbers), now)
        account = flight.sender[0]
        control = state.campaigns[flight.key[0]]
        hours = hours_of(state, flight, self._quiet(account), now)
        return held_back(flight, control, numbers, lambda of: self._blocked(account, of), now, hours)
