"""A limit as it is used: of a sender, or of an account over all its senders in the lane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.lane.state import LaneState
from pipeline.limits.rate import Pace, Window, slice_segments
from pipeline.sending.senders.punctuality import Punctuality


@dataclass(slots=True, eq=False)
class Flow:
    """What uses up one limit. Times are seconds on a steady clock."""

    pace: Pace
    window: Window
    punctuality: Punctuality
    ahead: int = 0
    """Segments that were picked and are not handed over: they use the limit before whatever is picked now."""

    def pause(self, now: float, segments: int, ahead_of_time: float) -> float:
        """Seconds until `segments` may be picked, so that their INTENT is read back, `ahead_of_time` seconds later,
        just when the limit has room for them."""
        return max(self.pace.wait(now), self.window.room_in(now, self.ahead, segments) - ahead_of_time)

    def room(self, now: float, ahead_of_time: float) -> float:
        """Segments for which there is room then, as far as that is certain."""
        return self.window.room(now + ahead_of_time, self.ahead)

    def picked(self, now: float, segments: int) -> None:
        """Segments were picked."""
        self.pace.spend(now, segments)
        self.ahead += segments


Share = tuple[Flow, int]
"""A limit, and the segments that use it."""


@dataclass(frozen=True, slots=True)
class Flows:
    """How the limits of a lane are kept: exactly, unless a simulation says otherwise. `size(state, rate, now, room)`
    is how many segments a slice may have where the limit has `room` for so many; `now` in ms."""

    pace: Callable[[float], Pace] = Pace
    window: Callable[[float], Window] = Window
    size: Callable[[LaneState, float, int, float], int] = field(
        default=lambda state, rate, now, room: slice_segments(rate, room)
    )
    is_exact: bool = True
    """False: as many slices under way as there are."""

    def of(self, rate: float) -> Flow:
        """A flow of `rate` segments per second that nothing has used yet."""
        return Flow(self.pace(rate), self.window(rate), Punctuality(rate))

    def change(self, flow: Flow, rate: float) -> None:
        """The limit is `rate` from now on. What was submitted before counts against it."""
        flow.pace.rate = self.pace(rate).rate
        flow.window.limit = self.window(rate).limit
        flow.punctuality.change(rate)


EXACT = Flows()
