"""What a lane announces about its aggregator's outage: to each campaign why it waits, and after a while that it is
suspended.

It is announced while the breaker is open or half-open, and while the aggregator throttles the account (429,
Retry-After). It is withdrawn once the aggregator has accepted a slice: by this owner, or by the next owner for what
an earlier one announced.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from pipeline.lane.state import LaneState
from pipeline.sending.effects import Announce, Instant
from pipeline.sending.outage.aggregator import SharedBreaker
from schemas.campaign import CampaignDocument, Note, Suspension
from schemas.lane import SenderId
from schemas.reasons import Reason, written

PAUSE: Final = 0.5
"""Seconds between two looks."""
WORTH_SAYING: Final = 2.0
"""An account is announced as throttled only if it has to wait at least that many more seconds."""
AGAIN: Final = 5.0
"""Seconds after which a withdrawal is repeated, if the campaign's document still has the announcement."""


class Outage:
    """One lane's announcements about outages of one aggregator. `suspend_after`: seconds of an outage after which
    campaigns are suspended; `document`: a campaign's newest document, None if it is not known."""

    def __init__(
        self,
        lane: int,
        breaker: SharedBreaker,
        suspend_after: float,
        document: Callable[[str], CampaignDocument | None],
    ) -> None:
        self._by = f"lane {lane}, aggregator {breaker.name}"
        self._breaker = breaker
        self._suspend_after = suspend_after
        self._document = document
        self.suspended = 0
        """Campaigns that this lane suspends, as of the last look."""
        self._looked = -PAUSE
        self._waiting: set[str] = set()
        """Campaigns that waited here, until nothing of ours is left to withdraw."""
        self._noted: dict[str, str] = {}
        self._suspended: dict[str, float] = {}
        self._taken_back: dict[str, float] = {}

    def look(self, state: LaneState, now: Instant) -> list[Announce]:
        """The announcements due now; may be called at any time."""
        if now.seconds - self._looked < PAUSE:
            return []
        self._looked = now.seconds
        announcements = self._look(state, now)
        self.suspended = self._held()
        return announcements

    def _look(self, state: LaneState, now: Instant) -> list[Announce]:
        rule = self._breaker.rule
        waiting = {
            campaign
            for sender, (campaign, _) in state.table.ready_queues()
            if state.running(campaign) and _uses(state, sender, self._breaker.name)
        }
        self._waiting |= waiting
        if rule.state != "closed":
            return self._each(waiting, lambda document: self._say(document, now))
        if rule.held(now.seconds) >= WORTH_SAYING:
            return self._each(waiting, lambda document: self._say_throttled(document, now))
        if rule.worked and not rule.throttles:
            self._noted.clear()
            self._suspended.clear()
            return self._each(set(self._waiting), lambda document: self._take_back(document, now, waiting))
        return []

    def _each(self, campaigns: set[str], do: Callable[[CampaignDocument], list[Announce]]) -> list[Announce]:
        announcements: list[Announce] = []
        for campaign in campaigns:
            document = self._document(campaign)
            if document is None:
                self._waiting.discard(campaign)
            else:
                announcements += do(document)
        return announcements

    def _say(self, document: CampaignDocument, now: Instant) -> list[Announce]:
        if document.status != "sending":
            return []
        reason = self._waits(self._breaker.rule.reason)
        announcements = self._note(document, reason, now)
        since = max(self._breaker.rule.opened_at, self._suspended.get(document.id, 0.0))
        if now.seconds - since >= self._suspend_after:
            self._suspended[document.id] = now.seconds
            announcements.append(self._hold(document.id, reason, now))
        return announcements

    def _say_throttled(self, document: CampaignDocument, now: Instant) -> list[Announce]:
        if document.status != "sending":
            return []
        until = datetime.fromtimestamp(self._breaker.held_until_ms / 1000, UTC)
        return self._note(document, self._waits(f"throttled until {until:%H:%M:%S} UTC"), now)

    def _note(self, document: CampaignDocument, reason: str, now: Instant) -> list[Announce]:
        if self._noted.get(document.id) == reason:
            return []
        self._noted[document.id] = reason
        return [Announce(Note(campaign=document.id, reason=reason, at=now.ms))]

    def _take_back(self, document: CampaignDocument, now: Instant, waiting: set[str]) -> list[Announce]:
        held = self._holds(document)
        noted = document.status == "sending" and document.reason.startswith(self._waits(""))
        if not held and not noted:
            if document.id not in waiting:
                self._waiting.discard(document.id)
            return []
        if now.seconds - self._taken_back.get(document.id, -AGAIN) < AGAIN:
            return []
        self._taken_back[document.id] = now.seconds
        if held:
            return [self._hold(document.id, "", now)]
        return [Announce(Note(campaign=document.id, reason="", at=now.ms))]

    def _hold(self, campaign: str, reason: str, now: Instant) -> Announce:
        return Announce(Suspension(campaign=campaign, suspended=bool(reason), reason=reason, at=now.ms, by=self._by))

    def _holds(self, document: CampaignDocument) -> bool:
        return any(hold.by == self._by and hold.reason for hold in document.holds)

    def _held(self) -> int:
        documents = (self._document(campaign) for campaign in self._waiting)
        return sum(
            document is not None and document.status == "suspended" and self._holds(document)
            for document in documents
        )

    def _waits(self, detail: str) -> str:
        return written(Reason.WAITING_FOR_AGGREGATOR, f"{self._breaker.name}: {detail}")


def _uses(state: LaneState, sender: SenderId, aggregator: str) -> bool:
    terms = state.senders.get(sender)
    return terms is not None and terms.aggregator == aggregator
