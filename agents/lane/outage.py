"""What a lane says of its aggregator's outage: to each campaign why it waits, and after a while that it is suspended.

It is said while the breaker is open or half-open, and while the aggregator wants nothing of the account for a time
(429, Retry-After); it is taken back once the aggregator has taken a slice: by this owner, or by the next one for what
an earlier owner said.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from adapters.clock import now_ms
from agents.context import Context
from agents.lane.breaker import AggregatorBreaker
from agents.outbox import Outbox
from agents.runner import output
from pipeline.lane.state import LaneState
from schemas import metrics, topics
from schemas.campaign import CampaignDocument, Note, Suspension
from schemas.reasons import Reason, written

PAUSE = 0.5
"""Seconds between two looks."""
WORTH_SAYING = 2.0
"""Seconds that an account must be throttled still for its campaigns to say so."""
AGAIN = 5.0
"""Seconds after which something is taken back again, if the campaign's document still has it."""


class Outage:
    """One lane's view of it; `look` does all."""

    def __init__(self, lane: int, context: Context, breaker: AggregatorBreaker, outbox: Outbox) -> None:
        self._lane = lane
        self._by = f"lane {lane}"
        self._context = context
        self._breaker = breaker
        self._outbox = outbox
        self._looked = -PAUSE
        self._waiting: set[str] = set()
        """Campaigns that waited here, until nothing of ours is left to take back."""
        self._noted: dict[str, str] = {}
        self._suspended: dict[str, float] = {}
        self._taken_back: dict[str, float] = {}

    def look(self, state: LaneState) -> None:
        """Say what there is to say; called as often as the owner likes."""
        now = monotonic()
        if now - self._looked < PAUSE:
            return
        self._looked = now
        waiting = {campaign for campaign, _ in state.table.ready_keys() if state.running(campaign)}
        self._waiting |= waiting
        if self._breaker.rule.state != "closed":
            self._each(waiting, lambda document: self._say(document, now))
        elif self._breaker.held >= WORTH_SAYING:
            self._each(waiting, self._say_throttled)
        elif self._breaker.rule.worked and not self._breaker.rule.throttles:
            self._noted.clear()
            self._suspended.clear()
            self._each(set(self._waiting), lambda document: self._take_back(document, now, waiting))
        metrics.LANE_SUSPENDED.labels(self._lane).set(self._held())

    def _each(self, campaigns: set[str], do: Callable[[CampaignDocument], None]) -> None:
        for campaign in campaigns:
            document = self._context.campaigns.get(campaign)
            if document is None:
                self._waiting.discard(campaign)
            else:
                do(document)

    def _say(self, document: CampaignDocument, now: float) -> None:
        if document.status != "sending":
            return
        reason = self._waits(self._breaker.rule.reason)
        self._note(document, reason)
        since = max(self._breaker.rule.opened_at, self._suspended.get(document.id, 0.0))
        if now - since >= self._context.settings.worker.suspend_after:
            self._suspended[document.id] = now
            self._hold(document.id, reason)

    def _say_throttled(self, document: CampaignDocument) -> None:
        if document.status == "sending":
            until = datetime.fromtimestamp(self._breaker.held_until_ms / 1000, UTC)
            self._note(document, self._waits(f"throttled until {until:%H:%M:%S} UTC"))

    def _note(self, document: CampaignDocument, reason: str) -> None:
        if self._noted.get(document.id) != reason:
            self._noted[document.id] = reason
            self._send(document.id, Note(campaign=document.id, reason=reason, at=now_ms()))

    def _take_back(self, document: CampaignDocument, now: float, waiting: set[str]) -> None:
        held = self._holds(document)
        noted = document.status == "sending" and document.reason.startswith(self._waits(""))
        if not held and not noted:
            if document.id not in waiting:
                self._waiting.discard(document.id)
            return
        if now - self._taken_back.get(document.id, -AGAIN) < AGAIN:
            return
        self._taken_back[document.id] = now
        if held:
            self._hold(document.id, "")
        else:
            self._send(document.id, Note(campaign=document.id, reason="", at=now_ms()))

    def _hold(self, campaign: str, reason: str) -> None:
        said = Suspension(campaign=campaign, suspended=bool(reason), reason=reason, at=now_ms(), by=self._by)
        self._send(campaign, said)

    def _holds(self, document: CampaignDocument) -> bool:
        return any(hold.by == self._by and hold.reason for hold in document.holds)

    def _held(self) -> int:
        documents = (self._context.campaigns.get(campaign) for campaign in self._waiting)
        return sum(
            document is not None and document.status == "suspended" and self._holds(document)
            for document in documents
        )

    def _waits(self, why: str) -> str:
        return written(Reason.WAITING_FOR_AGGREGATOR, f"{self._breaker.name}: {why}")

    def _send(self, campaign: str, record: Note | Suspension) -> None:
        self._outbox.send(output(topics.COMMANDS, record, campaign))
