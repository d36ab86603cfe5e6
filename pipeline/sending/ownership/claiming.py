"""Who owns a lane (rules L1 and L2): claiming it, reading our own OWNER back, losing it to a later one."""

from __future__ import annotations

from typing import Final

CLAIM_SECONDS: Final = 2.0
"""Pause before a lane is claimed again."""


class Claim:
    """One worker's claim to one lane. Times are seconds on a steady clock."""

    def __init__(self) -> None:
        self.nonce = ""
        """The nonce of our newest assignment; "" while the lane is not assigned to us."""
        self.active = False
        """Whether this worker has read its own OWNER back and no later one."""
        self.epoch = 0
        """The epoch of our last ownership since the log was read from its beginning. Since then each INTENT is read
        once, so an INTENT of this epoch that we did not start was certainly not submitted."""
        self.assigned_at = 0.0
        self.due: float | None = None
        """When to write our OWNER, None: not now."""

    def assigned(self, nonce: str, now: float) -> None:
        """The consumer group assigned us the lane: claim it at once."""
        self.nonce, self.active = nonce, False
        self.assigned_at = self.due = now

    def released(self) -> None:
        """The consumer group revoked the lane."""
        self.nonce, self.active, self.due = "", False, None

    def begin(self) -> None:
        """The log is read from the start again."""
        self.active, self.epoch = False, 0

    def retry_later(self, now: float) -> float:
        """Claim the lane again later, because the broker did not answer or the group does not know us. Returns the
        seconds until then."""
        self.due = now + CLAIM_SECONDS
        return CLAIM_SECONDS

    def owned(self, nonce: str) -> bool:
        """Process an OWNER of the log. Returns whether we lost the lane to it."""
        is_lost = self.active and nonce != self.nonce
        self.active = bool(nonce) and nonce == self.nonce
        return is_lost
